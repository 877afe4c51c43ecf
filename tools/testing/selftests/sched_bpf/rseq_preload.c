// SPDX-License-Identifier: GPL-2.0
/*
 * Requests an rseq slice extension while a thread of an unmodified program holds a pthread mutex,
 * see Documentation/userspace-api/rseq.rst. For bench_hint.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_RSEQ_SLICE_EXTENSION
#define PR_RSEQ_SLICE_EXTENSION		79
#define PR_RSEQ_SLICE_EXTENSION_SET	2
#define PR_RSEQ_SLICE_EXT_ENABLE	1
#endif
#ifndef __NR_rseq_slice_yield
#define __NR_rseq_slice_yield		471
#endif

/* The C library registers struct rseq. Its header may be older than slice_ctrl, which is here. */
#define SLICE_CTRL	28

struct slice_ctrl {
	uint8_t request, granted;
};

#define REAL(name) ({					\
	static typeof(name) *real;			\
							\
	if (!real)					\
		real = dlsym(RTLD_NEXT, #name);		\
	real;						\
})

static __thread volatile struct slice_ctrl *ctrl;
static __thread unsigned int held;

/* Each thread has to enable slice extensions. */
static void enable(void)
{
	static volatile struct slice_ctrl none;

	if (prctl(PR_RSEQ_SLICE_EXTENSION, PR_RSEQ_SLICE_EXTENSION_SET,
		  PR_RSEQ_SLICE_EXT_ENABLE, 0, 0))
		ctrl = &none;
	else
		ctrl = (void *)((char *)__builtin_thread_pointer() + __rseq_offset + SLICE_CTRL);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	int err = REAL(pthread_mutex_lock)(mutex);

	if (err || held++)
		return err;
	if (!ctrl)
		enable();
	ctrl->request = 1;
	return 0;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	int err = REAL(pthread_mutex_unlock)(mutex);

	if (err || !held || --held)
		return err;
	ctrl->request = 0;
	if (ctrl->granted)
		syscall(__NR_rseq_slice_yield);
	return 0;
}
