# Sourced by the run scripts of eval/*: cgroups, background commands, figures.
#
# A run script is called with one of these words:
#   build    make data, once, natively; $DATA is the directory for it
#   start    start what all runs of a boot use
#   measure  run the load once and print its figures
#   stop     end what start began
# Set in the environment: LENGTH, the seconds of a measurement; SEED; SCRATCH, a directory
# in memory; DATA; START, a command to put before the load.
# $MAIN is the cgroup that settings are applied to, $OTHER the one next to it, of equal weight.
set -euo pipefail

MAIN=/sys/fs/cgroup/eval/main
OTHER=/sys/fs/cgroup/eval/other
LENGTH=${LENGTH:-2} SEED=${SEED:-1} START=${START:-}

# within CGROUP COMMAND...: run a command in a cgroup.
within() {
	echo "$BASHPID" >"$1/cgroup.procs"
	shift
	exec "$@"
}

# as_user USER COMMAND...
as_user() {
	local user=$1
	shift
	setpriv --reuid "$user" --regid "$user" --clear-groups "$@"
}

figure() {
	printf '%s %s\n' "$1" "$2"
}

# cpu_us CGROUP: the CPU time that it has had.
cpu_us() {
	awk '$1 == "usage_usec" { print $2 }' "$1/cpu.stat"
}

# percentiles UNIT: read one number a line, print figures p50_UNIT, p99_UNIT and so on.
percentiles() {
	sort -n | awk -v unit="$1" '
		{ value[NR] = $1; sum += $1 }
		function p(share, i) { i = int(NR * share + 0.999999); return value[i < 1 ? 1 : i] }
		END {
			if (!NR) exit 1
			print "samples", NR
			print "mean_" unit, sum / NR
			print "p50_" unit, p(0.5)
			print "p90_" unit, p(0.9)
			print "p99_" unit, p(0.99)
			print "p999_" unit, p(0.999)
			print "max_" unit, value[NR]
		}'
}

# histogram FILE: the latencies in cyclictest's histogram, one a line. Its lines are a latency
# and how often each thread had it.
histogram() {
	awk '/^[0-9]/ { for (i = 2; i <= NF; i++) for (n = $i + 0; n > 0; n--) print $1 + 0 }
		/^# Histogram Overflows:/ { for (i = 4; i <= NF; i++) for (n = $i + 0; n > 0; n--) print 50000 }' "$1"
}

# stress_rate STRESSOR FILE: the operations a second that stress-ng says in FILE.
stress_rate() {
	awk -v name="$1" '/metrc:/ && $4 == name && NF >= 10 && !found { print $9; found = 1 } END { exit !found }' "$2" || cat "$2" >&2
}
