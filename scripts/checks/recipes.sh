# That what HACKING.md says of adding hooks and kfuncs was done for each of them. Sourced by
# scripts/check.

# in_files NAME PATTERN FILE...: one of the files has a line of this pattern.
in_files() {
	local name=$1 pattern=$2
	shift 2
	(cd "$TOP" && grep -qE -e "$pattern" -- "$@") && return
	echo "$name: no line \"$pattern\" in $*"
	return 1
}

hooks_are_complete() {
	local hook hooks rc=0
	hooks=$(sed -nE 's/^\tint \(\*([a-z_]+)\).*/\1/p' "$TOP/include/linux/bpf_sched.h")
	[ -n "$hooks" ]
	for hook in $hooks; do
		in_files "$hook" "\* @$hook: " include/linux/bpf_sched.h || rc=1
		in_files "$hook" "= ${hook}_stub," kernel/sched/bpf/struct_ops.c || rc=1
		in_files "$hook" "HOOK\($hook, " kernel/sched/bpf/stats.c || rc=1
		in_files "$hook" "bpf_sched_call_op\(ops, $hook, " kernel/sched/bpf/*.c || rc=1
		in_files "$hook" "^\`\`$hook\`\` " Documentation/scheduler/sched-bpf.rst || rc=1
		in_files "$hook" "\b$hook\b" rust/sched_bpf/policy.rs || rc=1
		in_files "$hook" "\"$hook\"" tools/testing/selftests/sched_bpf/policy.c || rc=1
		in_files "$hook" "\.$hook[[:space:]]+= " tools/testing/selftests/sched_bpf/progs/{answer,placement}.bpf.c || rc=1
	done
	return "$rc"
}

kfuncs_are_complete() {
	local kfunc kfuncs rc=0
	kfuncs=$(sed -nE 's/^BTF_ID_FLAGS\(func, ([a-z_]+).*/\1/p' "$TOP/kernel/sched/bpf/kfuncs.c")
	[ -n "$kfuncs" ]
	for kfunc in $kfuncs; do
		in_files "$kfunc" "^ \* $kfunc\(\) - " kernel/sched/bpf/kfuncs.c || rc=1
		in_files "$kfunc" "\b$kfunc\(" include/linux/bpf_sched.h || rc=1
		in_files "$kfunc" "\b$kfunc\b" Documentation/scheduler/sched-bpf.rst || rc=1
		in_files "$kfunc" "\b$kfunc\(" tools/testing/selftests/sched_bpf/progs/kfuncs.bpf.c || rc=1
	done
	return "$rc"
}
