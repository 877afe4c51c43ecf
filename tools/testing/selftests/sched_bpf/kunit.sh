#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What KUnit found at boot, on a kernel booted with kunit.enable=1: each test of the
# crate sched_bpf in a line of its own.

DIR=$(dirname "$(readlink -f "$0")")
source "$DIR/../kselftest/ktap_helpers.sh"

SUITE=rust_sched_bpf
RESULTS=/sys/kernel/debug/kunit/$SUITE/results

ktap_print_header
if [ ! -r "$RESULTS" ]; then
	ktap_skip_all "no $RESULTS: CONFIG_RUST_BPF_SCHED_KUNIT_TEST is needed"
	exit "$KSFT_SKIP"
fi

# A suite that has not been run says "ok" too, without its tests.
planned=$(sed -n 's/^ *1\.\.\([0-9]*\)$/\1/p' "$RESULTS" | tail -n 1)
tests=$(grep -E '^ +(not )?ok [0-9]+ ' "$RESULTS")
ktap_set_plan "$planned"
while read -r line; do
	case $line in
	"ok "*"# SKIP"*) ktap_test_skip "$SUITE.${line#ok * }" ;;
	"ok "*) ktap_test_pass "$SUITE.${line#ok * }" ;;
	"not ok "*) ktap_test_fail "$SUITE.${line#not ok * }" ;;
	esac
done <<< "$tests"
if [ "$KSFT_NUM_TESTS" -ne "$(grep -c . <<< "$tests")" ]; then
	ktap_print_msg "$planned tests are planned: is kunit.enable=1 on the command line?"
fi
ktap_finished
