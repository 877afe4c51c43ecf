/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Hints to the scheduler: the interface of /dev/sched_hint, for user space.
 *
 * A thread opens the device and issues ioctls on it. Every hint is about the thread that issues
 * the ioctl, whichever thread opened the device, until it is changed, the thread exits, or the
 * module is unloaded. Closing the device does not end a hint, and fork() does not inherit it.
 *
 *	int fd = open("/dev/sched_hint", O_RDWR | O_CLOEXEC);
 *
 *	ioctl(fd, SCHED_HINT_WORK, 300);
 *		The thread runs for about 300 us between two sleeps. That becomes its slice,
 *		clamped to 0.1 ms and max_slice_ns: a short slice is served soon, and a long one
 *		is not interrupted for long. 0 restores the default. Not for a thread with a
 *		custom slice (sched_setattr(2)). EINVAL if it is above 1000000.
 *
 *	ioctl(fd, SCHED_HINT_LOCK);
 *	ioctl(fd, SCHED_HINT_UNLOCK);
 *		The thread is about to take a lock that others wait for; it released it. Locks
 *		nest. Meanwhile its slice is extended at ticks, by up to hold_us, wakees that do
 *		not hold a lock do not preempt it, and it preempts such tasks at a wakeup. Give the
 *		hint before the lock is taken, as the return from an ioctl is a point at which a
 *		thread is preempted. EINVAL for an UNLOCK without a LOCK; EAGAIN for more than
 *		1000 locks.
 *
 * ENOMEM if there is no memory for the first hint of a thread. Shares of the CPU do not depend
 * on hints, and a hint that is not true costs the thread that gives it: what it runs too long it
 * waits for later.
 */
#ifndef RUST_SCHED_HINT_H
#define RUST_SCHED_HINT_H

#include <linux/ioctl.h>

#define SCHED_HINT_WORK		_IO('|', 0x90)
#define SCHED_HINT_LOCK		_IO('|', 0x91)
#define SCHED_HINT_UNLOCK	_IO('|', 0x92)

#endif /* RUST_SCHED_HINT_H */
