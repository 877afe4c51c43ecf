# What was compiled of the hooks. Sourced by scripts/check.

# With the option off fair.c and core.c compile to what they were: the instructions of
# the files before the patch that adds the option, compiled by the same command, are those of
# the patched ones.
off_is_unchanged() {
	mkdir -p "$scratch/off"
	before=$(git -C "$TREE" log -1 --format=%H --diff-filter=A "$base..$tip" -- kernel/sched/bpf/hooks.h)^
	for file in fair core; do
		git -C "$TREE" show "$before:kernel/sched/$file.c" >"$scratch/off/$file.c"
	done
	cat >"$scratch/off/run" <<-'EOF'
		set -euo pipefail
		cd build/kernel-off
		out=../check/off
		dis() { llvm-objdump -d --no-addresses --no-show-raw-insn "$1" | grep -v 'file format'; }
		for file in fair core; do
			cmd=$(sed -n "s/^savedcmd_kernel\/sched\/$file.o := //p" kernel/sched/.$file.o.cmd |
				sed 's/ ; .*//; s/\$(pound)/#/g')
			cmd=${cmd//-Wp,-MMD,kernel\/sched\/.$file.o.d/}
			cmd=${cmd/ -c / -I ../linux/kernel/sched -c }
			eval "${cmd/-o kernel\/sched\/$file.o/-o $out/$file.patched.o}"
			cmd=$(sed "s|-o kernel/sched/$file.o|-o $out/$file.base.o|; s|[^ ]*linux/kernel/sched/$file.c|$out/$file.c|" <<<"$cmd")
			eval "$cmd"
			dis $out/$file.patched.o >$out/$file.patched
			dis $out/$file.base.o >$out/$file.base
			test -s $out/$file.base
			cmp $out/$file.base $out/$file.patched
		done
	EOF
	"$TOP/scripts/inside" bash build/check/off/run
}

# With the option on and no policy attached, each hook in fair.c and core.c is a patched nop: the
# jump label entries (code, target and key, in threes) whose key is that of cgroups' BPF are nops.
hooks_are_nops() {
	cat >"$scratch/nops" <<-'EOF'
		set -euo pipefail
		sites=build/check/sites
		for o in build/kernel/kernel/sched/{fair,core}.o; do
			llvm-readelf -rW "$o" | awk '
				/^Relocation section/ { table = /__jump_table/; n = 0; next }
				!table || !/R_X86_64_PC/ { next }
				++n % 3 == 1 { code = $NF }
				n % 3 == 0 && index($5, "cgroup_bpf_enabled_key") == 1 { print code }' >$sites
			llvm-objdump -d --no-show-raw-insn "$o" |
				awk '$1 ~ /:$/ { sub(":", "", $1); print $1, $2 }' >build/check/insns
			while read -r site; do
				grep "^$site nop" build/check/insns || { echo "no nop at $site of $o"; exit 1; }
			done <$sites
			calls=$(grep -cE '[ =(]bpf_sched_[a-z_]+\(' "build/linux/kernel/sched/$(basename "$o" .o).c")
			[ "$(wc -l <$sites)" -ge "$calls" ] || { echo "$o: fewer nops than calls of hooks"; exit 1; }
			echo "$o: $calls calls, $(wc -l <$sites) nops"
		done
	EOF
	"$TOP/scripts/inside" bash build/check/nops
}
