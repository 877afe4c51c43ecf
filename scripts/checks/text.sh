# What is written: documentation, help, the README, the scripts. Sourced by scripts/check.

# The document builds, and so do the comments in kernel-doc. Warnings about other
# documents are theirs: links that lead out of the folder, which is built alone.
documentation() {
	cat >"$scratch/documentation" <<-'EOF'
		set -euo pipefail
		top=$PWD
		cd build/linux
		make htmldocs SPHINXDIRS=scheduler O="$top/build/check/htmldocs" 2>&1 | tee "$top/build/check/htmldocs.out"
		if grep 'sched-bpf' "$top/build/check/htmldocs.out"; then
			exit 1
		fi
		test -s "$top/build/check/htmldocs/Documentation/output/scheduler/sched-bpf.html"
		scripts/kernel-doc -none -Wall -Werror kernel/sched/bpf/*.[ch] include/linux/bpf_sched.h
	EOF
	"$TOP/scripts/inside" bash build/check/documentation
}

# Help, man page and completion of bpftool name the same things, and its man page is
# one: by the tree's own test and rules.
bpftool_docs() {
	cat >"$scratch/docs" <<-'EOF'
		set -euo pipefail
		python3 build/linux/tools/testing/selftests/bpf/test_bpftool_synctypes.py
		make -s -C build/linux/tools/bpf/bpftool/Documentation OUTPUT="$PWD/build/check/" man8 2>&1 |
			tee build/check/docs.out
		if grep -i 'warning\|error' build/check/docs.out; then
			exit 1
		fi
		grep -q 'bpftool-sched' build/check/bpftool-sched.8
	EOF
	"$TOP/scripts/inside" bash build/check/docs
}

# The program that the README shows is the one that the selftests load.
readme_program() {
	local progs=$TOP/tools/testing/selftests/sched_bpf/progs
	sed -n '/^```c$/,/^```$/p' "$TOP/README.md" | sed '1d;$d' >"$scratch/readme.bpf.c"
	diff "$progs/readme.bpf.c" "$scratch/readme.bpf.c"
	[ "$(wc -l <"$scratch/readme.bpf.c")" -lt 20 ]
}

# And compiles in a directory of a user's own, whose name is in what the compiler says.
own_policy() {
	local mine said=$scratch/own.said
	mine=$(mktemp -d)
	cp "$TOP/tools/testing/selftests/sched_bpf/progs/readme.bpf.c" "$mine/batch.bpf.c"
	"$TOP/scripts/policy" "$mine/batch.bpf.c"
	[ -s "$mine/batch.bpf.o" ]
	sed 's/return 0;/return nought;/' "$mine/batch.bpf.c" >"$mine/wrong.bpf.c"
	if "$TOP/scripts/policy" "$mine/wrong.bpf.c" >"$said" 2>&1; then
		echo "the wrong one compiles"
		return 1
	fi
	grep "^$mine/wrong.bpf.c:[0-9]*:[0-9]*: error: " "$said"
	[ ! -e "$mine/wrong.bpf.o" ]
	rm -rf "$mine"
}

spelling() {
	"$TOP/scripts/inside" bash -c 'git -c safe.directory="*" ls-files -z README.md Documentation include kernel series tools scripts eval | xargs -0 codespell -L parm,ratatui,lsit,lerned,statics'
}

# Those that are sourced are looked at where they are; the kernel's own are not there.
shell_scripts() {
	"$TOP/scripts/inside" bash -c 'grep -lE "^#!/(usr/bin/env |bin/)(ba)?sh" scripts/* scripts/deb-guest/* eval/*/run .ci/run \
		tools/testing/selftests/sched_bpf/*.sh sched-bpf/tests/*.sh 2>/dev/null | xargs shellcheck -x -S warning'
}
