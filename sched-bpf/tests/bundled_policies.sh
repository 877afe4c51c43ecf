#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Each bundled policy of sched-bpf does what it is for, compared with the same load without it.
# sched-bpf and sched-bpf-load are those in PATH.

DIR=$PWD/build/kselftest/sched_bpf
source "$DIR/../kselftest/ktap_helpers.sh"

BPFTOOL=$DIR/bpftool
OUT=$(mktemp)
SECONDS_OF_LOAD=4

# with POLICY COMMAND...: while it is attached, which is POLICY's file and options.
with()
{
	local policy=$1
	shift

	# shellcheck disable=SC2086 # several words
	sched-bpf attach $policy --all --pin > "$OUT" 2>&1 || cat "$OUT" >&2
	"$@"
	sched-bpf detach --all > "$OUT" 2>&1 || cat "$OUT" >&2
}

# less NAME PERCENT WITH WITHOUT: the first number is so much of the second, at most.
less()
{
	ktap_print_msg "$1: $3 and $4"
	if [ "${3:-0}" -gt 0 ] && [ $((100 * $3)) -le $(($2 * ${4:-0})) ]; then
		ktap_test_pass "$1"
	else
		ktap_test_fail "$1"
	fi
}

# served: the CPU time that a service gets for what ends, in milliseconds.
served()
{
	sched-bpf-load requests --seed 1 --seconds "$SECONDS_OF_LOAD" |
		awk '/^function/ { sum += $2 } END { printf "%d", sum / 1e6 }'
}

# worst_wait: of CPU-bound threads next to a service, in microseconds.
worst_wait()
{
	sched-bpf-load requests --load 40 --seed 1 --seconds "$SECONDS_OF_LOAD" --weight 100 |
		awk '/^bystander/ && $3 > most { most = $3 } END { printf "%d", most / 1e3 }'
}

# Programs in bash: sleep and run shortly, or for some ms now and then, or run.
SLEEP='exec {fd}<> <(:); work() { read -t $1 -u $fd; for ((i = 0; i < $2; i++)); do :; done; }'
SLEEPER="$SLEEP; while :; do work 0.01 50; done"
SOMETIMES="$SLEEP; while :; do work 0.05 300; done"
HOG='while :; do :; done'
# For each line at least 5 ms of CPU time, which is counted by ticks.
WORKER='ran() { read -r now _ < /proc/$$/schedstat; }
	while read -r; do ran; end=$((now + 5000000)); while [ $now -lt $end ]; do ran; done; done'

# announce MAP TID NS: how long the next work of a thread will take.
announce()
{
	local byte bytes=()

	for byte in {0..3}; do bytes+=($(($2 >> 8 * byte & 255))); done
	for byte in {0..7}; do bytes+=($(($3 >> 8 * byte & 255))); done
	"$BPFTOOL" map update pinned "$1" key "${bytes[@]:0:4}" value "${bytes[@]:4}" 0 0 0 0 0 0 0 0
}

# short_work [MAP]: how long work of some ms waits beside endless work, in microseconds.
# shellcheck disable=SC2120 # "with" gives it arguments
short_work()
{
	local fd hog worker

	exec {fd}<> <(:)
	taskset -c 1 bash -c "$HOG" &
	hog=$!
	taskset -c 1 bash -c "$WORKER" <&"$fd" &
	worker=$!
	[ $# -eq 0 ] || announce "$1" "$hog" $((1000 * 1000 * 1000 * 1000))
	for _ in {1..50}; do
		[ $# -eq 0 ] || announce "$1" "$worker" $((10 * 1000 * 1000))
		echo >&"$fd"
		sleep 0.03
	done
	awk '{ printf "%d", $2 / 1000 }' "/proc/$worker/schedstat"
	kill "$hog" "$worker"
	wait "$hog" "$worker" 2> "$OUT"
	exec {fd}>&-
}

# run_time: of all tasks on CPU 1 until now, in microseconds.
run_time()
{
	awk '$1 == "cpu1" { printf "%d", $8 / 1000 }' /proc/schedstat
}

# run_on_1 CPU PROGRAM...: each runs where it may, from CPU on; how long tasks run on 1 then.
run_on_1()
{
	local begin=$1 task tasks=() before
	shift

	for program; do
		taskset -c "$begin" bash -c "$program" &
		tasks+=($!)
	done
	sleep 1
	# Not by themselves: who waits for a child is woken where that was.
	for task in "${tasks[@]}"; do taskset -cp 0,1 "$task" > "$OUT"; done
	before=$(run_time)
	sleep "$SECONDS_OF_LOAD"
	echo $(($(run_time) - before))
	kill "${tasks[@]}"
	wait "${tasks[@]}" 2> "$OUT"
}

# pack: beside one that keeps CPU 0 busy now and then.
pack()
{
	local task

	taskset -c 0 bash -c "$SOMETIMES" &
	task=$!
	run_on_1 1 "$SLEEPER"
	kill "$task"
	wait "$task" 2> "$OUT"
}

# alone: on CPU 0, where it stays, if no thread of the kernel runs there when it wakes up.
alone()
{
	local time

	for _ in 1 2 3; do
		time=$(run_on_1 0 "$SLEEPER")
		[ "$time" -lt 200000 ] && break
	done
	echo "$time"
}

ktap_print_header
ktap_set_plan 8

# A wakee runs on the CPU of its waker.
beside()
{
	seq 100000 | cat | cat > /dev/null
	sched-bpf list --json
}
if grep -qE '"positive": [1-9]' <<< "$(with beside beside)"; then
	ktap_test_pass beside
else
	ktap_test_fail beside
fi

# Short work ends earlier if it is known to be short.
less announced 75 "$(with "announced" short_work /sys/fs/bpf/announced)" "$(short_work)"

# Threads of a service that wake each other get all of their share.
less learned 95 "$(served)" "$(with "learned" served)"

# Few CPUs for little work: back to CPU 0 as soon as that is idle.
less pack 75 "$(with "pack" pack)" "$(pack)"

# They prefer CPU 1, and take CPU 0 as well where both are needed.
prefer="prefer --set cpus=2"
less prefer 40 "$(alone)" "$(with "$prefer" run_on_1 0 "$SLEEPER")"
less prefer_spills 150 "$(with "$prefer" run_on_1 0 "$HOG" "$HOG")" "$(run_on_1 0 "$HOG" "$HOG")"

# A policy in shadow mode changes nothing, nor does one that was detached.
# The longest wait of a run: the longer of two, as one may be lucky.
stock=$(printf "%s\n" "$(worst_wait)" "$(worst_wait)" | sort -n | tail -n 1)
less shadow 200 "$(with "learned --shadow" worst_wait)" "$stock"
less after_the_shadow 200 "$(worst_wait)" "$stock"

# A map for programs that may come later.
rm /sys/fs/bpf/announced
ktap_finished
