#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# tools/sched_bpf: a policy that answers recorded questions answers as it did in the kernel,
# and one that cannot be answered from what was recorded stops. sched-bpf is the one in PATH,
# or that of SCHED_BPF.

DIR=$(dirname "$(readlink -f "$0")")
source "$DIR/../kselftest/ktap_helpers.sh"
source "$DIR/expect.sh"

TOOL=${SCHED_BPF:-sched-bpf}
POLICIES=$(dirname "$(readlink -f "$(command -v "$TOOL")")")/../policies
CGROUP=/sys/fs/cgroup/sched_bpf_replay
WORK=$(mktemp -d)

# load: prints a line for each task when it is there: two that compute and two that sleep and
# wake up on CPU 1, and one that sleeps and may run anywhere, in the cgroup.
load()
{
	echo "$BASHPID" > "$CGROUP/cgroup.procs"
	exec python3 -c "
import os, time
def sleep(): time.sleep(0.002)
for cpus, what in ({1}, int), ({1}, int), ({1}, sleep), ({1}, sleep), ({0, 1}, sleep):
    if not os.fork():
        os.sched_setaffinity(0, cpus)
        print(flush=True)
        while True: what()
os.wait()"
}

is_loaded()
{
	[ "$(wc -l < "$WORK/ready")" -eq 5 ]
}

# record NAME ARGUMENT...: what happens with the load in a second, into the file of that name.
record()
{
	local name=$1
	shift

	# Not what the one before has printed.
	: > "$WORK/ready"
	load > "$WORK/ready" &
	soon is_loaded || ktap_print_msg "$name: the load is not there"
	"$TOOL" record -o "$WORK/$name" --cgroup "$CGROUP" --seconds 1 "$@" > "$WORK/log" 2>&1 ||
		ktap_print_msg "$(cat "$WORK/log")"
	echo 1 > "$CGROUP/cgroup.kill"
	wait 2> /dev/null
}

replay()
{
	local name=$1
	shift

	"$TOOL" replay "$WORK/$name" "$@"
}

# replayed NAME STATUS PATTERN RECORDING ARGUMENT...: as "status"; the report is kept for rows.
replayed()
{
	local name=$1 status=$2 pattern=$3
	shift 3

	replay "$@" > "$WORK/report" 2>&1
	# shellcheck disable=SC2016 # expanded there
	status "$name" "$status" "$pattern" sh -c 'cat "$1"; exit "$2"' - "$WORK/report" $?
}

# rows EXPRESSION: for awk, a sum over the rows of the last report: $1 is the hook, $2 how
# many questions, $3 to $5 answers below, of and above zero, $6 those as recorded.
rows()
{
	awk "/^ cfs_/ { n += $1 } END { print n + 0 }" "$WORK/report"
}

# check NAME ACTUAL OPERATOR EXPECTED
check()
{
	if test "$2" "$3" "$4"; then
		ktap_test_pass "$1"
	else
		ktap_print_msg "$1: $2 is not $3 $4"
		ktap_test_fail "$1"
	fi
}

cleanup()
{
	echo 1 > "$CGROUP/cgroup.kill"
	wait
	rmdir "$CGROUP"
	rm -rf "$WORK"
}

ktap_print_header
if ! command -v "$TOOL" > /dev/null; then
	ktap_skip_all "no sched-bpf in PATH: make -C tools/sched_bpf"
	exit "$KSFT_SKIP"
fi
ktap_set_plan 36
mkdir -p "$CGROUP"
trap cleanup EXIT

# A policy whose answers follow from all that one can see of a question.
record all "$DIR/mirror.bpf.o" --shadow
status recorded 0 "[0-9]+ questions recorded, 0 records lost" cat "$WORK/log"
replayed all_that_is_seen 0 "^0 answers differ" all "$DIR/mirror.bpf.o"
while read -r; do ktap_print_msg "$REPLY"; done < "$WORK/report"
for hook in cfs_check_preempt_wakeup cfs_wakeup_preempt_entity cfs_check_preempt_tick cfs_slice; do
	check "enough_of_$hook" "$(rows "(\$1 == \"$hook\") * \$2")" -gt 50
	check "opinions_on_$hook" "$(rows "(\$1 == \"$hook\") * (\$3 + \$5)")" -gt 20
done

# One whose answers follow from all that it was asked before.
record state "$DIR/replay.bpf.o"
replayed state 0 "^0 answers differ" state "$DIR/replay.bpf.o"
check state_is_asked "$(rows "\$5")" -gt 100

# A policy for production, and what it would have answered if set otherwise.
record learned "$POLICIES/learned.bpf.o"
replayed learned 0 "^0 answers differ" learned "$POLICIES/learned.bpf.o"
replayed set_otherwise 1 \
	"cfs_slice after [0-9.]+ s on CPU [01], about .*: 350000 recorded, 0 now" \
	learned "$POLICIES/learned.bpf.o" --set short_ns=0 --show 1000000
replay learned "$POLICIES/learned.bpf.o" --set short_ns=0 --show 3 > "$WORK/report"
check shown "$(grep -c " recorded, .* now" "$WORK/report")" -eq 3
# One that says on which CPU. No lock keeps a CPU idle while it is asked.
record pack "$POLICIES/pack.bpf.o"
replay pack "$POLICIES/pack.bpf.o" > "$WORK/report"
check pack "$(sed -n 's/ answers differ$//p' "$WORK/report")" -lt 5
check pack_has_opinions "$(rows "\$5")" -gt 10
replayed another_policy 1 "^[1-9][0-9]* answers differ" pack "$POLICIES/prefer.bpf.o"

# No policy: what one would answer.
record none
replayed no_policy 0 "answered by no policy" none "$DIR/mirror.bpf.o"
check no_policy_is_asked "$(rows "\$2")" -gt 200

# What was not recorded.
nr=0
for what in "random bpf_get_prandom_u32\(\)" \
	    "member task_struct.se.avg.util_est.*--field se.avg.util_est" \
	    "memory task_struct.real_parent.*--field real_parent" \
	    "function bpf_sched_cpu_nr_runnable\(\)" "full_map map 'full' is nearly full"; do
	status "stops_at_${what%% *}" 1 "replay_slice stopped at question .*${what#* }" \
		replay none "$DIR/replay.bpf.o" --set wants=$((++nr))
done
status stops_at_shared_map 1 "map 'holding' is written by others too" \
	replay none "$POLICIES/holder.bpf.o"
record field --field se.avg.util_est --field se.avg --field in_iowait
status field 0 "answered by no policy" replay field "$DIR/replay.bpf.o" --set wants=2

# Nobody else may read addresses of the kernel.
status mode 0 "^600$" stat -c %a "$WORK/none"
# Not even before it is said that it cannot be replayed.
status nothing_is_pinned 2 "No such file" ls /sys/fs/bpf/holding

# Wrong input.
status two_policies 1 "answer.bpf.o: [0-9]+ policies in it; one can be replayed" \
	replay none "$DIR/answer.bpf.o"
status no_field 1 "^sched-bpf: error: --field se.nope: task_struct.se has no member 'nope'" \
	"$TOOL" record --all -o "$WORK/x" --field se.nope
status no_whom 2 "--cgroup <PATH>\|--all" "$TOOL" record -o "$WORK/x"
status set_of_none 1 "are of a policy; give its FILE" \
	"$TOOL" record --all -o "$WORK/x" --set a=1
status no_place 1 "/no/such/x: No such file" "$TOOL" record --all -o /no/such/x --seconds 0
status no_recording 1 "replay.sh: not a recording" "$TOOL" replay "$0" "$DIR/mirror.bpf.o"
head -c 20000 "$WORK/none" > "$WORK/cut"
status cut_off 1 "cut: the recording is cut off" replay cut "$DIR/mirror.bpf.o"
ktap_finished
