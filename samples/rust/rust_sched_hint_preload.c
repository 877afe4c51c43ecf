// SPDX-License-Identifier: GPL-2.0
/*
 * Gives the hints of rust_sched_hint for the pthread mutexes of an unmodified program:
 *
 *	cc -O2 -shared -fPIC -o rust_sched_hint_preload.so rust_sched_hint_preload.c
 *	LD_PRELOAD=./rust_sched_hint_preload.so program
 *
 * A thread gives a hint with its first lock and its last unlock only. pthread_cond_wait() is not
 * wrapped: a thread that sleeps in it has a hint that says it holds a lock, which has an effect
 * only when it wakes up, and then it is about to take the mutex again.
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

static int taken(int err)
{
	if (!err && !held++ && fd >= 0)
		ioctl(fd, SCHED_HINT_LOCK);
	return err;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	return taken(REAL(pthread_mutex_lock)(mutex));
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	return taken(REAL(pthread_mutex_trylock)(mutex));
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	int err = REAL(pthread_mutex_unlock)(mutex);

	if (!err && held && !--held && fd >= 0)
		ioctl(fd, SCHED_HINT_UNLOCK);
	return err;
}
