# The patches themselves. Sourced by scripts/check.

# A base that a patch does not apply to is refused, with file and hunk, and changes nothing:
# one that has an empty file where hunks are.
other_base_refused() {
	local other=$scratch/other.git said=$scratch/other.said blob commit
	git clone -q --bare --shared "$TREE" "$other"
	export GIT_INDEX_FILE=$scratch/other.index
	git -C "$other" read-tree "$base"
	blob=$(git -C "$other" hash-object -w /dev/null)
	git -C "$other" update-index --cacheinfo "100644,$blob,kernel/sched/fair.c"
	commit=$(git -C "$other" -c user.name=check -c user.email=check@localhost commit-tree -m "no fair.c" \
		"$(git -C "$other" write-tree)")
	unset GIT_INDEX_FILE
	git -C "$other" update-ref HEAD "$commit"
	if LINUX=$other "$TOP/scripts/tree" >"$said" 2>&1; then
		echo "it was taken"
		return 1
	fi
	grep 'hunks.patch does not apply to this base, no fair.c:' "$said"
	grep '^  kernel/sched/fair.c: @@ -[0-9]' "$said"
	[ "$(cat "$BUILD/tree.base")" = "$base" ] && [ "$(cat "$BUILD/tree.tip")" = "$tip" ]
}

# Each new file at an in-tree path belongs to exactly one patch.
claimed_once() {
	cd "$TOP"
	git ls-files -c -o --exclude-standard include kernel rust samples tools Documentation | sort >"$scratch/there"
	cat series/*/*/files | sort >"$scratch/claimed"
	uniq -d "$scratch/claimed" | sed 's/^/claimed twice: /' | tee "$scratch/twice"
	diff "$scratch/there" <(sort -u "$scratch/claimed") && [ ! -s "$scratch/twice" ]
}

# The mailed series makes the same tree, byte for byte. Only the files that it
# touches are checked out.
git_am() {
	"$TOP/scripts/series"
	git clone -q --shared --no-checkout "$TREE" "$scratch/am"
	cd "$scratch/am"
	git sparse-checkout set --no-cone $(git diff --name-only "$base" "$tip" | sed 's|^|/|')
	git checkout -q -B am "$base"
	git -c user.name=check -c user.email=check@localhost am -q $(ls "$BUILD"/series/*/*.patch | grep -v /0000-)
	[ "$(git rev-parse 'HEAD^{tree}')" = "$(git rev-parse "$tip^{tree}")" ]
}

# Each series needs nothing of the later ones: what it changes is built with only those before
# it, with the options that it has then.
each_series_builds() {
	local series end
	git -C "$TREE" worktree prune
	git -C "$TREE" worktree add -q --detach "$scratch/alone" "$base"
	cat >"$scratch/build-alone" <<-'EOF'
		set -euo pipefail
		out=$PWD/build/check/alone.out
		mkdir -p "$out"
		make=(make -s -C build/check/alone LLVM=1 CC="ccache clang" LOCALVERSION= "O=$out" "-j$(nproc)")
		cat kernel/configs/sched_bpf_vm.config kernel/configs/sched_bpf.config >"$out/all.config"
		KCONFIG_ALLCONFIG=$out/all.config "${make[@]}" allnoconfig
		"${make[@]}" kernel/sched/ kernel/bpf/cgroup.o kernel/bpf/bpf_struct_ops.o
		[ ! -d build/check/alone/kernel/sched/bpf ] || test -s "$out/kernel/sched/bpf/slice.o"
	EOF
	while read -r series end; do
		[ "$end" != "$tip" ] || continue
		echo "$series"
		git -C "$scratch/alone" checkout -q --detach "$end"
		"$TOP/scripts/inside" bash build/check/build-alone
	done <"$BUILD/tree.ends"
	git -C "$TREE" worktree remove --force "$scratch/alone"
}

# What is ignored, and why: whoever sends the series signs it; its first patch has
# the MAINTAINERS entry for all; and the hooks are declared once in a list that is
# expanded several times, which is no function and no expression, as the rules about
# macros presume; what a loader sets in a BPF program is const volatile. Tracepoints
# have a layout of their own, unnamed padding is how the header of BPF has it, and
# commands of bpftool are weak so that they can be left out. In selftests a type that a
# macro makes is taken for a product, a list of alternatives for a label, and
# initializers that are arguments of a macro for expressions. A pattern of a shell test is one
# line, and HOOK() of the programs makes functions. Three lines of help suffice for tests.
# printk_deferred() takes a level, and guard.c wants to know whether it is another jiffy.
# HOOK() makes an initializer with an index.
checkpatch() {
	"$TOP/scripts/inside" bash -c 'cd build/linux && ls ../series/*/*.patch | grep -v 0000- | xargs perl scripts/checkpatch.pl --strict --no-summary --terse --showfile \
		--ignore MISSING_SIGN_OFF,FILE_PATH_CHANGES,COMPLEX_MACRO,MACRO_ARG_PRECEDENCE,MACRO_ARG_REUSE,MACRO_ARG_UNUSED,MULTISTATEMENT_MACRO_USE_DO_WHILE,TRAILING_SEMICOLON,VOLATILE' |
		sed '/^include\/trace\/events\//d; /\/uapi\/linux\/bpf.h:.*space prohibited before that .:/d; /^tools\/bpf\/bpftool\/main.h:.*weak/d
			/selftests\/sched_bpf\/.*spaces preferred around that .\*/d
			/selftests\/sched_bpf\/.*space prohibited before that .:/d
			/selftests\/sched_bpf\/fairness.c:.*Alignment should match/d
			/selftests\/sched_bpf\/[a-z_]*\.sh:.*\(line length\|repeated word\)/d
			/selftests\/sched_bpf\/progs\/hooks.h:.*flow control/d
			/^kernel\/Kconfig.preempt:.*help paragraph/d
			/^kernel\/sched\/bpf\/guard.c:.*KERN_WARNING/d; /^kernel\/sched\/bpf\/internal.h:.*jiffies/d; /^kernel\/sched\/bpf\/stats.c:.*open square bracket/d
			/^tools\/lib\/bpf\/libbpf.c:.*__aligned/d' >"$scratch/checkpatch" || true
	cat "$scratch/checkpatch"
	! grep -q ' \(ERROR\|WARNING\|CHECK\): ' "$scratch/checkpatch"
}
