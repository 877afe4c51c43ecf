#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The service of sched-bpf, by itself and under systemd. sched-bpf is the one in PATH; the unit
# is that of SCHED_BPF_UNIT, by default next to the sources.

DIR=$PWD/build/kselftest/sched_bpf
source "$DIR/../kselftest/ktap_helpers.sh"

UNIT=${SCHED_BPF_UNIT:-sched-bpf/sched-bpf.service}
WORK=$(mktemp -d)
CONFIG=$WORK/config
CGROUP=/sys/fs/cgroup/sched_bpf_service
STATE=$WORK/state.json
KNOBS=/sys/module/bpf_sched/parameters

# pass NAME COMMAND...: it succeeds, soon.
pass()
{
	local name=$1
	shift

	for _ in {1..100}; do
		if "$@" > "$WORK/said" 2>&1; then
			ktap_test_pass "$name"
			return
		fi
		sleep 0.1
	done
	ktap_print_msg "$*"
	while read -r line; do ktap_print_msg "$line"; done < <(cat "$WORK/said" "$WORK/log")
	ktap_test_fail "$name"
}

# refused NAME PATTERN: the configuration is refused with a line of this pattern.
refused()
{
	pass "$1" sh -c "! sched-bpf check $CONFIG > $WORK/check 2>&1 && grep -E '$2' $WORK/check"
}

# policy FIELD: of the policy of the service.
policy()
{
	sched-bpf list --json | python3 -c "
import json, sys
for p in json.load(sys.stdin)['policies']:
    if p['name'] == 'protect_cgroup':
        print(p$1)"
}

metrics()
{
	sched-bpf metrics --state "$STATE"
}

# within_a_second FILE PATTERN: such a line appears.
within_a_second()
{
	for _ in {1..20}; do
		grep -qE -e "$2" "$1" && return
		sleep 0.05
	done
	return 1
}

has()
{
	local pattern=$1
	shift

	"$@" | grep -qE -e "$pattern"
}

is()
{
	local value=$1
	shift

	[ "$("$@")" = "$value" ]
}

write_config()
{
	cat > "$CONFIG/10-test.toml" << END
[[policy]]
name = "web"
cgroups = ["$CGROUP"]
$1
END
}

cleanup()
{
	kill "$service" 2> /dev/null
	[ -z "$init" ] || kill "$init" 2> /dev/null
	rmdir "$CGROUP/inner" "$CGROUP" 2> /dev/null
	echo 20 > "$KNOBS/max_share"
	rm -rf "$WORK"
}

ktap_print_header
if ! command -v sched-bpf > /dev/null; then
	ktap_skip_all "no sched-bpf in PATH: make -C sched-bpf"
	exit "$KSFT_SKIP"
fi
ktap_set_plan 35
trap cleanup EXIT
mkdir -p "$CONFIG"
: > "$WORK/log"

refused no_config "no configuration; make a file NAME.toml"
write_config "colour = 1"
refused unknown_key \
	"10-test.toml: line [0-9], .colour = 1.: unknown field .colour., expected one of"
write_config "options = { cap_ns = 1.5 }"
refused bad_option "line [0-9], .options = .*cap_ns.*: give a number, true, false, or a time"
write_config "options = { x = 1 }"
refused no_option "policy web: policy protect: --set x=1: it has no options but --cap"
write_config "cap = \"200ms\""
refused bad_cap "policy web: policy protect: --cap 200ms: out of range; give 100us to 10ms"
write_config "cap = \"8ms\""
pass check has "policies: 1" sched-bpf check "$CONFIG"
pass check_attaches_nothing is "" policy "['link']"

# It starts though the cgroup is absent, and attaches within a second of its appearance.
sched-bpf serve --config "$CONFIG" --state "$STATE" > "$WORK/log" 2>&1 &
service=$!
pass ready_though_absent grep -q "^ready: 0 of 1 attached" "$WORK/log"
mkdir "$CGROUP"
pass attached_at_once within_a_second "$WORK/log" "^attached: web $CGROUP, link"
pass attached is "$CGROUP 8000000" policy "['target'], p['options']['cap_ns']"
link=$(policy "['link']")
labels="name=\"web\",policy=\"protect_cgroup\",link=\"$link\",target=\"$CGROUP\""
pass metrics_have_the_name \
	has "^sched_bpf_results_total.$labels,hook=\"cfs_check_preempt_tick\",sign=\"zero\". [0-9]+$" \
	metrics

# Replaced: the same link.
write_config "cap = \"9ms\""
kill -HUP "$service"
pass reloaded is "$link 9000000" policy "['link'], p['options']['cap_ns']"
write_config "cap = \"9m"
kill -HUP "$service"
pass bad_reload grep -q "not reloaded: .*line [0-9]" "$WORK/log"
write_config "cap = \"300ms\""
kill -HUP "$service"
pass bad_value_keeps_the_old grep -q "policy web .* was not replaced: .*out of range" "$WORK/log"
pass stays is "$link 9000000" policy "['link'], p['options']['cap_ns']"

# It reloads though another cgroup is absent.
cat > "$CONFIG/20-other.toml" << END
[[policy]]
name = "inner"
file = "batch"
shadow = true
cgroups = ["$CGROUP/inner"]
END
write_config "cap = \"9ms\""
kill -HUP "$service"
pass reloads_though_absent grep -q "^reloaded: 1 of 2 attached" "$WORK/log"
mkdir "$CGROUP/inner"
pass inner_attached_at_once within_a_second "$WORK/log" "^attached: inner $CGROUP/inner, link"
rmdir "$CGROUP/inner"
pass inner_removed grep -q "policy inner .*was detached: its cgroup .*/inner was removed" "$WORK/log"

# Detached by the kernel: reported, and attached again within a second.
rmdir "$CGROUP"
pass cgroup_removed grep -q "policy web .* was detached: its cgroup $CGROUP was removed" "$WORK/log"
pass metrics_detached has "^sched_bpf_service_in_force.name=\"web\",target=\"$CGROUP\". 0$" metrics
: > "$WORK/log"
mkdir "$CGROUP"
pass attached_again_at_once within_a_second "$WORK/log" "^attached: web $CGROUP, link"

# A policy that another process detached stays so until a reload.
link=$(policy "['link']")
"$DIR/bpftool" link detach id "$link"
pass stays_detached grep -q "detached by another process; it stays so until a reload" "$WORK/log"
pass metrics_given_up has "^sched_bpf_service_given_up.name=\"web\",target=\"$CGROUP\". 1$" metrics
kill -HUP "$service"
pass reload_attaches is "$CGROUP" policy "['target']"

# After an update, a policy that is over its budget is blamed by its own name, and tried again.
rm "$CONFIG/20-other.toml"
cat > "$CONFIG/10-test.toml" << END
[[policy]]
name = "web"
file = "$DIR/slow.bpf.o"
cgroups = ["$CGROUP"]
END
: > "$WORK/log"
kill -HUP "$service"
pass replaced_by_slow grep -q "^replaced: web $CGROUP, link" "$WORK/log"
echo 1 > "$KNOBS/max_share"
# Several, as the tick hook is called where tasks compete.
hogs=()
for _ in {1..6}; do
	(echo 0 > "$CGROUP/cgroup.procs"; exec timeout 60 sh -c 'while :; do :; done') &
	hogs+=($!)
done
pass over_budget grep -q "policy web $CGROUP was disabled: it took more .* tried again in" "$WORK/log"
pass tried_again grep -q "^attached: web $CGROUP, link" "$WORK/log"
kill "${hogs[@]}"
wait "${hogs[@]}" 2> /dev/null
echo 20 > "$KNOBS/max_share"
kill "$service"
wait "$service"
pass ended sh -c "sched-bpf list | grep -q 'no policy is attached'"
pass ended_state sh -c "! test -e $STATE"

# Under systemd: a manager of its own, as the first process is another here. It recognizes
# systemd by the directory in /run.
if [ -x /usr/lib/systemd/systemd ] && [ -f "$UNIT" ]; then
	export XDG_RUNTIME_DIR=$WORK/run
	units=$XDG_RUNTIME_DIR/systemd/user
	STATE=$XDG_RUNTIME_DIR/sched_bpf/state.json
	mkdir -p /etc/sched_bpf /run/systemd/system "$units"
	write_config "cap = \"8ms\""
	cp "$CONFIG"/*.toml /etc/sched_bpf/
	# A manager of a user cannot set up most of the sandbox.
	sed -e "s|/usr/local/bin/sched-bpf|$(command -v sched-bpf)|" -e '/^\(Protect\|Private\|Restrict[A-Z]\|Capab\|Limit\)/d' \
		"$UNIT" > "$units/sched-bpf.service"
	printf '[Unit]\nWants=sched-bpf.service\n' > "$units/sched-bpf-test.target"
	HOME=$WORK /usr/lib/systemd/systemd --user --unit=sched-bpf-test.target > "$WORK/log" 2>&1 &
	init=$!
	pass systemd_active is active systemctl --user is-active sched-bpf
	link=$(policy "['link']")
	sed -i 's/8ms/9ms/' /etc/sched_bpf/10-test.toml
	pass systemd_reload systemctl --user reload sched-bpf
	pass systemd_replaced is "$link 9000000" policy "['link'], p['options']['cap_ns']"
	systemctl --user kill -s KILL sched-bpf
	pass systemd_restarted is active systemctl --user is-active sched-bpf
	pass systemd_metrics has "^sched_bpf_service_in_force.name=\"web\".* 1$" metrics
	pass systemd_restarts has "^NRestarts=1$" systemctl --user show -p NRestarts sched-bpf
	rm -rf /etc/sched_bpf
else
	for name in active reload replaced restarted metrics restarts; do
		ktap_test_skip "systemd_$name"
	done
fi

ktap_finished
