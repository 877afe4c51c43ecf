#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# tools/sched_bpf: the service, by itself and under systemd. As tool.sh, sched-bpf is the
# one in PATH; the unit is that of SCHED_BPF_UNIT, by default beside the sources.

DIR=$(dirname "$(readlink -f "$0")")
source "$DIR/../kselftest/ktap_helpers.sh"

UNIT=${SCHED_BPF_UNIT:-tools/sched_bpf/sched-bpf.service}
WORK=$(mktemp -d)
CONFIG=$WORK/config
CGROUP=/sys/fs/cgroup/sched_bpf_service
POLICIES=/sys/kernel/debug/sched/bpf/policies

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

# refused NAME PATTERN: the configuration is, with a line of this pattern.
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
	python3 -c "
import socket
s = socket.socket(socket.AF_UNIX)
s.connect('$1')
s.sendall(b'GET /metrics HTTP/1.0\r\n\r\n')
while data := s.recv(65536):
    print(data.decode(), end='')"
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
	rmdir "$CGROUP" 2> /dev/null
	rm -rf "$WORK"
}

ktap_print_header
if ! command -v sched-bpf > /dev/null; then
	ktap_skip_all "no sched-bpf in PATH: make -C tools/sched_bpf"
	exit "$KSFT_SKIP"
fi
ktap_set_plan 31
trap cleanup EXIT
mkdir -p "$CGROUP" "$CONFIG"
: > "$WORK/log"

refused no_config "no configuration there; a file NAME.toml is expected"
write_config "colour = 1"
refused unknown_key \
	"10-test.toml: line [0-9], .colour = 1.: unknown field .colour., expected one of"
write_config "options = { cap_ns = \"x\" }"
refused bad_option "line [0-9], .options = .*cap_ns.*: a number, true or false is expected"
write_config "options = { x = 1 }"
refused no_option "policy web: .*--set x=1: the policy that comes with sched-bpf has no"
write_config "cap_ms = 200"
refused bad_cap "10-test.toml: policy web: .*out of range; 1 to 100"
write_config "cap_ms = 20"
pass check has "1 policies, all load" sched-bpf check "$CONFIG"
pass check_attaches_nothing is "" policy "['id']"

echo mine > "$WORK/file"
pass socket_is_a_file sh -c "! sched-bpf serve --config $CONFIG --socket $WORK/file &&
	grep mine $WORK/file"

sched-bpf serve --config "$CONFIG" --socket "$WORK/socket" > "$WORK/log" 2>&1 &
service=$!
pass ready grep -q "^ready: 1 attached" "$WORK/log"
id=$(policy "['id']")
pass attached is "$CGROUP 20000000" policy "['target'], p['options']['cap_ns']"
labels="id=\"$id\",policy=\"protect_cgroup\",hook=\"cfs_check_preempt_tick\",sign=\"zero\""
pass metrics has "^sched_bpf_answers_total.$labels. [0-9]+$" \
	metrics "$WORK/socket"
pass metrics_end has "^# EOF$" metrics "$WORK/socket"

# The one that answers there outlives that this one does not wait for its answer.
pass socket_is_taken sh -c "! sched-bpf serve --config $CONFIG --socket $WORK/socket &&
	test -S $WORK/socket"

# Replaced: the same attachment.
write_config "cap_ms = 30"
kill -HUP "$service"
pass reloaded is "$id 30000000" policy "['id'], p['options']['cap_ns']"
write_config "cap_ms = 300"
kill -HUP "$service"
pass bad_reload grep -q "not reloaded: .*out of range" "$WORK/log"
pass not_reloaded is 1 grep -c "^reloaded" "$WORK/log"
pass stays is "$id 30000000" policy "['id'], p['options']['cap_ns']"

# Detached by the kernel: reported, and the service goes on.
rmdir "$CGROUP"
pass cgroup_removed grep -q "policy web .* was detached: its cgroup $CGROUP was removed" "$WORK/log"
pass metrics_detached has "^sched_bpf_service_attached.name=\"web $CGROUP\". 0$" \
	metrics "$WORK/socket"

# And attached again, as soon as there is a cgroup of this name.
mkdir "$CGROUP"
pass attached_again grep -q "^attached again: web $CGROUP, link" "$WORK/log"
pass metrics_retries has "^sched_bpf_service_retries_total.name=\"web $CGROUP\". 1$" \
	metrics "$WORK/socket"

# But what somebody detaches is to stay so.
link=$(sed -n 's/^attached again: .* link //p' "$WORK/log")
"$DIR/bpftool" link detach id "$link"
pass stays_detached grep -q "by another process.*it stays so until a reload" "$WORK/log"
pass metrics_given_up has "^sched_bpf_service_given_up.name=\"web $CGROUP\". 1$" \
	metrics "$WORK/socket"
write_config "cap_ms = 20"
kill -HUP "$service"
pass reload_attaches is "$CGROUP" policy "['target']"
kill "$service"
pass ended sh -c "! grep -q protect_cgroup $POLICIES"

# Under systemd: a manager of its own, as the first process is another here. It takes the
# machine for one of systemd by the directory in /run.
if [ -x /usr/lib/systemd/systemd ] && [ -f "$UNIT" ]; then
	export XDG_RUNTIME_DIR=$WORK/run
	units=$XDG_RUNTIME_DIR/systemd/user
	mkdir -p "$CGROUP" /etc/sched_bpf /run/systemd/system "$units"
	write_config "cap_ms = 20"
	cp "$CONFIG"/*.toml /etc/sched_bpf/
	sed "s|/usr/local/bin/sched-bpf|$(command -v sched-bpf)|" "$UNIT" \
		> "$units/sched-bpf.service"
	printf '[Unit]\nWants=sched-bpf.service\n' > "$units/sched-bpf-test.target"
	HOME=$WORK /usr/lib/systemd/systemd --user --unit=sched-bpf-test.target > "$WORK/log" 2>&1 &
	init=$!
	pass systemd_active is active systemctl --user is-active sched-bpf
	id=$(policy "['id']")
	sed -i 's/20/40/' /etc/sched_bpf/10-test.toml
	pass systemd_reload systemctl --user reload sched-bpf
	pass systemd_replaced is "$id 40000000" policy "['id'], p['options']['cap_ns']"
	systemctl --user kill -s KILL sched-bpf
	pass systemd_restarted is active systemctl --user is-active sched-bpf
	pass systemd_metrics has "^# EOF" metrics "$XDG_RUNTIME_DIR/sched_bpf/metrics"
	pass systemd_restarts has "^NRestarts=1$" systemctl --user show -p NRestarts sched-bpf
	rm -rf /etc/sched_bpf
else
	for name in active reload replaced restarted metrics restarts; do
		ktap_test_skip "systemd_$name"
	done
fi

ktap_finished
