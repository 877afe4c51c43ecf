#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What bpftool, as it is, shows of policies: programs, links and tables.

DIR=$(dirname "$(readlink -f "$0")")
source "$DIR/../kselftest/ktap_helpers.sh"

BPFTOOL=$DIR/bpftool
PIN=/sys/fs/bpf/sched_bpf_test
POLICIES=/sys/kernel/debug/sched/bpf/policies

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
ktap_set_plan 8

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
expect policies "^[0-9]+ answer_tick bpf [0-9]+ [0-9]+ 0 [0-9]+ 0 0 " cat "$POLICIES"
rm -rf "$PIN"
sleep 1
expect unpinned "^0$" grep -c answer_tick "$POLICIES"

ktap_finished
