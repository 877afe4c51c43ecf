// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "json_writer.h"
#include "main.h"

#define DEBUGFS_MNT	"/sys/kernel/debug"
#define SCHED_BPF_DIR	DEBUGFS_MNT "/sched/bpf"
#define SCHED_EXT_DIR	"/sys/kernel/sched_ext"

#define NSEC_PER_SEC	1000000000ULL
#define CLEAR_SCREEN	"\033[H\033[J"

/* A file whose first line names its columns. */
struct table {
	char *text;
	char **cells;	/* the words of @text: line by line, the names first */
	unsigned int nr_cols;
	unsigned int nr_rows;
};

struct snapshot {
	struct table policies;
	struct table counters;
	__u64 time_ns;
};

/* The policies that were asked for: all of them if @column is NULL. */
struct policy_ref {
	const char *column;
	const char *arg;
	__u64 id;	/* number to find in @column, other than for names */
};

/* Room for the id of a cgroup, which is 64 bits wide, behind the header. */
union cgroup_handle {
	struct file_handle fh;
	char room[sizeof(struct file_handle) + sizeof(__u64)];
};

/* Bits of struct bpf_sched_ops.flags, from the lowest. */
static const char * const flag_names[] = {
	"shadow",
};

/* Columns without which the tables cannot be understood. */
static const char * const policy_columns[] = {
	"id", "name", "provider", "link", "map", "cgroup", "position",
	"preorder", "flags", "attached_ns", NULL
};

static const char * const counter_columns[] = {
	"id", "hook", "prog", "calls", "negative", "positive", "overruled",
	"differ", "time_ns", NULL
};

/* Columns that top shows */
static const char * const rates[] = {
	"calls", "negative", "positive", "overruled", "differ", "time_ns",
};

static bool is_fs(const char *path, unsigned long magic)
{
	struct statfs st_fs;

	return !statfs(path, &st_fs) && (unsigned long)st_fs.f_type == magic;
}

static __u64 boot_time_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static bool read_line(const char *path, char *buf, int size)
{
	bool ok;
	FILE *fp;

	fp = fopen(path, "r");
	if (!fp)
		return false;

	ok = fgets(buf, size, fp);
	if (ok)
		buf[strcspn(buf, "\n")] = '\0';

	fclose(fp);
	return ok;
}

static void table_open_err(const char *path, int err)
{
	if (err == EACCES)
		p_err("can't open %s: %s, root is required", path, strerror(err));
	else if (err != ENOENT)
		p_err("can't open %s: %s", path, strerror(err));
	else if (!is_fs(DEBUGFS_MNT, DEBUGFS_MAGIC))
		p_err("no debugfs is mounted on %s", DEBUGFS_MNT);
	else
		p_err("no %s: kernel without CONFIG_BPF_SCHED", path);
}

static int table_column(const struct table *t, const char *column)
{
	unsigned int i;

	for (i = 0; i < t->nr_cols; i++)
		if (!strcmp(t->cells[i], column))
			return i;

	return -1;
}

static char **table_row(const struct table *t, unsigned int row)
{
	return t->cells + (row + 1) * t->nr_cols;
}

/* @column has to be one that table_read() was told to look for. */
static const char *
table_str(const struct table *t, unsigned int row, const char *column)
{
	return table_row(t, row)[table_column(t, column)];
}

static __u64
table_num(const struct table *t, unsigned int row, const char *column)
{
	return strtoull(table_str(t, row, column), NULL, 0);
}

/* What is known of the kernel module that provides a policy: NULL if nothing. */
static const char *policy_module(const struct table *policies, unsigned int row)
{
	int column = table_column(policies, "module");
	const char *module;

	if (column < 0)
		return NULL;

	module = table_row(policies, row)[column];
	return strcmp(module, "-") ? module : NULL;
}

/* Others have no BPF objects, and 0 for their ids. */
static bool is_bpf(const struct table *policies, unsigned int row)
{
	return !strcmp(table_str(policies, row, "provider"), "bpf");
}

static void table_free(struct table *t)
{
	free(t->cells);
	free(t->text);
}

/* On error too, the caller has to free @t, which has to be zeroed before. */
static int table_read(struct table *t, const char *path,
		      const char * const *columns)
{
	char *word, *rest, *first_eol;
	unsigned int nr_words = 0;
	size_t size = 0;
	ssize_t len;
	FILE *fp;

	fp = fopen(path, "r");
	if (!fp) {
		table_open_err(path, errno);
		return -1;
	}

	/* There is no zero byte in it: this reads the whole file. */
	len = getdelim(&t->text, &size, '\0', fp);
	fclose(fp);
	if (len < 0) {
		p_err("can't read %s", path);
		return -1;
	}

	/* Each word takes a separator too. */
	t->cells = calloc(len / 2 + 1, sizeof(*t->cells));
	if (!t->cells) {
		p_err("mem alloc failed");
		return -1;
	}

	first_eol = strchr(t->text, '\n');
	for (word = strtok_r(t->text, "\n ", &rest); word;
	     word = strtok_r(NULL, "\n ", &rest)) {
		t->cells[nr_words++] = word;
		if (word < first_eol)
			t->nr_cols++;
	}

	for (; *columns; columns++) {
		if (table_column(t, *columns) < 0) {
			p_err("no column '%s' in %s", *columns, path);
			return -1;
		}
	}

	if (nr_words % t->nr_cols) {
		p_err("incomplete line in %s", path);
		return -1;
	}
	t->nr_rows = nr_words / t->nr_cols - 1;

	return 0;
}

static bool is_selected(const struct table *policies, unsigned int row,
			const struct policy_ref *ref)
{
	if (!ref->column)
		return true;
	if (!strcmp(ref->column, "name"))
		return !strcmp(table_str(policies, row, "name"), ref->arg);

	return table_num(policies, row, ref->column) == ref->id;
}

static int select_policies(struct table *policies, const struct policy_ref *ref)
{
	unsigned int row, nr = 0;

	for (row = 0; row < policies->nr_rows; row++)
		if (is_selected(policies, row, ref))
			memmove(table_row(policies, nr++),
				table_row(policies, row),
				policies->nr_cols * sizeof(*policies->cells));
	policies->nr_rows = nr;

	if (ref->column && !nr) {
		p_err("no policy found for %s %s", ref->column, ref->arg);
		return -1;
	}

	return 0;
}

static void snapshot_free(struct snapshot *s)
{
	table_free(&s->policies);
	table_free(&s->counters);
}

static int snapshot_read(struct snapshot *s, const struct policy_ref *ref)
{
	memset(s, 0, sizeof(*s));

	if (table_read(&s->policies, SCHED_BPF_DIR "/policies",
		       policy_columns) ||
	    table_read(&s->counters, SCHED_BPF_DIR "/counters",
		       counter_columns) ||
	    select_policies(&s->policies, ref)) {
		snapshot_free(s);
		return -1;
	}

	/* Later than the attachment of any policy that was read */
	s->time_ns = boot_time_ns();

	return 0;
}

static bool same(const struct table *a, unsigned int row_a,
		 const struct table *b, unsigned int row_b, const char *column)
{
	return !strcmp(table_str(a, row_a, column), table_str(b, row_b, column));
}

static int get_cgroup_handle(const char *path, union cgroup_handle *handle)
{
	int mount_id;

	handle->fh.handle_bytes = sizeof(__u64);
	return name_to_handle_at(AT_FDCWD, path, &handle->fh, &mount_id,
				 AT_SYMLINK_FOLLOW);
}

static bool get_cgroup_path(__u64 id, char *buf, size_t size)
{
	union cgroup_handle handle;
	char link[64], *root;
	ssize_t len = -1;
	int root_fd, fd;

	root = find_cgroup_root();
	if (!root)
		return false;

	root_fd = open(root, O_RDONLY);
	if (root_fd < 0)
		goto free_root;

	if (get_cgroup_handle(root, &handle))
		goto close_root;

	/* The handles of one file system differ in nothing but the id. */
	memcpy(handle.fh.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(root_fd, &handle.fh, O_PATH);
	if (fd < 0)
		goto close_root;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, buf, size - 1);
	if (len >= 0)
		buf[len] = '\0';

	close(fd);
close_root:
	close(root_fd);
free_root:
	free(root);
	return len >= 0;
}

static int parse_policy(struct policy_ref *ref, const char *type,
			const char *arg)
{
	union cgroup_handle handle;
	char *endptr;

	if (ref->column) {
		p_err("POLICY already specified");
		return -1;
	}
	ref->arg = arg;

	if (is_prefix(type, "id")) {
		ref->column = "id";
		ref->id = strtoul(arg, &endptr, 0);
		if (*endptr) {
			p_err("can't parse %s as ID", arg);
			return -1;
		}
	} else if (is_prefix(type, "name")) {
		ref->column = "name";
	} else if (is_prefix(type, "cgroup")) {
		ref->column = "cgroup";
		/* Files of other file systems can have the same id. */
		if (!is_fs(arg, CGROUP2_SUPER_MAGIC) ||
		    get_cgroup_handle(arg, &handle)) {
			p_err("%s is not a directory of cgroup v2", arg);
			return -1;
		}
		memcpy(&ref->id, handle.fh.f_handle, sizeof(ref->id));
	} else {
		p_err("what is '%s'?", type);
		return -1;
	}

	return 0;
}

/* What keeps the policies from being asked */
static void show_state(void)
{
	char enabled[16], scx_state[16], scx_all[16];
	bool scx_switched_all;

	/* A locked down kernel does not let it be read, nor be changed. */
	if (read_line("/sys/kernel/bpf_sched/enabled", enabled, sizeof(enabled))) {
		bool off = !strcmp(enabled, "0");

		if (json_output)
			jsonw_bool_field(json_wtr, "enabled", !off);
		else if (off)
			printf("switched off: no policy is asked\n");
	}

	if (!read_line(SCHED_EXT_DIR "/state", scx_state, sizeof(scx_state)) ||
	    !read_line(SCHED_EXT_DIR "/switch_all", scx_all, sizeof(scx_all)))
		return;

	scx_switched_all = !strcmp(scx_all, "1");
	if (json_output) {
		jsonw_name(json_wtr, "sched_ext");
		jsonw_start_object(json_wtr);
		jsonw_string_field(json_wtr, "state", scx_state);
		jsonw_bool_field(json_wtr, "switch_all", scx_switched_all);
		jsonw_end_object(json_wtr);
	} else if (!strcmp(scx_state, "enabled")) {
		if (scx_switched_all)
			printf("sched_ext runs all fair tasks: no policy is asked\n");
		else
			printf("sched_ext runs SCHED_EXT tasks: no policy is asked about them\n");
	}
}

static void show_flags(__u64 flags)
{
	const char *sep = "  flags ";
	unsigned int i;

	if (json_output) {
		jsonw_name(json_wtr, "flags");
		jsonw_start_array(json_wtr);
	}
	for (i = 0; flags; i++, flags >>= 1) {
		char unknown[16];
		const char *name = unknown;

		if (!(flags & 1))
			continue;
		if (i < ARRAY_SIZE(flag_names))
			name = flag_names[i];
		else
			snprintf(unknown, sizeof(unknown), "bit%u", i);

		if (json_output)
			jsonw_string(json_wtr, name);
		else
			printf("%s%s", sep, name);
		sep = ",";
	}
	if (json_output)
		jsonw_end_array(json_wtr);
}

static void show_counters(const struct table *t, unsigned int row, bool prog_id)
{
	unsigned int i;

	if (json_output) {
		jsonw_start_object(json_wtr);
		jsonw_string_field(json_wtr, "hook", table_str(t, row, "hook"));
	} else {
		printf("\n\t%s", table_str(t, row, "hook"));
	}

	/* Whatever else the kernel counts */
	for (i = 0; i < t->nr_cols; i++) {
		const char *column = t->cells[i];
		const char *label = column;

		if (!strcmp(column, "id") || !strcmp(column, "name") ||
		    !strcmp(column, "hook"))
			continue;
		if (!strcmp(column, "prog")) {
			if (!prog_id)
				continue;
			label = "prog_id";
		}

		if (json_output)
			jsonw_uint_field(json_wtr, label,
					 table_num(t, row, column));
		else
			printf("  %s %s", label, table_str(t, row, column));
	}

	if (json_output)
		jsonw_end_object(json_wtr);
}

static void
show_policy_json(const struct table *t, unsigned int row, __u64 age_ns)
{
	__u64 cgroup_id = table_num(t, row, "cgroup");
	const char *module = policy_module(t, row);
	char cgroup[PATH_MAX];

	jsonw_uint_field(json_wtr, "id", table_num(t, row, "id"));
	jsonw_string_field(json_wtr, "provider", table_str(t, row, "provider"));
	jsonw_string_field(json_wtr, "name", table_str(t, row, "name"));
	jsonw_uint_field(json_wtr, "cgroup_id", cgroup_id);
	if (cgroup_id && get_cgroup_path(cgroup_id, cgroup, sizeof(cgroup)))
		jsonw_string_field(json_wtr, "cgroup", cgroup);
	jsonw_uint_field(json_wtr, "position", table_num(t, row, "position"));
	jsonw_bool_field(json_wtr, "preorder", table_num(t, row, "preorder"));
	show_flags(table_num(t, row, "flags"));
	if (is_bpf(t, row)) {
		jsonw_uint_field(json_wtr, "link_id",
				 table_num(t, row, "link"));
		jsonw_uint_field(json_wtr, "map_id", table_num(t, row, "map"));
	}
	if (module)
		jsonw_string_field(json_wtr, "module", module);
	jsonw_uint_field(json_wtr, "attached_ns",
			 table_num(t, row, "attached_ns"));
	jsonw_uint_field(json_wtr, "age_ns", age_ns);
}

static void
show_policy_plain(const struct table *t, unsigned int row, __u64 age_ns)
{
	__u64 cgroup_id = table_num(t, row, "cgroup");
	const char *module = policy_module(t, row);
	char cgroup[PATH_MAX];

	printf("%s: %s  name %s", table_str(t, row, "id"),
	       table_str(t, row, "provider"), table_str(t, row, "name"));
	if (!cgroup_id)
		printf("  cgroup system");
	else if (get_cgroup_path(cgroup_id, cgroup, sizeof(cgroup)))
		printf("  cgroup %s", cgroup);
	else
		printf("  cgroup_id %llu", cgroup_id);
	printf("  position %s", table_str(t, row, "position"));
	if (table_num(t, row, "preorder"))
		printf("  preorder");
	show_flags(table_num(t, row, "flags"));
	if (table_num(t, row, "link"))
		printf("  link_id %s", table_str(t, row, "link"));
	if (table_num(t, row, "map"))
		printf("  map_id %s", table_str(t, row, "map"));
	if (module)
		printf("  module %s", module);
	printf("  age %llus", age_ns / NSEC_PER_SEC);
}

static void show_policy(const struct snapshot *s, unsigned int policy)
{
	const struct table *policies = &s->policies, *counters = &s->counters;
	unsigned int row;
	__u64 age_ns;

	age_ns = s->time_ns - table_num(policies, policy, "attached_ns");

	if (json_output) {
		jsonw_start_object(json_wtr);
		show_policy_json(policies, policy, age_ns);
		jsonw_name(json_wtr, "hooks");
		jsonw_start_array(json_wtr);
	} else {
		show_policy_plain(policies, policy, age_ns);
	}

	for (row = 0; row < counters->nr_rows; row++)
		if (same(policies, policy, counters, row, "id"))
			show_counters(counters, row, is_bpf(policies, policy));

	if (json_output) {
		jsonw_end_array(json_wtr);
		jsonw_end_object(json_wtr);
	} else {
		printf("\n");
	}
}

static int do_show(int argc, char **argv)
{
	struct policy_ref ref = {};
	struct snapshot s;
	unsigned int i;

	if (argc) {
		const char *type;

		if (!REQ_ARGS(2))
			return -1;
		type = GET_ARG();
		if (parse_policy(&ref, type, GET_ARG()))
			return -1;
	}
	if (argc)
		return BAD_ARG();

	if (snapshot_read(&s, &ref))
		return -1;

	if (json_output)
		jsonw_start_object(json_wtr);
	show_state();
	if (json_output) {
		jsonw_name(json_wtr, "policies");
		jsonw_start_array(json_wtr);
	}

	for (i = 0; i < s.policies.nr_rows; i++)
		show_policy(&s, i);

	if (json_output) {
		jsonw_end_array(json_wtr);
		jsonw_end_object(json_wtr);
	}

	snapshot_free(&s);
	return 0;
}

static void show_rates(const struct table *old, const struct table *new,
		       unsigned int row, const char *name, double seconds)
{
	unsigned int i, old_row;

	/* One that is not found there has counted from zero since. */
	for (old_row = 0; old_row < old->nr_rows; old_row++)
		if (same(old, old_row, new, row, "id") &&
		    same(old, old_row, new, row, "hook"))
			break;

	if (json_output) {
		jsonw_start_object(json_wtr);
		jsonw_uint_field(json_wtr, "id", table_num(new, row, "id"));
		jsonw_string_field(json_wtr, "name", name);
		jsonw_string_field(json_wtr, "hook",
				   table_str(new, row, "hook"));
	} else {
		printf("%-5s %-15s %-25s", table_str(new, row, "id"), name,
		       table_str(new, row, "hook"));
	}

	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		__u64 count = table_num(new, row, rates[i]);

		if (old_row < old->nr_rows)
			count -= table_num(old, old_row, rates[i]);

		if (json_output)
			jsonw_float_field_fmt(json_wtr, rates[i], "%.1f",
					      count / seconds);
		else
			printf(" %11.1f", count / seconds);
	}

	if (json_output)
		jsonw_end_object(json_wtr);
	else
		printf("\n");
}

static void show_top(const struct snapshot *old, const struct snapshot *new)
{
	const struct table *policies = &new->policies;
	const struct table *counters = &new->counters;
	unsigned int i, row;
	double seconds;

	seconds = (double)(new->time_ns - old->time_ns) / NSEC_PER_SEC;

	if (json_output)
		jsonw_start_object(json_wtr);
	else if (isatty(STDOUT_FILENO))
		printf(CLEAR_SCREEN);

	show_state();
	if (json_output) {
		jsonw_float_field_fmt(json_wtr, "seconds", "%.3f", seconds);
		jsonw_name(json_wtr, "rates");
		jsonw_start_array(json_wtr);
	} else {
		printf("%-5s %-15s %-25s", "id", "name", "hook");
		for (i = 0; i < ARRAY_SIZE(rates); i++)
			printf(" %9s/s", rates[i]);
		printf("\n");
	}

	for (i = 0; i < policies->nr_rows; i++)
		for (row = 0; row < counters->nr_rows; row++)
			if (same(policies, i, counters, row, "id"))
				show_rates(&old->counters, counters, row,
					   table_str(policies, i, "name"),
					   seconds);

	if (json_output) {
		jsonw_end_array(json_wtr);
		jsonw_end_object(json_wtr);
	} else {
		printf("\n");
	}

	/* JSON may have no line ends, at which it would be written. */
	fflush(stdout);
}

static int
parse_positive(int *argc, char ***argv, __u32 *val, const char *what)
{
	if (parse_u32_arg(argc, argv, val, what))
		return -1;

	if (!*val) {
		p_err("%s can't be 0", what);
		return -1;
	}

	return 0;
}

static int do_top(int argc, char **argv)
{
	__u32 interval = 0, count = 0;
	struct policy_ref ref = {};
	struct snapshot old, new;
	struct timespec timeout;
	sigset_t signals, mask;
	int err = 0;

	while (argc) {
		if (!REQ_ARGS(2))
			return -1;
		if (detect_common_prefix(*argv, "id", "name", "cgroup",
					 "interval", "count", NULL))
			return -1;

		if (is_prefix(*argv, "interval")) {
			if (parse_positive(&argc, &argv, &interval, "interval"))
				return -1;
		} else if (is_prefix(*argv, "count")) {
			if (parse_positive(&argc, &argv, &count, "count"))
				return -1;
		} else {
			const char *type = GET_ARG();

			if (parse_policy(&ref, type, GET_ARG()))
				return -1;
		}
	}

	if (snapshot_read(&old, &ref))
		return -1;

	timeout = (struct timespec){ .tv_sec = interval ?: 1 };
	/* Taken between two snapshots only, so that JSON gets its end */
	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, &mask);

	if (json_output)
		jsonw_start_array(json_wtr);

	while (sigtimedwait(&signals, NULL, &timeout) < 0) {
		err = snapshot_read(&new, &ref);
		if (err)
			break;
		show_top(&old, &new);
		snapshot_free(&old);
		old = new;

		if (count && !--count)
			break;
	}

	if (json_output)
		jsonw_end_array(json_wtr);

	sigprocmask(SIG_SETMASK, &mask, NULL);
	snapshot_free(&old);
	return err;
}

static int do_help(int argc, char **argv)
{
	if (json_output) {
		jsonw_null(json_wtr);
		return 0;
	}

	fprintf(stderr,
		"Usage: %1$s %2$s { show | list } [POLICY]\n"
		"       %1$s %2$s top [POLICY] [interval SECONDS] [count N]\n"
		"       %1$s %2$s help\n"
		"\n"
		"       POLICY := { id ID | name NAME | cgroup CGROUP_PATH }\n"
		"       " HELP_SPEC_OPTIONS " }\n"
		"",
		bin_name, argv[-2]);

	return 0;
}

static const struct cmd cmds[] = {
	{ "show",	do_show },
	{ "list",	do_show },
	{ "top",	do_top },
	{ "help",	do_help },
	{ 0 }
};

int do_sched(int argc, char **argv)
{
	int err;

	err = cmd_select(cmds, argc, argv, do_help);

	/* Batch mode would take what some optional file left for an error. */
	if (!err)
		errno = 0;

	return err;
}
