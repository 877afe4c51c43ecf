#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# tools/sched_bpf: what sched-bpf attaches, where, and what it says. It is the one in
# PATH, or that of SCHED_BPF.

DIR=$(dirname "$(readlink -f "$0")")
source "$DIR/../kselftest/ktap_helpers.sh"
source "$DIR/expect.sh"

TOOL=${SCHED_BPF:-sched-bpf}
BPFTOOL=$DIR/bpftool
CGROUP=/sys/fs/cgroup/sched_bpf_tool
PINS=/sys/fs/bpf/sched_bpf
KNOBS=/sys/kernel/bpf_sched
OUT=$(mktemp)
GO=$(mktemp -u)
# Something that fits no other test.
export PATH=$DIR:$PATH

# said PATTERN: wait until what runs in the background has printed such a line.
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

	# Not what the one before has printed.
	: > "$OUT"
	"$@" > "$OUT" 2>&1 &
	loader=$!
	said "$pattern" || ktap_print_msg "which was started as: $*"
}

# go: what waits for that goes on. Nobody may read if it has failed before.
go()
{
	timeout 10 sh -c "echo > $GO"
}

# ended NAME STATUS PATTERN: what was started has ended so.
ended()
{
	wait "$loader"
	status "$1" "$2" "$3" sh -c "cat $OUT; exit $?"
}

# json EXPRESSION: of what is attached, in Python, as "p" by name.
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
	echo 100000000 > "$KNOBS/max_slice_ns"
	echo 20 > "$KNOBS/max_share"
	rmdir "$CGROUP" 2>/dev/null
}

ktap_print_header
if ! command -v "$TOOL" > /dev/null; then
	ktap_skip_all "no sched-bpf in PATH: make -C tools/sched_bpf"
	exit "$KSFT_SKIP"
fi
ktap_set_plan 80
mountpoint -q /sys/fs/bpf || mount -t bpf none /sys/fs/bpf
trap cleanup EXIT
mkdir -p "$CGROUP"
mkfifo "$GO"

# The command line.
status no_command 2 "^sched-bpf: error: no command given" "$TOOL"
status tip_option 2 "'--cgruop'.*'--cgroup'" "$TOOL" attach --cgruop x
status tip_command 2 "'lsit'.*'list'" "$TOOL" lsit
status no_target 1 "no target given: --pid, --tgid, --cgroup or --all" "$TOOL" attach
status no_cgroup 1 "^sched-bpf: error: --cgroup /no/cgroup: there is none; a directory of" \
	"$TOOL" attach --cgroup /no/cgroup
status no_number 2 "'x' for '--cap <MS>': a whole number is expected" "$TOOL" attach --all --cap x
status bad_cgroup 1 "^sched-bpf: error: --cgroup /tmp: not a cgroup" "$TOOL" attach --cgroup /tmp
status bad_pid 1 "--pid 2147483647: no such process or thread" "$TOOL" attach --pid 2147483647
status keep_pid 2 "--keep.*cannot be used with.*--pid|--pid.*cannot be used with.*--keep" \
	"$TOOL" attach --keep --pid 1
status cap_range 1 "--cap 200: out of range; 1 to 100 milliseconds" "$TOOL" attach --all --cap 200
echo 50000000 > "$KNOBS/max_slice_ns"
status cap_of_kernel 1 "--cap 60: out of range; 1 to 50 milliseconds" "$TOOL" attach --all --cap 60
echo 100000000 > "$KNOBS/max_slice_ns"
status nothing 0 "^no policy is attached$" "$TOOL" list

# A cgroup: by a link, which ends with it.
start ^attached "$TOOL" attach --cgroup "$CGROUP" --cap 20
status list_target 0 "protect_cgroup +bpf +$CGROUP +20ms +obeyed +cfs_check_preempt_tick" \
	"$TOOL" list
status link_cgroup 0 "cgroup_id [0-9]+" "$BPFTOOL" link show
status json_cap 0 "^20000000 $CGROUP False True$" \
	json "p['protect_cgroup']['options']['cap_ns'], p['protect_cgroup']['target'],
	      p['protect_cgroup']['shadow'], all['enabled']"
rmdir "$CGROUP"
ended cgroup_removed 1 \
	"^sched-bpf: error: policy protect_cgroup was detached: its cgroup $CGROUP was removed"
mkdir -p "$CGROUP"

# Ended by a signal, and by others.
start ^attached "$TOOL" attach --all
kill "$loader"
ended signal 0 ^attached
start ^attached "$TOOL" attach --all
id=$("$TOOL" list --json | sed -n 's/^ *"link": \([0-9]*\),/\1/p' | head -n 1)
"$BPFTOOL" link detach id "$id"
ended by_another 1 "policy protect_all was detached: by another process"

# A process, by more than its number.
sleep 100 &
sleeper=$!
start ^attached "$TOOL" attach --pid "$sleeper"
status list_thread 0 "protect_pid +bpf +thread $sleeper +10ms" "$TOOL" list
kill "$sleeper"
ended task_ended 0 "^detached: $sleeper has ended"

# In the shadow; the order of several.
start ^attached "$TOOL" attach --cgroup "$CGROUP" --shadow
status list_shadow 0 "protect_cgroup .* shadow " "$TOOL" list
kill "$loader"
ended shadow 0 ^attached
status keep 0 "^attached and kept: $PINS/protect_all-[0-9]+$" "$TOOL" attach --all --keep
first=$(basename "$PINS"/protect_all-*)
status keep_file 0 "^attached and kept: $PINS/protect_batch-" \
	"$TOOL" attach "$DIR/readme.bpf.o" --all --before --keep --set batch=7
status before 0 "^0 1$" json "p['protect_batch']['position'], p['protect_all']['position']"
"$TOOL" detach "$(basename "$PINS"/protect_batch-*)" > /dev/null
"$TOOL" attach "$DIR/readme.bpf.o" --all "--after=$first" --preorder --keep > "$OUT" 2>&1
status after_other_kind 0 "--preorder" cat "$OUT"
status after_link 0 ^attached \
	"$TOOL" attach "$DIR/readme.bpf.o" --all "--after=$first" --keep --shadow
status after 0 "^1 True$" json "p['protect_batch']['position'], p['protect_batch']['shadow']"
status relative_bad 1 "--before=4000000000: no link of this number" \
	"$TOOL" attach --all --before=4000000000

status relative_is_no_file 1 "$first: no such file; a link is given as --before=$first" \
	"$TOOL" attach --all --before "$first"

# Replaced: the same attachment, another table.
id=$(json "p['protect_all']['id']")
status replace 0 "^replaced: $PINS/$first, now protect_all" \
	"$TOOL" replace "$first" --cap 30 --shadow
status replaced 0 "^$id 30000000 True$" \
	json "p['protect_all']['id'], p['protect_all']['options']['cap_ns'],
	      p['protect_all']['shadow']"
status replace_file 0 "$first, now protect_batch" \
	"$TOOL" replace "${first##*-}" "$DIR/readme.bpf.o"
status replace_another 1 "it is the policy protect_batch, and not protect_all, which comes" \
	"$TOOL" replace "$first" --cap 5
status replace_several 1 "several policies, none named" "$TOOL" replace "$first" "$DIR/answer.bpf.o"
status replace_nothing 1 "no such pin" "$TOOL" replace nothing
status replace_no_link 1 "link 4000000000: nothing is kept by" "$TOOL" replace 4000000000

# Bad objects and options.
status no_file 1 "^sched-bpf: error: /no/file: no such file" "$TOOL" attach /no/file --all
status no_object 1 "not a BPF object" "$TOOL" attach "$DIR/settings" --all
status no_option 1 "--set x=1: no option of this name; there are: batch" \
	"$TOOL" attach "$DIR/readme.bpf.o" --all --set x=1
status no_option_of_own 1 "--set mode=1: the policy that comes with sched-bpf has no options but" \
	"$TOOL" attach --all --set mode=1
status bad_option 1 "--set batch=y: 'y' is no number" \
	"$TOOL" attach "$DIR/readme.bpf.o" --all --set batch=y
status nameless 1 "refuses the table: its \.name '' is none: up to 15 letters, digits" \
	"$TOOL" attach "$DIR/nameless.bpf.o" --all
asked="it is asked int cfs_check_preempt_tick\(struct sched_entity \*"
status mistaken 1 "prog 'mistaken_tick': .*; $asked" \
	"$TOOL" attach "$DIR/mistaken.bpf.o" --all
status file_pid 1 "takes --cgroup or --all" "$TOOL" attach "$DIR/readme.bpf.o" --pid 1
status file_cap 1 "no --cap" "$TOOL" attach "$DIR/readme.bpf.o" --all --cap 5

# All pins, though one is bad.
"$BPFTOOL" map create "$PINS/a_map" type array key 4 value 4 entries 1 name a_map
status detach_all 1 "a_map: not a pinned BPF link" "$TOOL" detach --all
status detached_others 0 "^a_map$" ls "$PINS"
rm "$PINS/a_map"
status detach_none 0 "^nothing is kept in $PINS" "$TOOL" detach --all
status detach_nothing 1 "no such pin" "$TOOL" detach nothing

# A command: all that it starts, its status, its signals.
status run_descendants 0 "/sched-bpf-run-[0-9]+$" \
	"$TOOL" run -- sh -c 'sh -c "sleep 0.1; cat /proc/self/cgroup"; true'
# Below the cgroup of the caller, which need not be the root.
status run_cgroup_gone 0 "^0$" sh -c "find /sys/fs/cgroup -name 'sched-bpf-run-*' | wc -l"
status run_left 0 "^0$" sh -c "$TOOL run -- sh -c 'sleep 50 >/dev/null 2>&1 & true'; \
	find /sys/fs/cgroup -name 'sched-bpf-run-*' | wc -l"
pkill -x sleep
start ^ready "$TOOL" run -- sh -c "echo ready; read x < $GO; exit 5"
status run_target 0 "protect_cgroup +bpf +/sys/fs/cgroup(/[^ ]+)?/sched-bpf-run-$loader " \
	"$TOOL" list
go
ended run_status 5 ^ready
status run_not_found 127 "command 'no-such-command' cannot be executed: No such file" \
	"$TOOL" run -- no-such-command
status run_not_executable 126 "Permission denied" "$TOOL" run -- /etc/passwd
status run_fails 125 "cap 999" "$TOOL" run --cap 999 -- true
start ^ready "$TOOL" run -- sh -c 'trap "exit 9" USR1; echo ready; while :; do sleep 0.1; done'
kill -USR1 "$loader"
ended run_signal 9 ^ready
start ^ready "$TOOL" run -- sh -c 'echo ready; exec sleep 100'
kill -TERM "$loader"
ended run_killed 143 ^ready
status run_sigpipe 0 "^y$" sh -c "$TOOL run -- sh -c 'yes | head -n 1' 2>&1 | sed 's/^[^y].*/BAD/'"
status run_sigpipe_quiet 1 "^$" sh -c "$TOOL run -- sh -c 'yes | head -n 1' 2>&1 | grep -v '^y$'"
start ^ready "$TOOL" run -- sh -c "echo ready; read x < $GO"
"$BPFTOOL" link detach id "$("$TOOL" list --json |
	sed -n 's/^ *"link": \([0-9]*\),/\1/p' | head -n 1)"
said "was detached"
go
ended run_lost 125 "was detached: by another process.*; the command goes on without it"

# On a terminal, of which only what changes is written: nobody waits until that is asked for.
top()
{
	(sleep 2; printf "%s" "$1"; sleep 10; printf q) |
		script -qec "stty rows 24 cols 80; $TOOL top --interval 1" /dev/null
}
"$TOOL" attach --all --shadow --keep > /dev/null
status top 0 "protect_all" top ""
status top_counts_no_waits 0 "^0$" sh -c "$(declare -f top); TOOL=$TOOL; top '' | grep -c p99; true"
status top_waits 0 "p99" top w
"$TOOL" detach --all > /dev/null

# Closed standard output.
status closed_pipe 0 "^0$" \
	sh -c "{ $TOOL list --json; $TOOL --help; } 2>&1 | head -n 1 >/dev/null; \
	$TOOL list 2>&1 >/dev/full | grep -c panicked; true"
status full_output 1 "standard output: No space" sh -c "$TOOL list > /dev/full"

# What the documentation says of maps, and of a program in the shadow.
start ^attached "$TOOL" attach "$DIR/maps.bpf.o" --all --shadow
# Nobody is asked about who wakes up on an idle CPU.
soon eval '"$BPFTOOL" map dump name recent | grep -q "\"key\": [1-9]"'
status maps 0 '"key": [1-9]' "$BPFTOOL" map dump name recent
status shadow_program 0 "^remember|remember +bpf +system +- +shadow" "$TOOL" list
kill "$loader"
ended maps_end 0 "^attached: remember"

# What needs no loader at all.
status loadall 0 "^$" "$BPFTOOL" prog loadall "$DIR/readme.bpf.o" "$PINS/readme" autoattach
status loadall_attached 0 "protect_batch +bpf +system" "$TOOL" list
rm -rf "$PINS/readme"

# Too much time.
echo 1 > "$KNOBS/max_share"
for _ in 1 2 3 4; do timeout 30 sh -c 'while :; do :; done' & done
start "was detached" "$TOOL" attach "$DIR/slow.bpf.o" --all
ended too_slow 1 "was detached: it took too much time of a CPU \(bound: $KNOBS/max_share\)"
pkill -f 'while :; do :; done'
echo 20 > "$KNOBS/max_share"

# Switched off.
echo 0 > "$KNOBS/enabled"
start ^attached "$TOOL" attach --all
status off_attach 0 "warning: $KNOBS/enabled is 0: policies are switched off" cat "$OUT"
status off_list 0 "^switched off: no policy is asked until 1 is written to" "$TOOL" list
status off_json 0 "^False$" json "all['enabled']"
kill "$loader"
ended off 0 ^attached
echo 1 > "$KNOBS/enabled"

# The counters count.
start ^ready "$TOOL" run -- \
	sh -c "i=0; while [ \$i -lt 200000 ]; do i=\$((i + 1)); done; echo ready; read x < $GO"
status counted 0 "^True$" json "sum(h['calls'] for h in p['protect_cgroup']['hooks']) > 0"
go
ended run_counted 0 ^ready

ktap_finished
