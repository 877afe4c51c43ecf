#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Commands of sched-bpf: what they attach, print and return. sched-bpf is the one in PATH, or
# that of SCHED_BPF.

DIR=$PWD/build/kselftest/sched_bpf
source "$DIR/../kselftest/ktap_helpers.sh"
source "$DIR/expect.sh"

TOOL=${SCHED_BPF:-sched-bpf}
BPFTOOL=$DIR/bpftool
CGROUP=/sys/fs/cgroup/sched_cli
PINS=/sys/fs/bpf/sched_bpf
KNOBS=/sys/module/bpf_sched/parameters
MAX_SLICE=$(cat "$KNOBS/max_slice_ns" 2>/dev/null)
OUT=$(mktemp)
GO=$(mktemp -u)
export PATH=$DIR:$PATH

# said PATTERN: wait until the background command has printed such a line.
said()
{
	for _ in {1..100}; do
		grep -qE -e "$1" "$OUT" && return
		kill -0 "$loader" 2>/dev/null || break
		sleep 0.1
	done
	ktap_print_msg "has not printed \"$1\": $(cat "$OUT")"
	return 1
}

# start PATTERN COMMAND...: in the background, until it has printed such a line.
start()
{
	local pattern=$1
	shift

	# Without the lines of an earlier one.
	: > "$OUT"
	"$@" > "$OUT" 2>&1 &
	loader=$!
	said "$pattern" || ktap_print_msg "it was started as: $*"
}

# go: let a command that waits for it go on. There may be no reader if it has failed.
go()
{
	timeout 10 sh -c "echo > $GO"
}

# ended NAME STATUS PATTERN: the background command has this status and such a line.
ended()
{
	wait "$loader"
	status "$1" "$2" "$3" sh -c "cat $OUT; exit $?"
}

# json EXPRESSION: in Python, of attached policies, as "p" by name.
json()
{
	"$TOOL" list --json | python3 -c "
import json, sys
all = json.load(sys.stdin)
p = {x['name']: x for x in all['policies']}
print($1)"
}

cleanup()
{
	"$TOOL" detach --all > /dev/null 2>&1
	rm -rf "$PINS" "$OUT" "$GO"
	echo 1 > "$KNOBS/enabled"
	echo "$MAX_SLICE" > "$KNOBS/max_slice_ns"
	echo 20 > "$KNOBS/max_share"
	rmdir "$CGROUP" 2>/dev/null
}

ktap_print_header
if ! command -v "$TOOL" > /dev/null; then
	ktap_skip_all "no sched-bpf in PATH: make -C sched-bpf"
	exit "$KSFT_SKIP"
fi
ktap_set_plan 87
mountpoint -q /sys/fs/bpf || mount -t bpf none /sys/fs/bpf
trap cleanup EXIT
mkdir -p "$CGROUP"
mkfifo "$GO"

# The command line.
status no_command 2 "^sched-bpf: error: give a command" "$TOOL"
status tip_option 2 "'--cgruop'.*'--cgroup'" "$TOOL" attach --cgruop x
status tip_command 2 "'lsit'.*'list'" "$TOOL" lsit
status no_target 2 "no target; give --cgroup, --unit, --pid, --tid or --all" "$TOOL" attach
status all_needs_file 2 "--all needs a FILE" "$TOOL" attach --all
status all_not_protect 2 "--all needs a FILE" "$TOOL" attach protect --all
status no_cgroup 2 "^sched-bpf: error: --cgroup /no/cgroup: does not exist; give a directory" \
	"$TOOL" attach --cgroup /no/cgroup
status no_unit 2 "--unit no.service: " "$TOOL" attach --unit no.service
status unit_of_slice 2 "--unit no.slice: the unit is not active" "$TOOL" attach --unit no.slice
status cap_without_unit 2 "'5' for '--cap <TIME>': give a time with its unit, such as 500us" \
	"$TOOL" attach --cgroup "$CGROUP" --cap 5
status bad_cgroup 2 "^sched-bpf: error: --cgroup /tmp: not a cgroup" "$TOOL" attach --cgroup /tmp
status bad_tid 2 "--tid 2147483647: no such process or thread" "$TOOL" attach --tid 2147483647
status pin_pid 2 "--pin.*cannot be used with.*--pid|--pid.*cannot be used with.*--pin" \
	"$TOOL" attach --pin --pid 1
status cap_range 2 "--cap 200ms: out of range; give 100us to 10ms" \
	"$TOOL" attach --cgroup "$CGROUP" --cap 200ms
echo 5000000 > "$KNOBS/max_slice_ns"
status cap_of_kernel 2 "--cap 6ms: out of range; give 100us to 5ms" \
	"$TOOL" attach --cgroup "$CGROUP" --cap 6ms
echo "$MAX_SLICE" > "$KNOBS/max_slice_ns"
status nothing 0 "^no policy is attached$" "$TOOL" list

# Bundled policies and files.
status policies 0 "^learned$" "$TOOL" policies
status policies_options 0 "--set slice_ns=1000000 \(1ms\)" "$TOOL" policies
status inspect 0 "policy answer_tick: cfs_check_preempt_tick" "$TOOL" inspect "$DIR/answer.bpf.o"
status inspect_json 0 '"slice_ns": 1000000' "$TOOL" inspect slice --json

# A cgroup: by a link, which ends with it.
start ^attached "$TOOL" attach --cgroup "$CGROUP" --cap 8ms
status list_target 0 "protect_cgroup +enabled +$CGROUP +preempt_tick" "$TOOL" list
status list_100_columns 0 "^0$" sh -c "$TOOL list | grep -cE '.{101}'; true"
status link_cgroup 0 "cgroup_id [0-9]+" "$BPFTOOL" link show
status json_cap 0 "^8000000 $CGROUP enabled True$" \
	json "p['protect_cgroup']['options']['cap_ns'], p['protect_cgroup']['target'],
	      p['protect_cgroup']['state'], all['enabled']"
rmdir "$CGROUP"
ended cgroup_removed 1 \
	"^sched-bpf: error: policy protect_cgroup was detached: its cgroup $CGROUP was removed"
mkdir -p "$CGROUP"

# Ended by a signal, and by others.
start ^attached "$TOOL" attach pass --all
kill "$loader"
ended signal 0 ^attached
start ^attached "$TOOL" attach pass --all
"$BPFTOOL" link detach id "$(json "p['pass']['link']")"
ended by_another 1 "policy pass was detached by another process"

# A task, by more than its id.
sleep 100 &
sleeper=$!
start ^attached "$TOOL" attach --tid "$sleeper"
status list_thread 0 "protect_tid +enabled +thread $sleeper " "$TOOL" list
kill "$sleeper"
ended task_ended 0 "^detached: protect_tid, its task has ended"

# Shadow mode; the order of several; the examples of the kernel.
start ^attached "$TOOL" attach --cgroup "$CGROUP" --shadow
status list_shadow 0 "protect_cgroup +shadow " "$TOOL" list
kill "$loader"
ended shadow 0 ^attached
status shadow_program 0 "^pinned: $PINS/batch-" "$TOOL" attach batch --all --shadow --pin
status shadow_program_listed 0 "batch +shadow +/sys/fs/cgroup " "$TOOL" list
"$TOOL" detach --all > /dev/null
status pin 0 "^pinned: $PINS/pass-[0-9]+$" "$TOOL" attach pass --all --pin
first=$(basename "$PINS"/pass-*)
status pin_file 0 "^pinned: $PINS/slice-" \
	"$TOOL" attach slice --all --before --pin --shadow --set slice_ns=500us
status before 0 "^0 1 500000$" \
	json "p['slice']['position'], p['pass']['position'], p['slice']['options']['slice_ns']"
"$TOOL" detach "$(basename "$PINS"/slice-*)" > /dev/null
status after_other_kind 2 "--preorder" \
	"$TOOL" attach slice --all "--after=$first" --preorder --pin
status after_link 0 ^pinned "$TOOL" attach slice --all "--after=$first" --pin --shadow
status after 0 "^1 shadow$" json "p['slice']['position'], p['slice']['state']"
status relative_bad 2 "--before=4000000000: no link with this id" \
	"$TOOL" attach pass --all --before=4000000000
status relative_is_no_file 2 "give the link as --before=$first" \
	"$TOOL" attach --all --before "$first"

# Replaced: the same link, other ops. Afterwards the new name is the one that is blamed.
link=$(json "p['pass']['link']")
status replace 0 "^replaced: $PINS/$first, now learned" "$TOOL" replace "$first" learned --shadow
status replaced 0 "^$link shadow$" json "p['learned']['link'], p['learned']['state']"
status replace_by_link 0 "$first, now batch" "$TOOL" replace "${first##*-}" batch --shadow
status replace_needs_file 2 "required arguments were not provided" "$TOOL" replace "$first"
status replace_several 2 "several policies, none named" "$TOOL" replace "$first" "$DIR/answer.bpf.o"
status replace_nothing 2 "no such pin" "$TOOL" replace nothing pass
status replace_no_link 2 "link 4000000000: no pin is of a link" "$TOOL" replace 4000000000 pass

# Bad objects and options.
status no_file 2 "^sched-bpf: error: /no/file: no such file" "$TOOL" attach /no/file --all
status no_bundled 2 "lerned: no such file, nor a bundled policy; there are announced" \
	"$TOOL" attach lerned --all
status no_object 2 "not a BPF object" "$TOOL" attach "$DIR/settings" --all
status no_option 2 "--set x=1: no such option; there are slice_ns" \
	"$TOOL" attach slice --all --set x=1
status no_option_of_protect 2 "--set mode=1: it has no options but --cap" \
	"$TOOL" attach --cgroup "$CGROUP" --set mode=1
status bad_option 2 "--set slice_ns=y: 'y' is not a number or a time" \
	"$TOOL" attach slice --all --set slice_ns=y
status file_pid 2 "for the policy protect" "$TOOL" attach slice --pid 1
status file_cap 2 "no --cap" "$TOOL" attach slice --all --cap 5ms

# All pins, though one is bad.
"$BPFTOOL" map create "$PINS/a_map" type array key 4 value 4 entries 1 name a_map
status detach_all 2 "a_map: not a pinned BPF link" "$TOOL" detach --all
status detached_others 0 "^a_map$" ls "$PINS"
rm "$PINS/a_map"
status detach_none 0 "^nothing: no pin" "$TOOL" detach --all
status detach_nothing 2 "no such pin" "$TOOL" detach nothing

# A command: all that it starts, its status, its signals.
status run_descendants 0 "/sched-bpf-run-[0-9]+$" \
	"$TOOL" run -- sh -c 'sh -c "sleep 0.1; cat /proc/self/cgroup"; true'
# Below the cgroup of the caller, which need not be the root.
status run_cgroup_gone 0 "^0$" sh -c "find /sys/fs/cgroup -name 'sched-bpf-run-*' | wc -l"
status run_left 0 "^0$" sh -c "$TOOL run -- sh -c 'sleep 50 >/dev/null 2>&1 & true'; \
	find /sys/fs/cgroup -name 'sched-bpf-run-*' | wc -l"
pkill -x sleep
start ^ready "$TOOL" run -- sh -c "echo ready; read x < $GO; exit 5"
status run_target 0 "^/sys/fs/cgroup(/[^ ]+)?/sched-bpf-run-$loader$" \
	json "p['protect_cgroup']['target']"
go
ended run_status 5 ^ready
status run_not_found 127 "command 'no-such-command' cannot be executed: No such file" \
	"$TOOL" run -- no-such-command
status run_not_executable 126 "Permission denied" "$TOOL" run -- /etc/passwd
status run_fails 125 "cap 999ms" "$TOOL" run --cap 999ms -- true
start ^ready "$TOOL" run -- sh -c 'trap "exit 9" USR1; echo ready; while :; do sleep 0.1; done'
kill -USR1 "$loader"
ended run_signal 9 ^ready
start ^ready "$TOOL" run -- sh -c 'echo ready; exec sleep 100'
kill -TERM "$loader"
ended run_killed 143 ^ready
status run_sigpipe 0 "^y$" sh -c "$TOOL run -- sh -c 'yes | head -n 1' 2>&1 | sed 's/^[^y].*/BAD/'"
start ^ready "$TOOL" run -- sh -c "echo ready; read x < $GO"
"$BPFTOOL" link detach id "$(json "p['protect_cgroup']['link']")"
said "was detached"
go
ended run_lost 125 "was detached by another process; the command goes on without it"

# Rates.
"$TOOL" attach pass --all --shadow --pin > /dev/null
status top 0 "pass +shadow +/sys/fs/cgroup +preempt_wakeup" "$TOOL" top --count 1 --interval 1s
status top_no_terminal 2 "give --count N" "$TOOL" top
"$TOOL" detach --all > /dev/null

# Closed standard output.
status closed_pipe 0 "^0$" \
	sh -c "{ $TOOL list --json; $TOOL --help; } 2>&1 | head -n 1 >/dev/null; \
	$TOOL list 2>&1 >/dev/full | grep -c panicked; true"
status full_output 2 "standard output: No space" sh -c "$TOOL list > /dev/full"

# Too much time. The name is that of the ops which took it.
echo 1 > "$KNOBS/max_share"
for _ in 1 2 3 4; do timeout 60 sh -c 'while :; do :; done' & done
start "was disabled|error" "$TOOL" attach "$DIR/slow.bpf.o" --all
ended too_slow 1 "policy slow.* was disabled: it took more CPU time than $KNOBS/max_share allows"
pkill -f 'while :; do :; done'
echo 20 > "$KNOBS/max_share"

# The kill switch.
status status_on 0 "^policies are on$" "$TOOL" status
status off 0 "^policies: off$" "$TOOL" off
status status_off 1 "^policies are off$" "$TOOL" status
start ^attached "$TOOL" attach pass --all
status off_attach 0 "warning: policies are off; turn them on: sched-bpf on" cat "$OUT"
status off_list 0 "^policies are off; turn them on" "$TOOL" list
status off_json 0 "^False$" json "all['enabled']"
kill "$loader"
ended off_ended 0 ^attached
status on 0 '"what":"on"' "$TOOL" on --json

# The counters count.
start ^ready "$TOOL" run -- \
	sh -c "i=0; while [ \$i -lt 200000 ]; do i=\$((i + 1)); done; echo ready; read x < $GO"
status counted 0 "^True$" json "sum(h['calls'] for h in p['protect_cgroup']['hooks']) > 0"
go
ended run_counted 0 ^ready

ktap_finished
