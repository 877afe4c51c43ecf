# What was compiled of the hooks. Sourced by scripts/check.

# With the option off fair.c compiles to what it was: the instructions of the file
# before the patch that adds the option, compiled by the same command, are those of
# the patched one.
off_is_unchanged() {
	mkdir -p "$scratch/off"
	before=$(git -C "$TREE" log -1 --format=%H --diff-filter=A "$base..$tip" -- kernel/sched/bpf/hooks.h)^
	git -C "$TREE" show "$before:kernel/sched/fair.c" >"$scratch/off/fair.c"
	cat >"$scratch/off/run" <<-'EOF'
		set -euo pipefail
		cd build/kernel-off
		cmd=$(sed -n 's/^savedcmd_kernel\/sched\/fair.o := //p' kernel/sched/.fair.o.cmd | sed 's/ ; .*//; s/\$(pound)/#/g')
		dis() { llvm-objdump -d --no-addresses --no-show-raw-insn "$1" | grep -v 'file format'; }
		cmd=${cmd//-Wp,-MMD,kernel\/sched\/.fair.o.d/}
		eval "${cmd/ -c / -I ../linux/kernel/sched -c }"
		dis kernel/sched/fair.o >../check/off/patched
		cp kernel/sched/fair.o ../check/off/patched.o
		cmd=$(sed 's|-o kernel/sched/fair.o|-o ../check/off/base.o|; s|[^ ]*linux/kernel/sched/fair.c|../check/off/fair.c|' <<<"$cmd")
		eval "${cmd/ -c / -I ../linux/kernel/sched -c }"
		dis ../check/off/base.o >../check/off/base
		test -s ../check/off/base
		cmp ../check/off/base ../check/off/patched
	EOF
	"$TOP/scripts/inside" bash build/check/off/run
}

# With the option on and no policy attached, each hook in fair.c is one patched nop:
# its jump label entries (code, target and key, in threes) point at nops.
hooks_are_nops() {
	cat >"$scratch/nops" <<-'EOF'
		set -euo pipefail
		o=build/kernel/kernel/sched/fair.o
		llvm-objdump -d --no-show-raw-insn "$o" | awk '$1 ~ /:$/ { sub(":", "", $1); print $1, $2 }' | sort -u >build/check/insns
		for hook in $(sed -n 's/^BPF_SCHED_HOOK(\([a-z_]*\),$/\1/p' include/linux/bpf_sched_hooks.h); do
			llvm-readelf -rW "$o" | awk -v key="bpf_sched_key_$hook" '
				/^Relocation section/ { table = /__jump_table/; n = 0; next }
				!table || !/R_X86_64_PC/ { next }
				++n % 3 == 1 { code = $NF }
				n % 3 == 0 && index($5, key) == 1 { print code }' >build/check/sites
			test -s build/check/sites
			while read -r site; do
				grep "^$site nop" build/check/insns || { echo "$hook: no nop at $site"; exit 1; }
			done <build/check/sites
		done
	EOF
	"$TOP/scripts/inside" bash build/check/nops
}
