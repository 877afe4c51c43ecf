#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# sched-bpf ab: a trial finds an effect that is there, and none where there is none. sched-bpf
# is the one in PATH, or that of SCHED_BPF.

DIR=$PWD/build/kselftest/sched_bpf
source "$DIR/../kselftest/ktap_helpers.sh"
source "$DIR/expect.sh"

TOOL=${SCHED_BPF:-sched-bpf}
CGROUP=/sys/fs/cgroup/sched_bpf_ab
KNOBS=/sys/module/bpf_sched/parameters
WORK=$(mktemp -d)
SHORT="--window 500ms --burn-in 100ms"
SEEDS="1 2 3"

# trial ARGUMENT...: write the report, and return the exit status. A differs from itself by
# chance in one of 20 trials: then run another one.
trial()
{
	local seed

	for seed in $SEEDS; do
		# shellcheck disable=SC2086
		"$TOOL" ab "$@" --measure "$CGROUP" $SHORT --seed "$seed" \
			--json > "$WORK/json" 2> "$WORK/log"
		rc=$?
		grep -q "differs from itself" "$WORK/log" || return "$rc"
	done
	while read -r line; do ktap_print_msg "$line"; done < "$WORK/log"
}

# json EXPRESSION: in Python, of the report "r", with its metrics by name as "t".
json()
{
	python3 -c "
import json
r = json.load(open('$WORK/json'))
t = {x['metric']: x for x in r['trial']}
print($1)"
}

# attached: how many policies are.
attached()
{
	"$TOOL" list --json | python3 -c "
import json, sys
print(len(json.load(sys.stdin)['policies']))"
}

# policy: link and cap, in milliseconds, of the only policy that is attached.
policy()
{
	"$TOOL" list --json | python3 -c "
import json, sys
[p] = json.load(sys.stdin)['policies']
print(p['link'], p['options']['cap_ns'] // 1000000)"
}

# in_window PATTERN: wait for that window.
in_window()
{
	for _ in {1..500}; do
		tail -n 1 "$WORK/log" | grep -q "$1" && return
		kill -0 "$loader" 2> /dev/null || break
		sleep 0.02
	done
	ktap_print_msg "no window \"$1\""
	return 1
}

# until_window PATTERN ARGUMENT...: a trial in the background, until it is in that window. As
# for trial(), another one if A differs from itself.
until_window()
{
	local pattern=$1 seed
	shift

	for seed in 1 2 3; do
		: > "$WORK/log"
		"$TOOL" ab "$@" --window 1s --burn-in 100ms --aa-blocks 2 --seed "$seed" \
			> "$WORK/said" 2> "$WORK/log" &
		loader=$!
		in_window "$pattern" && return
		grep -q "differs from itself" "$WORK/log" || break
	done
}

cleanup()
{
	kill "$hog" "$sleeper" 2> /dev/null
	wait 2> /dev/null
	echo 1 > "$KNOBS/enabled"
	rmdir "$CGROUP" "$CGROUP-other" 2> /dev/null
	rm -rf "$WORK"
}

ktap_print_header
if ! command -v "$TOOL" > /dev/null; then
	ktap_skip_all "no sched-bpf in PATH: make -C sched-bpf"
	exit "$KSFT_SKIP"
fi
ktap_set_plan 33
mkdir -p "$CGROUP"

# A task that sleeps shares a CPU with one that is CPU-bound.
taskset -c 1 sh -c 'while :; do :; done' &
hog=$!
taskset -c 1 python3 -c '
import time
while True:
    time.sleep(0.002)' &
sleeper=$!
trap cleanup EXIT
echo "$sleeper" > "$CGROUP/cgroup.procs"
wakeups="sed -n 's/^voluntary_ctxt_switches://p' /proc/$sleeper/status"

# The command line.
status no_arms 2 "required arguments were not provided" "$TOOL" ab
status no_target 2 "required arguments were not provided.*--cgroup" "$TOOL" ab none protect
status bad_cap 2 "arm A: protect:5: give a time with its unit" \
	"$TOOL" ab protect:5 none --cgroup "$CGROUP"
status bad_metric 2 "no such metric; there are wakeup_mean_us" \
	"$TOOL" ab none batch --all --at-most p99=1
status burn_in 2 "--burn-in 10s: give less than --window, which is 10s" \
	"$TOOL" ab none batch --all --burn-in 10s
status bad_counter 2 "--throughput 'echo x': .*'x' is not a number" \
	"$TOOL" ab none batch --all --throughput "echo x"
status none_has_no_options 2 "arm A: x=1: none has no options" \
	"$TOOL" ab none batch --all --set-a x=1
status not_measured 2 "throughput_per_s needs --throughput" \
	"$TOOL" ab none batch --all --metric throughput_per_s
status protect_all 2 "--all with protect would end wakeup preemption" "$TOOL" ab none protect --all
# A counter that hangs does not keep the trial from ending, with its children.
status counter_hangs 2 "it did not end within 5s" \
	timeout 20 "$TOOL" ab none batch --all --throughput "sleep 1000; echo 1"
status counter_ended 1 "^$" pgrep -f "sleep 1000"

echo 0 > "$KNOBS/enabled"
status off 2 "policies are off, so there is nothing to compare" "$TOOL" ab none batch --all
echo 1 > "$KNOBS/enabled"

# Where no wakee preempts, the sleeper waits for the slice of the other task.
trial none batch --all --aa-blocks 6 --blocks 8 --throughput "$wakeups"
status effect_status 0 "^1$" echo "$?"
status effect 0 "^planned True$" json "r['end'], t['wakeup_mean_us']['change']['low'] > 2"
status effect_throughput 0 "^True$" json "t['throughput_per_s']['change']['high'] < 0"
status placebo_attaches 0 "^none pass$" json "r['a'], r['a_again']"
status blocks 0 "^28 True$" \
	json "len(r['windows']), all(r['windows'][i]['block'] == r['windows'][i + 1]['block'] and
	      r['windows'][i]['arm'] != r['windows'][i + 1]['arm'] for i in range(0, 28, 2))"
status nothing_left 0 "^0$" attached

# Two policies that keep every default do not differ. An interval misses the truth in one of 20
# trials: then it is another one.
for seeds in "1 2 3" "4 5 6" "7 8 9"; do
	SEEDS=$seeds trial pass pass --all --aa-blocks 6 --blocks 8 && break
done
status no_effect 0 "^planned True$" \
	json "r['end'], t['wakeup_mean_us']['change']['low'] <= 1 <= t['wakeup_mean_us']['change']['high']"

# A counter that knows the arm: A differs from itself, and nothing is said of B.
cat > "$WORK/count" << END
n=\$(cat $WORK/n 2> /dev/null || echo 0)
tail -n 1 $WORK/log | grep -q ', B (' && n=\$((n + 1000))
echo \$((n + 10)) | tee $WORK/n
END
: > "$WORK/log"
"$TOOL" ab protect:5ms protect:8ms --cgroup "$CGROUP" --window 300ms --burn-in 100ms --aa-blocks 5 \
	--throughput "sh $WORK/count" > "$WORK/said" 2> "$WORK/log"
status differs_status 0 "^2$" echo "$?"
status differs_from_itself 0 "error: A differs from itself in (.*, )?throughput_per_s" \
	cat "$WORK/log"
status says_nothing 0 "^0$" sh -c "grep -c 'under B' $WORK/said || true"

# A counter that is not there any more: the windows until then are reported.
echo 1 > "$WORK/n"
until_window "A with B, B" none batch --all --throughput "cat $WORK/n"
rm "$WORK/n"
wait "$loader"
status no_counter_any_more 0 "error: --throughput 'cat .*': " cat "$WORK/log"
status reports_until_then 0 "^A with itself .*, 2 blocks: no difference" cat "$WORK/said"

# A guard. The window in which it was hit is in the report.
"$TOOL" ab protect:5ms protect:8ms --cgroup "$CGROUP" --window 300ms --burn-in 200ms --aa-blocks 2 \
	--at-most wait_ms_per_s=0 --json > "$WORK/json" 2> "$WORK/log"
status guard_status 0 "^1$" echo "$?"
status guard 0 "a guard was hit: --at-most wait_ms_per_s=0: it was .* under [AB]" cat "$WORK/log"
status guard_window 0 "^guard False$" json "r['end'], r['windows'][-1]['whole']"
status guard_detaches 0 "^0$" attached

# A cgroup that is removed.
mkdir "$CGROUP-other"
until_window "A with B, B" none protect --cgroup "$CGROUP-other" --measure "$CGROUP"
sleep 0.2
rmdir "$CGROUP-other"
wait "$loader"
status cgroup_removed 0 "error: policy protect_cgroup was detached: its cgroup .* was removed" \
	cat "$WORK/log"

# From one policy to another by its link, which stays the same; time left; and a signal.
until_window "A with B, B" protect:5ms protect:8ms --cgroup "$CGROUP" --blocks 100
status time_left 0 "window [0-9]+ of 204: .*, 3m [0-9]+s left" cat "$WORK/log"
seen=
for _ in {1..60}; do
	seen=$(printf '%s\n' "$seen" "$(policy)" | sed '/^$/d' | sort -u)
	[ "$(wc -l <<< "$seen")" -gt 1 ] && break
	sleep 0.1
done
# shellcheck disable=SC2086 # as one line
status link_update 0 "^([0-9]+) 5 \1 8$" echo $seen
kill "$loader"
wait "$loader"
status signal 0 "error: ended by a signal" cat "$WORK/log"
status signal_detaches 0 "^0$" attached

ktap_finished
