// SPDX-License-Identifier: GPL-2.0
/*
 * Gives the hints of rust_sched_hint for the pthread mutexes of an unmodified program:
 *
 *	cc -O2 -shared -fPIC -o rust_sched_hint_preload.so rust_sched_hint_preload.c
 *	LD_PRELOAD=./rust_sched_hint_preload.so program
 *
 * A thread gives a hint before its first lock and after its last unlock only. So a thread that
 * waits for a mutex has a hint, and one in pthread_cond_wait(), which is not wrapped. That has an
 * effect only when it wakes up, and then it is about to take the mutex.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>

#include "rust_sched_hint.h"

/* The function that is wrapped. Other libraries may use it before there are constructors. */
#define REAL(name) ({					\
	static typeof(name) *real;			\
							\
	if (!real)					\
		real = dlsym(RTLD_NEXT, #name);		\
	real;						\
})

static int fd = -1;
static __thread unsigned int held;

__attribute__((constructor)) static void open_device(void)
{
	fd = open("/dev/sched_hint", O_RDWR | O_CLOEXEC);
}

/* Before the lock is taken: on return from a system call a thread may be preempted. */
static void about_to_lock(void)
{
	if (!held++ && fd >= 0)
		ioctl(fd, SCHED_HINT_LOCK);
}

static void unlocked(void)
{
	if (held && !--held && fd >= 0)
		ioctl(fd, SCHED_HINT_UNLOCK);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	int err;

	about_to_lock();
	err = REAL(pthread_mutex_lock)(mutex);
	if (err)
		unlocked();
	return err;
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	int err;

	about_to_lock();
	err = REAL(pthread_mutex_trylock)(mutex);
	if (err)
		unlocked();
	return err;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	int err = REAL(pthread_mutex_unlock)(mutex);

	if (!err)
		unlocked();
	return err;
}
