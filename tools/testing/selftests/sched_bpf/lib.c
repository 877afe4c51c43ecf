// SPDX-License-Identifier: GPL-2.0
/* What the test programs share: load on a CPU, cgroups, tunables. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "lib.h"

/* The kernel's struct, under a name that no libc header has. */
struct attr {
	uint32_t size;
	uint32_t sched_policy;
	uint64_t sched_flags;
	int32_t sched_nice;
	uint32_t sched_priority;
	uint64_t sched_runtime;
	uint64_t sched_deadline;
	uint64_t sched_period;
};

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

void sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * NSEC_PER_MSEC };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static int pin_to_cpu(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(pid, sizeof(set), &set) ? -errno : 0;
}

static int pin_to_both(pid_t pid)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(TEST_CPU, &set);
	CPU_SET(LOAD_CPU, &set);
	return sched_setaffinity(pid, sizeof(set), &set) ? -errno : 0;
}

bool setup_cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN) > LOAD_CPU && !pin_to_cpu(0, TEST_CPU);
}

static void one_turn(struct load_stats *stats, uint64_t *last, uint64_t slept)
{
	uint64_t now = now_ns(), gap = now - *last;

	gap = gap > slept ? gap - slept : 0;
	if (gap > stats->max_gap_ns)
		stats->max_gap_ns = gap;
	if (gap < NSEC_PER_MSEC)
		stats->prompt++;
	stats->rounds++;
	*last = now;
}

static void *pong(void *arg)
{
	int *fds = arg;
	char c;

	while (read(fds[0], &c, 1) == 1 && write(fds[3], &c, 1) == 1)
		;
	return NULL;
}

static void pipe_pong(struct load_stats *stats)
{
	pthread_t thread;
	int fds[4];
	char c = 0;

	if (pipe(fds) || pipe(fds + 2) || pthread_create(&thread, NULL, pong, fds))
		_exit(1);
	while (write(fds[1], &c, 1) == 1 && read(fds[2], &c, 1) == 1)
		stats->rounds++;
}

static void fork_once(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		_exit(1);
}

static void run_load(const struct load_attr *attr, struct load_stats *stats)
{
	uint64_t sleep_ns = attr->sleep_ns ?: NSEC_PER_MSEC;
	const struct timespec ts = { .tv_nsec = sleep_ns };
	enum load_kind kind = attr->kind;
	uint64_t last = now_ns();
	char c;

	if (kind == PIPE_PONG)
		pipe_pong(stats);

	for (;;) {
		if (kind == SLEEPER)
			nanosleep(&ts, NULL);
		else if (kind == YIELDER)
			sched_yield();
		else if (kind == FORKER)
			fork_once();
		else if (kind == READER && read(attr->fd, &c, 1) != 1)
			_exit(0);
		one_turn(stats, &last, kind == SLEEPER ? sleep_ns : 0);
		if (attr->work_ns) {
			while (now_ns() - last < attr->work_ns)
				;
			last = now_ns();
		}
	}
}

static int join_cgroup(pid_t pid, const char *cgroup)
{
	char path[LONGEST_CGROUP + 16], text[16];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	snprintf(text, sizeof(text), "%d", pid);
	return write_file(path, text);
}

static int become(const struct load_attr *attr)
{
	struct attr sa = {
		.size = sizeof(sa),
		.sched_policy = attr->policy,
		.sched_nice = attr->nice,
		.sched_priority = attr->policy == SCHED_FIFO ? 1 : 0,
		.sched_runtime = attr->slice_ns,
	};
	int err;

	if (attr->cgroup) {
		err = join_cgroup(getpid(), attr->cgroup);
		if (err)
			return err;
	}
	if (attr->new_session && setsid() < 0)
		return -errno;
	err = pin_to_cpu(0, attr->on_test_cpu ? TEST_CPU : LOAD_CPU);
	if (!err && attr->on_both)
		err = pin_to_both(0);
	if (err)
		return err;
	return syscall(SYS_sched_setattr, 0, &sa, 0) ? -errno : 0;
}

int load_start(struct load *load, const struct load_attr *attr)
{
	int fds[2], err = -EIO;
	pid_t pid;

	load->stats = mmap(NULL, sizeof(*load->stats), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (load->stats == MAP_FAILED)
		return -errno;
	if (pipe2(fds, O_CLOEXEC))
		return -errno;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		err = become(attr);
		if (write(fds[1], &err, sizeof(err)) != sizeof(err) || err)
			_exit(1);
		run_load(attr, load->stats);
		_exit(1);
	}

	close(fds[1]);
	if (read(fds[0], &err, sizeof(err)) != sizeof(err))
		err = -EIO;
	close(fds[0]);
	load->pid = pid;
	if (err)
		load_stop(load);
	return err;
}

void load_stop(struct load *load)
{
	if (!load->pid)
		return;
	kill(load->pid, SIGKILL);
	waitpid(load->pid, NULL, 0);
	munmap(load->stats, sizeof(*load->stats));
	load->pid = 0;
}

int load_move_to_cpu(const struct load *load, int cpu)
{
	return pin_to_cpu(load->pid, cpu);
}

int load_move_to_both(const struct load *load)
{
	return pin_to_both(load->pid);
}

int load_move_to_cgroup(const struct load *load, const char *cgroup)
{
	return join_cgroup(load->pid, cgroup);
}

int load_make_deadline(const struct load *load)
{
	const struct attr attr = {
		.size = sizeof(attr),
		.sched_policy = SCHED_DEADLINE,
		.sched_runtime = 5 * NSEC_PER_MSEC,
		.sched_deadline = 10 * NSEC_PER_MSEC,
		.sched_period = 10 * NSEC_PER_MSEC,
	};

	return syscall(SYS_sched_setattr, load->pid, &attr, 0) ? -errno : 0;
}

int load_make_cookie(const struct load *load)
{
	return prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, load->pid,
		     PR_SCHED_CORE_SCOPE_THREAD_GROUP, 0) ? -errno : 0;
}

int mixed_loads_start(struct load *loads)
{
	static const enum load_kind kinds[NR_MIXED_LOADS] = {
		HOG, HOG, SLEEPER, SLEEPER, PIPE_PONG, YIELDER,
	};
	int i, err = 0;

	for (i = 0; i < NR_MIXED_LOADS && !err; i++) {
		const struct load_attr attr = { .kind = kinds[i] };

		err = load_start(&loads[i], &attr);
	}
	return err;
}

int mixed_loads_move(const struct load *loads, const char *cgroup)
{
	int i, err = 0;

	for (i = 0; i < NR_MIXED_LOADS && !err; i++) {
		if (kill(loads[i].pid, SIGSTOP) ||
		    waitpid(loads[i].pid, NULL, WUNTRACED) != loads[i].pid)
			return -errno;
		err = load_move_to_cgroup(&loads[i], cgroup);
		kill(loads[i].pid, SIGCONT);
	}
	return err;
}

int mixed_loads_stuck(const struct load *loads)
{
	uint64_t rounds[NR_MIXED_LOADS];
	int i, stuck = 0;

	for (i = 0; i < NR_MIXED_LOADS; i++)
		rounds[i] = loads[i].stats->rounds;
	sleep_ms(1000);
	for (i = 0; i < NR_MIXED_LOADS; i++)
		stuck += loads[i].stats->rounds == rounds[i];
	return stuck;
}

#define EFFECT_MS	1000

uint64_t hog_switches(const char *cgroup, uint64_t slice_ns)
{
	struct load_attr attr = { .kind = HOG, .slice_ns = slice_ns, .cgroup = cgroup };
	struct load hogs[2] = {};
	uint64_t n = 0;

	if (load_start(&hogs[0], &attr))
		return 0;
	attr.cgroup = NULL;
	if (!load_start(&hogs[1], &attr)) {
		sleep_ms(100);
		n = switches(hogs[0].pid);
		sleep_ms(EFFECT_MS);
		n = switches(hogs[0].pid) - n;
	}
	load_stop(&hogs[0]);
	load_stop(&hogs[1]);
	return n;
}

static struct rounds rounds_of(int policy, const char *cgroup, int nr_hogs, uint64_t slice_ns)
{
	const struct load_attr hog_attr = { .kind = HOG, .slice_ns = slice_ns };
	const struct load_attr attr = {
		.kind = SLEEPER,
		.policy = policy,
		.slice_ns = slice_ns,
		.work_ns = 50 * 1000,
		.cgroup = cgroup,
	};
	struct load hogs[MAX_HOGS] = {}, sleeper = {};
	uint64_t all, prompt;
	struct rounds r = {};
	int i, err = 0;

	for (i = 0; i < nr_hogs && !err; i++)
		err = load_start(&hogs[i], &hog_attr);
	if (!err && !load_start(&sleeper, &attr)) {
		sleep_ms(100);
		all = sleeper.stats->rounds;
		prompt = sleeper.stats->prompt;
		sleep_ms(2 * EFFECT_MS);
		r.all = sleeper.stats->rounds - all;
		r.late = r.all - (sleeper.stats->prompt - prompt);
	}
	load_stop(&sleeper);
	for (i = 0; i < nr_hogs; i++)
		load_stop(&hogs[i]);
	return r;
}

struct rounds sleeper_rounds(const char *cgroup, int nr_hogs, uint64_t slice_ns)
{
	return rounds_of(SCHED_OTHER, cgroup, nr_hogs, slice_ns);
}

struct rounds batch_rounds(int nr_hogs, uint64_t slice_ns)
{
	return rounds_of(SCHED_BATCH, NULL, nr_hogs, slice_ns);
}

bool is_prompter(struct rounds r, struct rounds stock)
{
	return r.all && 3 * r.late * stock.all <= 2 * stock.late * r.all;
}

int read_file(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n = 0;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += n;
	n = n < 0 ? -errno : 0;
	close(fd);
	buf[len] = 0;
	return n;
}

int write_file(const char *path, const char *text)
{
	int fd, err;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return err;
}

uint64_t cpu_time_ns(pid_t pid)
{
	char path[64], buf[128];

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	return read_file(path, buf, sizeof(buf)) ? 0 : strtoull(buf, NULL, 10);
}

static uint64_t status_field(const char *buf, const char *field)
{
	const char *at = strstr(buf, field);

	return at ? strtoull(at + strlen(field), NULL, 10) : 0;
}

uint64_t switches(pid_t pid)
{
	char path[64], buf[4096];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (read_file(path, buf, sizeof(buf)))
		return 0;
	return status_field(buf, "\nvoluntary_ctxt_switches:") +
	       status_field(buf, "nonvoluntary_ctxt_switches:");
}

int cpu_of(pid_t pid)
{
	char path[64], buf[1024], *field;
	int i;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_file(path, buf, sizeof(buf)))
		return -ESRCH;
	/* The 39th, of which the second may have spaces and ends with the last bracket. */
	field = strrchr(buf, ')');
	for (i = 2; field && i < 39; i++)
		field = strchr(field + 1, ' ');
	return field ? atoi(field) : -ENODATA;
}

struct bpf_link *attach_to(const struct bpf_map *map, const char *cgroup)
{
	int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;
	struct bpf_link *link;

	if (fd < 0)
		return NULL;
	link = bpf_map__attach_cgroup_opts(map, fd, NULL);
	err = errno;
	close(fd);
	errno = err;
	return link;
}

struct bpf_link *attach_root(const struct bpf_map *map)
{
	return attach_to(map, CGROUP_ROOT);
}

int query_maps(int cgroup_fd, uint32_t flags, uint32_t *ids, int max, uint64_t *revision)
{
	LIBBPF_OPTS(bpf_prog_query_opts, opts, .query_flags = flags, .prog_ids = ids,
		    .prog_cnt = max);
	int err = bpf_prog_query_opts(cgroup_fd, BPF_STRUCT_OPS, &opts);

	if (revision)
		*revision = opts.revision;
	return err ?: opts.prog_cnt;
}

uint32_t map_id(const struct bpf_map *map)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	return bpf_map_get_info_by_fd(bpf_map__fd(map), &info, &len) ? 0 : info.id;
}

bool walk_links(bool (*seen)(int fd, const struct bpf_link_info *info, void *arg), void *arg)
{
	__u32 id = 0, len;
	bool ret = false;
	int fd;

	while (!ret && !bpf_link_get_next_id(id, &id)) {
		struct bpf_link_info info = {};

		len = sizeof(info);
		fd = bpf_link_get_fd_by_id(id);
		if (fd < 0)
			continue;
		ret = !bpf_link_get_info_by_fd(fd, &info, &len) &&
		      info.type == BPF_LINK_TYPE_STRUCT_OPS && seen(fd, &info, arg);
		close(fd);
	}
	return ret;
}

struct links_of_map {
	uint32_t map;
	int nr;
};

static bool count_link(int fd, const struct bpf_link_info *info, void *arg)
{
	struct links_of_map *links = arg;

	links->nr += info->struct_ops.map_id == links->map;
	return false;
}

int count_links(const struct bpf_map *map)
{
	struct links_of_map links = { .map = map_id(map) };

	walk_links(count_link, &links);
	return links.nr;
}

int wait_for_links(const struct bpf_map *map, int nr)
{
	int i;

	for (i = 0; i < 250 && count_links(map) != nr; i++)
		sleep_ms(20);
	return count_links(map);
}

static void knob_path(const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s%s", *name == '/' ? "" : BPF_SCHED_SYSFS, name);
}

uint64_t get_knob(const char *name)
{
	char path[128], buf[32];

	knob_path(name, path, sizeof(path));
	if (read_file(path, buf, sizeof(buf)))
		return 0;
	return *buf == 'Y' ? 1 : strtoull(buf, NULL, 10);
}

int set_knob(const char *name, uint64_t val)
{
	char path[128], buf[32];

	knob_path(name, path, sizeof(path));
	snprintf(buf, sizeof(buf), "%lu", val);
	return write_file(path, buf);
}

int cgroup_make(const char *parent, const char *name, char *path, size_t size)
{
	int len = snprintf(path, size, "%s/%s.%d", parent ?: CGROUP_ROOT, name, getpid());

	if (len >= size)
		return -ENAMETOOLONG;
	return mkdir(path, 0755) ? -errno : 0;
}

void cgroup_remove(const char *path)
{
	int i;

	/* A killed task may not have left yet. */
	for (i = 0; i < 100 && rmdir(path) && errno == EBUSY; i++)
		sleep_ms(20);
}

uint64_t cgroup_id(const char *path)
{
	struct {
		struct file_handle handle;
		uint64_t id;
	} fh = { .handle.handle_bytes = sizeof(fh.id) };
	int mount_id;

	if (name_to_handle_at(AT_FDCWD, path, &fh.handle, &mount_id, 0))
		return 0;
	return fh.id;
}

bool has_sched_ext(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int id = btf ? btf__find_by_name_kind(btf, "sched_ext_ops", BTF_KIND_STRUCT) : -1;

	btf__free(btf);
	return id > 0;
}

const char *beside(const char *name)
{
	static char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 64);

	while (len > 0 && path[len - 1] != '/')
		len--;
	snprintf(path + (len > 0 ? len : 0), 64, "%s", name);
	return path;
}

int module_load(const char *path, const char *params)
{
	int fd, err;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, params, 0) ? -errno : 0;
	close(fd);
	return err;
}

int modprobe_load(const char *name, const char *params)
{
	char command[128], path[512] = {};
	FILE *modinfo;

	snprintf(command, sizeof(command), "modinfo -n %s 2>/dev/null", name);
	modinfo = popen(command, "re");
	if (!modinfo)
		return -errno;
	if (fgets(path, sizeof(path), modinfo))
		path[strcspn(path, "\n")] = 0;
	pclose(modinfo);
	return module_load(path, params);
}

int module_unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

/* From linux/syslog.h, whose numbers glibc does not name. */
#define SYSLOG_ACTION_READ_ALL	3
#define SYSLOG_ACTION_CLEAR	5

bool kernel_log_has(const char *text)
{
	static char log[1 << 20];
	int len = klogctl(SYSLOG_ACTION_READ_ALL, log, sizeof(log) - 1);

	log[len < 0 ? 0 : len] = 0;
	return strstr(log, text);
}

void kernel_log_forget(void)
{
	klogctl(SYSLOG_ACTION_CLEAR, NULL, 0);
}

static char libbpf_log[65536];

static int keep_message(enum libbpf_print_level level, const char *format, va_list args)
{
	size_t len = strlen(libbpf_log);

	if (level == LIBBPF_DEBUG)
		return 0;
	return vsnprintf(libbpf_log + len, sizeof(libbpf_log) - len, format, args);
}

void capture_libbpf(void)
{
	libbpf_log[0] = 0;
	libbpf_set_print(keep_message);
}

const char *captured_libbpf(void)
{
	return libbpf_log;
}
