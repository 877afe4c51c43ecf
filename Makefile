# The main entry points. Each is idempotent and can be repeated after an
# interruption; what they do is in scripts/. LINUX=path takes another kernel tree as
# the base instead of Debian's package.

.PHONY: help demo-says module-dir setup tree kernel kernel-off selftests vm demo bench bench-quick bench-loads eval eval-quick policy policy-file module deb deb-config rustdoc htmldocs test test-vm test-debug test-series test-others check series edit pull clean distclean
.NOTPARALLEL:
export LINUX T CONFIG BENCH SEED KERNEL EVAL BLOCKS JOBS

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

ifndef LOCKED
# One make at a time in a checkout: each goal again, with the lock.
GOALS := $(filter-out help,$(MAKECMDGOALS))
$(GOALS):
	+@scripts/locked $(MAKE) --no-print-directory LOCKED=1 $@
else

setup: ## Fetch the base source and the tools, into caches outside this checkout
	@scripts/begin
	@scripts/setup

tree: setup ## Generate build/linux: the base with one commit per patch
	@scripts/tree

kernel: tree ## Build the kernel to test
	@scripts/kernel

kernel-off: kernel ## Build the same kernel without CONFIG_BPF_SCHED
	@scripts/kernel off

selftests: kernel ## Build the selftests, bpftool, libbpf and the tools in Rust
	@scripts/selftests

vm: selftests ## Open a shell in the booted kernel
	@scripts/vm

demo: demo-says selftests ## Show a policy changing what the scheduler does
	@scripts/demo

demo-says:
	@scripts/demo say

bench: selftests kernel-off ## Measure what hooks and policies cost
	@scripts/bench

bench-quick: selftests ## Compare policies with what stock can be set to; BENCH=host: here
	@scripts/loads quick

bench-loads: selftests ## The same for longer, for narrower intervals
	@scripts/loads

eval: selftests ## Measure other people's loads under all settings; takes hours. E=NAME: one case; EVAL=host: here
	@scripts/eval $(E)

eval-quick: selftests ## The same with 3 short runs of each setting
	@scripts/eval quick $(E)

policy: policy-file selftests ## Compile a BPF policy of your own: make policy P=FILE.bpf.c
	@scripts/policy "$(P)"

policy-file:
	@scripts/policy "$(P)" check

module: module-dir $(if $(KERNEL),,kernel) ## Build the modules of your own directory: make module M=DIR; KERNEL=deb: for the packages
	@scripts/module "$(M)"

module-dir:
	@scripts/module "$(M)" check

deb: deb-config selftests ## Build Debian packages: kernel, headers, tools. CONFIG=FILE takes your .config
	@scripts/deb-kernel
	@scripts/deb-tools
	@echo "  in build/deb:"
	@cd build/deb && ls *.deb | sed 's/^/    /'

deb-config:
	@scripts/deb-kernel deb check

rustdoc: kernel ## Make the documentation of the Rust crate
	@scripts/docs rustdoc

htmldocs: tree ## Make the document about the scheduler's policies
	@scripts/docs htmldocs

test: selftests kernel-off ## Run every test; the last line counts them
	@scripts/test

test-vm: selftests ## Run the selftests only; T=hooks runs one of their programs
	@scripts/test vm

test-debug: selftests ## Run the selftests on a kernel that checks itself; takes long
	@scripts/kernel debug
	@scripts/selftests debug
	@scripts/test debug

test-series: tree ## Boot the kernel that each series ends with, and run its selftests
	@scripts/test-series

test-others: tree ## Compare tests of sched_ext, cgroups and BPF with the base; takes hours
	@scripts/test-others

check: selftests kernel-off ## Run the tests that need no virtual machine
	@scripts/check

series: tree ## Export the mailable patches to build/series
	@scripts/series

edit: tree ## Say how to edit the series as commits in build/linux
	@echo "build/linux is on branch sched_bpf, one commit per patch. Change commits there"
	@echo "(git commit --fixup=COMMIT, git rebase -i --autosquash), then run: make pull"

pull: ## Take the commits of build/linux back into series/ and the files here
	@scripts/pull

clean: ## Remove what was built here
	rm -rf build

distclean: clean ## Remove the caches too
	@scripts/distclean

endif
