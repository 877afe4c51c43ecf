#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What bpftool shows of policies: programs, links, tables, and bpftool sched.

DIR=$(dirname "$(readlink -f "$0")")
source "$DIR/../kselftest/ktap_helpers.sh"
source "$DIR/expect.sh"

BPFTOOL=$DIR/bpftool
PIN=/sys/fs/bpf/sched_bpf_test
POLICIES=/sys/kernel/debug/sched/bpf/policies
ENABLED=/sys/kernel/bpf_sched/enabled

# expect NAME PATTERN COMMAND...: its output has a line of this pattern.
expect()
{
	local name=$1 pattern=$2 out
	shift 2

	out=$("$@" 2>&1)
	if grep -qE "$pattern" <<< "$out"; then
		ktap_test_pass "$name"
	else
		ktap_print_msg "no line matches \"$pattern\" in the output of: $*"
		while read -r line; do ktap_print_msg "$line"; done <<< "$out"
		ktap_test_fail "$name"
	fi
}

ktap_print_header
ktap_set_plan 27

mountpoint -q /sys/fs/bpf || mount -t bpf none /sys/fs/bpf
mkdir -p "$PIN"
trap 'rm -rf "$PIN"' EXIT

expect register "Registered bpf_sched_ops only_tick map id [0-9]+ link id [0-9]+" \
	"$BPFTOOL" struct_ops register "$DIR/answer.bpf.o" "$PIN"
expect prog "struct_ops +name answer_tick +tag [0-9a-f]+ +gpl" "$BPFTOOL" prog show
expect link "struct_ops +map [0-9]+" "$BPFTOOL" link show
expect link_json '"type":"struct_ops",.*"map_id":[0-9]+' "$BPFTOOL" -j link show
expect struct_ops "only_tick +bpf_sched_ops" "$BPFTOOL" struct_ops show
expect struct_ops_dump '"cfs_check_preempt_tick": "' "$BPFTOOL" struct_ops dump name only_tick

expect sched_show "^[0-9]+: bpf  name answer_tick  cgroup system .*link_id [0-9]+ .* age [0-9]+s" \
	"$BPFTOOL" sched show
expect sched_hook "^[[:space:]]+cfs_check_preempt_tick  prog_id [0-9]+  calls [0-9]+ " \
	"$BPFTOOL" sched show name answer_tick
expect sched_flags "name shadow_tick .*flags shadow" "$BPFTOOL" sched show name shadow_tick
id=$("$BPFTOOL" sched show name answer_tick | sed -n 's/^\([0-9]*\): .*/\1/p')
expect sched_id "^$id: " "$BPFTOOL" sched list id "$id"
expect sched_json '"name":"answer_tick","cgroup_id":0' "$BPFTOOL" -j sched show id "$id"
expect sched_no_id "no policy found for id 4000000000" "$BPFTOOL" sched show id 4000000000
expect sched_no_name "no policy found for name nobody" "$BPFTOOL" sched show name nobody
expect sched_bad_id "can't parse x as ID" "$BPFTOOL" sched show id x
expect sched_no_cgroup "is not a directory of cgroup v2" "$BPFTOOL" sched show cgroup /tmp
expect sched_bad_key "what is 'color'" "$BPFTOOL" sched show color red
expect sched_top "answer_tick +cfs_check_preempt_tick +[0-9]" "$BPFTOOL" sched top count 2
expect sched_top_json '"seconds":[0-9.]+,"rates":\[\{"id":' "$BPFTOOL" -j sched top count 1
echo 0 > "$ENABLED"
expect sched_off "switched off: no policy is asked" "$BPFTOOL" sched show
echo 1 > "$ENABLED"
expect sched_off_json '"enabled":true' "$BPFTOOL" -j sched show

expect policies "^[0-9]+ answer_tick bpf [0-9]+ [0-9]+ 0 [0-9]+ 0 0 " cat "$POLICIES"
rm -rf "$PIN"
soon eval '! grep -q answer_tick "$POLICIES"'
expect unpinned "^0$" grep -c answer_tick "$POLICIES"

# An attachment to a cgroup, by the test program that makes one.
cgroup=/sys/fs/cgroup/sched_bpf_test
mkdir -p "$cgroup"
"$DIR/attach_to" "$cgroup" &
loader=$!
soon grep -q answer_tick "$POLICIES"
expect sched_cgroup "name answer_tick  cgroup $cgroup " "$BPFTOOL" sched show cgroup "$cgroup"
expect link_cgroup "struct_ops +map [0-9]+ +cgroup_id [0-9]+" "$BPFTOOL" link show
kill "$loader"
wait "$loader" 2>/dev/null
rmdir "$cgroup"

# A policy of a module in Rust, which has no BPF objects.
if [ -f "$DIR/sched_bpf_test.ko" ]; then
	insmod "$DIR/sched_bpf_test.ko"
	expect module "^[0-9]+: module  name rust_empty .*position 0  module sched_bpf_test  age " \
		"$BPFTOOL" sched show
	expect module_hook "^[[:space:]]+cfs_check_preempt_tick  calls [0-9]+ " \
		"$BPFTOOL" sched show name rust_empty
	expect module_json '"provider":"module","name":"rust_empty",.*"module":"sched_bpf_test",' \
		"$BPFTOOL" -j sched show name rust_empty
	rmmod sched_bpf_test
else
	for name in module module_hook module_json; do
		ktap_test_skip "$name # SKIP built for a kernel without CONFIG_RUST_BPF_SCHED"
	done
fi

ktap_finished
