# Sourced by the scripts of this folder: paths, messages, logged steps.

set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$TOP/build
LOGS=$BUILD/logs
TIMES=$LOGS/times
TREE=$BUILD/linux
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/sched_bpf

# The base: a package of a Debian suite, which has few releases at a time, and the
# release whose tools it needs.
BASE_PACKAGE=linux-source-7.3
BASE_SUITE=trixie-backports
TOOLS_SUITE=trixie

# Where the tools see the checkout and the caches. In the tools root the same for
# every clone, so that compiler caches hit whatever path a clone has.
# PACKAGES=FILE, in the environment, takes another root than that of the tools, by its packages.
if [ "$(cat "$BUILD/mode" 2>/dev/null)" = host ] && [ -z "${PACKAGES:-}" ]; then
	INSIDE=$TOP
	INSIDE_CACHE=$CACHE
else
	INSIDE=/sched_bpf
	INSIDE_CACHE=/cache
fi

# How sched-bpf is built and checked, inside.
TOOLS_MAKE=(make -C sched-bpf OUTPUT="$INSIDE/build/tools-sched-bpf" STATIC=1
	STATIC_LIBS="$INSIDE/build/static/libeu.o -l:libzstd.a -l:libc.a"
	LIBBPF_DIR="$INSIDE/build/ksft/kselftest/sched_bpf/tools")

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

note() {
	printf '%s\n' "$*"
}

elapsed() {
	printf '%d:%02d' $(($1 / 60)) $(($1 % 60))
}

need_root() {
	[ "$(id -u)" -eq 0 ] || die "$1 needs root: it mounts the tools root and starts a virtual machine; run it with sudo"
}

# need_space DIR GIB: DIR, which may not exist yet, must have that much free.
need_space() {
	local dir=$1 need=$2 have
	while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
	have=$(($(df --output=avail -k "$dir" | tail -n 1) / 1024 / 1024))
	[ "$have" -ge "$need" ] ||
		die "too little disk space on the file system of $1: $have GiB free, $need GiB needed"
}

# step NAME COMMAND...: run a long command with its output in a log. On a
# terminal the last line of the log and the time are shown while it runs.
step() {
	local name=$1 log=$LOGS/$1.log start=$SECONDS pid line rc=0
	shift
	mkdir -p "$LOGS"
	# In the background, because "set -e" has no effect left of "||".
	("$@") >"$log" 2>&1 </dev/null &
	pid=$!
	trap 'kill "$pid" 2>/dev/null; exit 143' INT TERM
	if [ -t 1 ]; then
		while kill -0 "$pid" 2>/dev/null; do
			line=$(tail -c 300 "$log" | tr '\r' '\n' | tail -n 1 | tr -cd '[:print:]')
			printf '\r\033[K%s  %s  %.60s' "$name" "$(elapsed $((SECONDS - start)))" "$line"
			sleep 1
		done
		printf '\r\033[K'
	fi
	wait "$pid" || rc=$?
	trap - INT TERM
	if [ "$rc" -ne 0 ]; then
		printf 'error: step "%s" failed (exit status %d) after %s; the end of its log:\n' \
			"$name" "$rc" "$(elapsed $((SECONDS - start)))" >&2
		tail -n 25 "$log" | sed 's/^/  | /' >&2
		printf 'error: the whole log is %s\n' "$log" >&2
		return "$rc"
	fi
	printf '%-15s %s\n' "$name" "$(elapsed $((SECONDS - start)))" | tee -a "$TIMES"
}

# require_test: T, if set, must name one of the test programs.
require_test() {
	local tests
	[ -n "${T:-}" ] || return 0
	tests=$(sed -n ':a; /\\$/{N; s/\\\n//; ba}; s/^TEST_\(GEN_\)\?PROGS := //p' \
		"$TOP/tools/testing/selftests/sched_bpf/Makefile" |
		sed 's/\$(basename \$(wildcard \([a-z_]*\)\.c))/\1/g' | tr -s ' \t' '\n')
	grep -qxF "$T" <<<"$tests" || die "T=$T: no such test program; there are: $(tr '\n' ' ' <<<"$tests")"
}

# inputs_changed STAMP FILE...: true if the files are not those that STAMP was
# made of. Pair with inputs_done once the work that depends on them is done.
inputs_hash() {
	cat -- "$@" | sha256sum | cut -d' ' -f1
}

inputs_changed() {
	local stamp=$1
	shift
	[ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$(inputs_hash "$@")" ]
}

inputs_done() {
	local stamp=$1
	shift
	inputs_hash "$@" >"$stamp"
}

# The tools root, by its packages: another clone, which has others, may be at work in its own.
ROOT=$CACHE/root-$(inputs_hash "$TOP/${PACKAGES:-scripts/packages}" | cut -c1-12)
