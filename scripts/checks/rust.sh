# The crate, the samples, and what does not compile. Sourced by scripts/check.

# How a Rust object of the kernel was made, for others to be made alike: `saved OBJECT`
# is its command without what it writes. Sourced inside, with the build directory.
rust_commands() {
	cat >"$scratch/rust" <<-'EOF'
		set -euo pipefail
		export RUSTC_BOOTSTRAP=1
		top=$PWD
		out=$top/build/check/rust.out
		mkdir -p "$out"
		cd "$1"
		saved() {
			sed -n "s|^savedcmd_$1 := ||p" "$(dirname "$1")/.$(basename "$1").cmd" |
				sed 's/ ; .*//; s/\$(pound)/#/g; s/ --out-dir [^ ]*//; s/ --emit=[^ ]*//g' | grep .
		}
		samples=$(cd "$top" && ls samples/rust/*.rs | sed 's/rs$/o/')
	EOF
}

# What the types of the crate promise is held by the compiler. Each file of compile-fail
# has one mistake and the errors that it gets: no others, so that none fails for another
# reason. correct.rs and the examples of the documentation compile without a message, or all
# might fail for the same reason. They are compiled as far as to an object, as names of
# policies are checked only then. COMPILER is as for policies_build(), which runs before;
# the messages of the newer one differ, so they are not compared.
misuse_does_not_compile() {
	if [ "$1" = newer ] && [ -f "$CACHE/rust-newer/missing" ]; then
		cat "$CACHE/rust-newer/missing"
		return "$SKIP"
	fi
	rust_commands
	cat >"$scratch/misuse" <<-'EOF'
		newer=${1#tools}
		folder=build/kernel
		[ -z "$newer" ] || folder=build/rust-x86-newer
		. build/check/rust "$folder"
		policy=$(saved samples/rust/rust_sched_latency.o | sed 's| [^ ]*/rust_sched_latency\.rs||')
		status=0
		not() { echo "$(basename "$file"): $*"; status=1; }
		# The example of lib.rs is a whole module; others need what frame/uses.rs imports.
		rm -f "$out"/example*.rs
		awk -v out="$out" -v uses="$top/scripts/compile-fail/frame/uses.rs" '
			/^ *\/\/[\/!] ```ignore$/ {
				file = out "/example" ++n ".rs"
				if (FILENAME !~ /lib\.rs$/)
					print "#![allow(dead_code, missing_docs)]\ninclude!(\"" uses "\");" >file
				next
			}
			/^ *\/\/[\/!] ```/ { file = "" }
			file { sub(/^ *\/\/[\/!] ?/, ""); sub(/^# /, ""); print >file }
		' "$top"/rust/sched_bpf/*.rs
		module=$(grep -l '^module! {' "$out"/example*.rs)
		test "$(wc -l <"$module")" -le 40
		for file in "$out"/example*.rs "$top"/scripts/compile-fail/*.rs; do
			rc=0
			eval "$policy --error-format=short --out-dir $out --emit=obj=$out/misuse.o $file" >"$out/said" 2>&1 || rc=$?
			if [[ $file = "$out"/example* ]] || [ "$(basename "$file")" = correct.rs ]; then
				[ "$rc" -eq 0 ] && [ ! -s "$out/said" ] || { not 'does not compile as it should:'; head -n 5 "$out/said"; }
				continue
			fi
			[ "$rc" -ne 0 ] || { not 'compiles'; continue; }
			[ -z "$newer" ] || continue
			sed -n 's|^// expect: ||p' "$file" >"$out/expected"
			grep -E '^error|: error(\[E[0-9]+\])?: ' "$out/said" | grep -v '^error: aborting due to' >"$out/errors" || true
			while read -r expected; do
				grep -qF -e "$expected" "$out/errors" || not "is not told: $expected"
			done <"$out/expected"
			! grep -vF -f "$out/expected" "$out/errors" >"$out/others" || { not 'is told something else:'; head -n 3 "$out/others"; }
		done
		file=$top/scripts/compile-fail/correct.rs
		test -e "$file" || not 'is not there'
		exit "$status"
	EOF
	"$TOP/scripts/inside" bash build/check/misuse "$1"
}

# By the tree's own rules. The first file names the others of its crate.
rust_format() {
	"$TOP/scripts/inside" bash -c 'rustfmt --check --color never --config-path build/linux/.rustfmt.toml \
		rust/sched_bpf/lib.rs samples/rust/*.rs scripts/compile-fail/*.rs \
		tools/testing/selftests/sched_bpf/modules/*.rs'
}

# What `make CLIPPY=1` and `make rustdoc` would say of the crate and of the samples:
# nothing. One of the lints is that each unsafe block says why it is safe. As with
# `make rustdoc`, links to files of the tree lead to one.
rust_lints() {
	rust_commands
	cat >"$scratch/lints" <<-'EOF'
		. build/check/rust build/kernel
		export CLIPPY_CONF_DIR=$top/build/linux
		for object in rust/sched_bpf.o $samples; do
			cmd=$(saved "$object")
			eval "${cmd/ rustc / clippy-driver } -Dwarnings --out-dir $out --emit=metadata" || echo "$object: failed"
		done 2>&1 | tee "$out/said"
		# Without its tests it is another crate, in which nothing is to be left over.
		grep -v BPF_SCHED_KUNIT_TEST include/generated/rustc_cfg >"$out/cfg"
		cmd=$(saved rust/sched_bpf.o | sed "s|@[^ ]*rustc_cfg|@$out/cfg|")
		eval "${cmd/ rustc / clippy-driver } -Dwarnings --out-dir $out --emit=metadata" 2>&1 | tee -a "$out/said" || echo "without tests: failed" | tee -a "$out/said"
		cmd=$(saved rust/sched_bpf.o | sed 's/ --crate-type [^ ]*//')
		rm -rf "$out/doc"
		eval "${cmd/ rustc / rustdoc } -Dwarnings --generate-link-to-definition --output $out/doc" 2>&1 | tee -a "$out/said"
		grep -Ehro '<a href="srctree/[^"]+"' "$out/doc/sched_bpf" | cut -d'"' -f2 | cut -d/ -f2- | sort -u >"$out/links"
		while read -r link; do
			test -e "$top/build/linux/$link" || echo "no such file: $link"
		done <"$out/links" | tee -a "$out/said"
		test -s "$out/links"
		test ! -s "$out/said"
	EOF
	"$TOP/scripts/inside" bash build/check/lints
}

# A panic with an rq lock held stops the machine. No call of one is left in the samples, with
# what is inlined there, nor in the crate, except in its tests and in the function that checks
# names, which only the compiler runs.
policies_do_not_panic() {
	rust_commands
	cat >"$scratch/panics" <<-'EOF'
		. build/check/rust build/kernel
		# Compiled with the checks on, which most kernels have and this one has not.
		checked=$out/checked
		rm -rf "$checked"
		mkdir "$checked"
		for object in rust/sched_bpf.o $samples; do
			cmd=$(saved "$object" | sed "s| --extern sched_bpf | --extern sched_bpf=$checked/libsched_bpf.rmeta |")
			eval "$cmd -Coverflow-checks=y --emit=metadata,obj --out-dir $checked"
		done
		for object in "$checked"/*.o; do
			llvm-objdump -dr -C --no-show-raw-insn "$object" | awk -v object="$object" '
				/^[0-9a-f]+ <.*>:$/ { sub(/^[0-9a-f]+ /, ""); at = $0; functions++ }
				at ~ /^<sched_bpf::(policy::name|tests::.*)>:$/ { next }
				/R_X86_64.*[ \t<](core::panicking::|core::[A-Za-z_:<> ]*(_fail|_failed|panic)|rust_begin_unwind)/ { print object ": " at " " $NF }
				END { if (!functions) print object ": no functions" }'
		done | tee "$out/panics"
		test ! -s "$out/panics"
	EOF
	"$TOP/scripts/inside" bash build/check/panics
}

# policies_build ARCH COMPILER [OPTION=VALUE]...: each policy is a module for ARCH (x86 or
# arm64), or built-in if such an option of the configuration says so, made by
# the kernel's own rules up to the .ko with what modpost asks of it, such as a license.
# COMPILER is "tools", the one that the kernel under test is built with, which is the
# oldest that the kernel takes, or "newer", the one of scripts/setup. No kernel is linked,
# so the symbols that modules need are not looked up, and nothing is run.
policies_build() {
	if [ "$2" = newer ] && [ -f "$CACHE/rust-newer/missing" ]; then
		cat "$CACHE/rust-newer/missing"
		return "$SKIP"
	fi
	local name=$1-$2${3:+-options}
	cat >"$scratch/policies-$name" <<-'EOF'
		set -euo pipefail
		name=$1 cache=$2 arch=$3 compiler=$4
		shift 4
		out=$PWD/build/rust-$name
		mkdir -p "$out/bin"
		make=(make -C build/linux "ARCH=${arch/x86/x86_64}" LLVM=1 CC="ccache clang" LOCALVERSION= "O=$out" "-j$(nproc)"
			KBUILD_MODPOST_WARN=1)
		if [ "$compiler" = newer ]; then
			for tool in rustc rustdoc; do
				printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' \
					"$cache/rust-newer/usr/lib/x86_64-linux-gnu" "$cache/rust-newer/usr/bin/$tool" >"$out/bin/$tool"
				chmod +x "$out/bin/$tool"
			done
			make+=("RUSTC=$out/bin/rustc" "HOSTRUSTC=$out/bin/rustc" "RUSTDOC=$out/bin/rustdoc")
			"$out/bin/rustc" --version
		fi
		# Options that this architecture does not have are none. The type information of
		# a module is made with that of a kernel.
		grep -hv CONFIG_DEBUG_INFO_BTF_MODULES kernel/configs/sched_bpf_vm.config \
			kernel/configs/sched_bpf.config kernel/configs/sched_bpf_rust.config >"$out/all.config"
		echo "# CONFIG_DEBUG_INFO_BTF_MODULES is not set" >>"$out/all.config"
		for option; do
			sed -i "/^CONFIG_${option%=*}=/d" "$out/all.config"
			echo "CONFIG_$option" >>"$out/all.config"
		done
		"${make[@]}" -s rustavailable
		KCONFIG_ALLCONFIG=$out/all.config "${make[@]}" -s allnoconfig
		for option in RUST_BPF_SCHED=y "$@"; do
			grep -qx "CONFIG_$option" "$out/.config" || { echo "CONFIG_$option did not take effect"; exit 1; }
		done
		modules=() built_in=()
		for sample in samples/rust/rust_sched_*.rs; do
			option=CONFIG_SAMPLE_$(basename "$sample" .rs | tr a-z A-Z)
			if grep -qx "$option=y" "$out/.config"; then
				built_in+=("${sample%rs}o")
			else
				modules+=("${sample%rs}ko")
			fi
		done
		"${make[@]}" prepare
		"${make[@]}" "${modules[@]}" "${built_in[@]}"
		rm -rf "$out/selftest"
		"${make[@]}" M="$PWD/tools/testing/selftests/sched_bpf/modules" MO="$out/selftest" modules
		for ko in "${modules[@]/#/$out/}" "$out/selftest/"*.ko; do
			modinfo=$(llvm-readelf -p .modinfo "$ko")
			for entry in license=GPL import_ns=SCHED_BPF "name=$(basename "$ko" .ko)"; do
				grep -q " $entry$" <<<"$modinfo" || { echo "$ko: .modinfo has no $entry"; exit 1; }
			done
		done
	EOF
	"$TOP/scripts/inside" bash "build/check/policies-$name" "$name" "$INSIDE_CACHE" "$@"
}

# A sample becomes a user's own module as README.md says, for the release of the kernel that
# is to load it.
own_module() {
	local mine release
	mine=$(mktemp -d)
	cp "$TOP/samples/rust/rust_sched_latency.rs" "$mine/mine.rs"
	bash -c "$(sed -n "s|^ *\(printf 'obj-m .*\) > ~/mine/Makefile\$|\1|p" "$TOP/README.md")" >"$mine/Makefile"
	"$TOP/scripts/module" "$mine"
	release=$(cat "$BUILD/kernel/include/config/kernel.release")
	grep -aq "vermagic=$release " "$BUILD/module/$(basename "$mine")/mine.ko"
	rm -rf "$mine" "$BUILD/module/$(basename "$mine")"
}
