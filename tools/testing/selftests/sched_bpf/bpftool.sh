#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# bpftool with policies: registering them in a cgroup, links, programs, bpftool sched.

DIR=$(dirname "$(readlink -f "$0")")
source "$DIR/../kselftest/ktap_helpers.sh"
source "$DIR/expect.sh"

BPFTOOL=$DIR/bpftool
PIN=/sys/fs/bpf/sched_bpf_test
ROOT=/sys/fs/cgroup
CGROUP=$ROOT/sched_bpf_test
ENABLED=/sys/module/bpf_sched/parameters/enabled

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
ktap_set_plan 19

mountpoint -q /sys/fs/bpf || mount -t bpf none /sys/fs/bpf
mkdir -p "$PIN" "$CGROUP"
trap 'rm -rf "$PIN"; rmdir "$CGROUP"' EXIT

expect register_without_cgroup "can't register struct_ops only_tick: Bad file descriptor" \
	"$BPFTOOL" struct_ops register "$DIR/answer.bpf.o" < /dev/null
expect register_no_cgroup "can't open cgroup /nowhere" \
	"$BPFTOOL" struct_ops register "$DIR/answer.bpf.o" cgroup /nowhere
expect register "Registered bpf_sched_ops only_tick map id [0-9]+ link id [0-9]+" \
	"$BPFTOOL" struct_ops register "$DIR/answer.bpf.o" "$PIN" cgroup "$ROOT"
expect prog "struct_ops +name answer_tick +tag [0-9a-f]+ +gpl" "$BPFTOOL" prog show
expect link "struct_ops +map [0-9]+ +cgroup_id [0-9]+" "$BPFTOOL" link show
expect link_json '"type":"struct_ops",.*"map_id":[0-9]+,"cgroup_id":[0-9]+' "$BPFTOOL" -j link show
expect struct_ops "only_tick +bpf_sched_ops" "$BPFTOOL" struct_ops show
expect struct_ops_dump '"cfs_check_preempt_tick": "' "$BPFTOOL" struct_ops dump name only_tick

expect sched "^name answer_tick  link_id [0-9]+  map_id [0-9]+  cgroup_id [0-9]+  cgroup $ROOT  position [0-9]+  state enabled" \
	"$BPFTOOL" sched show
expect sched_hook "^[[:space:]]+hook cfs_check_preempt_tick  calls [0-9]+  negative [0-9]+ " \
	"$BPFTOOL" sched list
mkdir -p "${PIN}_shadow"
"$BPFTOOL" struct_ops register "$DIR/cases.bpf.o" "${PIN}_shadow" cgroup "$CGROUP" > /dev/null
expect sched_shadow "^name shadow_slices .* state shadow" "$BPFTOOL" sched
rm -rf "${PIN}_shadow"
expect sched_json '"name":"answer_tick","link_id":[0-9]+,.*"state":"enabled","hooks":\[\{"hook":"cfs_check_preempt_tick","calls":[0-9]+,' \
	"$BPFTOOL" -j sched
expect sched_enabled_json '^\{"enabled":true,' "$BPFTOOL" -j sched
echo 0 > "$ENABLED"
expect sched_disabled "^disabled: no policy is called" "$BPFTOOL" sched
echo 1 > "$ENABLED"
rm -rf "$PIN"
soon eval '! "$BPFTOOL" sched | grep -q answer_tick'
expect unpinned '"policies":\[\]' "$BPFTOOL" -j sched

# Two policies of one cgroup, in evaluation order.
mkdir -p "$PIN"
"$BPFTOOL" struct_ops register "$DIR/slow.bpf.o" "$PIN" cgroup "$CGROUP" > /dev/null
"$BPFTOOL" struct_ops register "$DIR/answer.bpf.o" "$PIN" cgroup "$CGROUP" > /dev/null
expect sched_first "^name slow .* cgroup $CGROUP  position 0 " "$BPFTOOL" sched
expect sched_second "^name answer_all .* cgroup $CGROUP  position 1 " "$BPFTOOL" sched
rm -rf "$PIN"

# A policy of a module in Rust, which has no BPF objects.
if [ -f "$DIR/sched_bpf_test.ko" ]; then
	insmod "$DIR/sched_bpf_test.ko"
	expect module "^name rust_empty  module sched_bpf_test  cgroup_id [0-9]+  .*state enabled" \
		"$BPFTOOL" sched
	expect module_json '"name":"rust_empty","module":"sched_bpf_test",' "$BPFTOOL" -j sched
	rmmod sched_bpf_test
else
	for name in module module_json; do
		ktap_test_skip "$name # SKIP built for a kernel without CONFIG_RUST_BPF_SCHED"
	done
fi

ktap_finished
