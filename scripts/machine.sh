# What the scripts have in common that start virtual machines. Sourced by these.

# kvm_works IMAGE: is it of use? A KVM device may be there and not work, or be slower than
# emulation, as one that itself emulates guest kernels: the kernel has to come to the end
# of its boot without a root file system, in less time than emulation takes. Asked once in
# a boot of the host.
kvm_works() {
	local image=$1 answer boot
	boot=$(cat /proc/sys/kernel/random/boot_id)
	answer=$(sed -n "s/^$boot //p" "$BUILD/kvm" 2>/dev/null || true)
	if [ -z "$answer" ]; then
		answer=no
		if [ -w /dev/kvm ] && timeout -k 1 10 "$TOP/scripts/inside" qemu-system-x86_64 -accel kvm -cpu host \
			-m 512 -nodefaults -display none -serial stdio -no-reboot -kernel "$image" \
			-append "console=ttyS0 panic=-1" </dev/null 2>/dev/null | grep -aq 'Unable to mount root'; then
			answer=yes
		fi
		echo "$boot $answer" >"$BUILD/kvm"
	fi
	[ "$answer" = yes ]
}

# no_faults CONSOLE: the kernel reported none there.
no_faults() {
	local splat='WARNING: |BUG: |BUG at|Oops: |general protection fault|Kernel panic|Call Trace:|INFO: task .* blocked|rcu: INFO|soft lockup|hard LOCKUP|possible (recursive|circular) locking|KASAN: |UBSAN: |refcount_t: '
	if grep -aqE "$splat" "$1"; then
		echo "error: the kernel reports a fault, see $1:" >&2
		grep -aE -m 3 "$splat" "$1" >&2
		return 1
	fi
}
