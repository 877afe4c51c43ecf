# SPDX-License-Identifier: GPL-2.0
# Sourced by the tests in shell.

# soon COMMAND...: until it succeeds, a hundred times at most.
soon()
{
	for _ in {1..100}; do
		"$@" && return
		sleep 0.1
	done
	return 1
}

# status NAME STATUS PATTERN COMMAND...: it exits so, with a line of this pattern.
status()
{
	local name=$1 status=$2 pattern=$3 out rc
	shift 3

	out=$("$@" 2>&1)
	rc=$?
	if [ "$rc" -eq "$status" ] && grep -qE -e "$pattern" <<< "$out"; then
		ktap_test_pass "$name"
	else
		ktap_print_msg "exit status $rc, expected $status and a line \"$pattern\": $*"
		while read -r line; do ktap_print_msg "$line"; done <<< "$out"
		ktap_test_fail "$name"
	fi
}
