// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "json_writer.h"
#include "main.h"

#define PARAMETERS	"/sys/module/bpf_sched/parameters"
#define MODULES_FILE	"/sys/kernel/debug/sched/bpf/modules"
#define MAX_MAPS	1024	/* per cgroup, with those of its ancestors */

/* struct bpf_sched_ops in use: attached by a link or registered by a module. */
struct policy {
	char *text;		/* all strings but @cgroup are part of it */
	const char *module, *name, *state;
	char *hooks;		/* lines of counters, one per hook */
	char cgroup[PATH_MAX];	/* path of cgroup, empty if not found */
	__u64 cgroup_id;
	__u32 link_id, map_id;
	int position;		/* evaluation order for tasks in its cgroup */
};

static struct policy *policies;
static int nr_policies;

static char *read_file(const char *path)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t len;
	FILE *fp;

	fp = fopen(path, "r");
	if (!fp)
		return NULL;

	/* There is no zero byte in it: this reads the whole file. */
	len = getdelim(&text, &size, '\0', fp);
	fclose(fp);
	if (len < 0) {
		free(text);
		return NULL;
	}
	return text;
}

static bool file_is(const char *path, const char *want)
{
	char *text = read_file(path);
	bool ret = text && !strncmp(text, want, strlen(want));

	free(text);
	return ret;
}

static int open_cgroup(__u64 id)
{
	union {
		struct file_handle fh;
		char room[sizeof(struct file_handle) + sizeof(__u64)];
	} handle;
	int root_fd, mount_id, fd = -1;
	char *root;

	root = find_cgroup_root();
	if (!root)
		return -1;

	/* The handles of one file system differ in the id only. */
	handle.fh.handle_bytes = sizeof(id);
	root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd >= 0 &&
	    !name_to_handle_at(AT_FDCWD, root, &handle.fh, &mount_id, 0)) {
		memcpy(handle.fh.f_handle, &id, sizeof(id));
		fd = open_by_handle_at(root_fd, &handle.fh, O_RDONLY | O_CLOEXEC);
	}

	if (root_fd >= 0)
		close(root_fd);
	free(root);
	return fd;
}

/* Return when a map is called for the tasks of this cgroup, or -1. */
static int find_position(int cgroup_fd, __u32 map_id)
{
	LIBBPF_OPTS(bpf_prog_query_opts, opts);
	__u32 ids[MAX_MAPS], i;

	opts.query_flags = BPF_F_QUERY_EFFECTIVE;
	opts.prog_ids = ids;
	opts.prog_cnt = MAX_MAPS;
	if (bpf_prog_query_opts(cgroup_fd, BPF_STRUCT_OPS, &opts))
		return -1;
	for (i = 0; i < opts.prog_cnt; i++)
		if (ids[i] == map_id)
			return i;
	return -1;
}

/* Take over @text: lines of a key and a value, with a key "policy". */
static int add_policy(char *text, const struct bpf_link_info *info)
{
	char *line, *value, *next, path[32];
	struct policy *p;
	ssize_t len;
	int fd;

	p = realloc(policies, (nr_policies + 1) * sizeof(*p));
	if (p)
		policies = p;
	if (!p || !text) {
		p_err("mem alloc failed");
		free(text);
		return -1;
	}
	p += nr_policies++;
	memset(p, 0, sizeof(*p));
	p->text = text;

	for (line = text; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		value = strstr(line, ":\t");
		if (!value)
			continue;
		*value = '\0';
		value += 2;
		if (!strcmp(line, "module"))
			p->module = value;
		else if (!strcmp(line, "policy"))
			p->name = value;
		else if (!strcmp(line, "cgroup_id"))
			p->cgroup_id = strtoull(value, NULL, 10);
		else if (!strcmp(line, "state"))
			break;
	}
	p->state = line && *line ? value : "unknown";
	p->hooks = line && *line ? next : NULL;
	p->position = -1;
	if (info) {
		p->link_id = info->id;
		p->map_id = info->struct_ops.map_id;
	}

	fd = open_cgroup(p->cgroup_id);
	if (fd < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, p->cgroup, sizeof(p->cgroup) - 1);
	p->cgroup[len < 0 ? 0 : len] = '\0';
	if (info)
		p->position = find_position(fd, p->map_id);
	close(fd);
	return 0;
}

static int add_link(int fd)
{
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);
	char path[40], *text;

	if (bpf_link_get_info_by_fd(fd, &info, &len)) {
		p_err("can't get link info: %s", strerror(errno));
		return -1;
	}
	if (info.type != BPF_LINK_TYPE_STRUCT_OPS)
		return 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	text = read_file(path);
	if (!text || !strstr(text, "\npolicy:\t")) {
		free(text);
		return 0;
	}
	return add_policy(text, &info);
}

static int add_links(void)
{
	__u32 id = 0;
	int fd, err;

	while (!bpf_link_get_next_id(id, &id)) {
		fd = bpf_link_get_fd_by_id(id);
		if (fd < 0) {
			if (errno == ENOENT)
				continue;
			p_err("can't get link by id (%u): %s", id, strerror(errno));
			return -1;
		}
		err = add_link(fd);
		close(fd);
		if (err)
			return err;
	}
	if (errno != ENOENT) {
		p_err("can't get next link: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static int add_modules(void)
{
	char *text = read_file(MODULES_FILE), *block, *end;
	int err = 0, n = 0;

	for (block = text; block && *block && !err; block = end) {
		end = strstr(block + 1, "\nmodule:\t");
		end = end ? end + 1 : block + strlen(block);
		err = add_policy(strndup(block, end - block), NULL);
		if (!err)
			policies[nr_policies - 1].position = n++;
	}
	free(text);
	return err;
}

/* Policies of modules are called last, in the order of the file. */
static int compare_policies(const void *a, const void *b)
{
	const struct policy *p = a, *q = b;

	if (!p->module != !q->module)
		return p->module ? 1 : -1;
	if (!p->module && p->cgroup_id != q->cgroup_id)
		return p->cgroup_id < q->cgroup_id ? -1 : 1;
	return p->position - q->position;
}

static void show_str(const char *name, const char *value)
{
	if (json_output)
		jsonw_string_field(json_wtr, name, value);
	else
		printf("%s %s  ", name, value);
}

static void show_num(const char *name, __u64 value)
{
	if (json_output)
		jsonw_lluint_field(json_wtr, name, value);
	else
		printf("%s %llu  ", name, value);
}

static void show_hook(char *line)
{
	char *key, *value, *save;

	if (json_output)
		jsonw_start_object(json_wtr);
	else
		printf("\n\t");
	show_str("hook", strtok_r(line, ":\t ", &save));
	while ((key = strtok_r(NULL, "\t ", &save)) &&
	       (value = strtok_r(NULL, "\t ", &save)))
		show_num(key, strtoull(value, NULL, 10));
	if (json_output)
		jsonw_end_object(json_wtr);
}

static void show_policy(struct policy *p)
{
	char *line, *save;

	if (json_output)
		jsonw_start_object(json_wtr);
	show_str("name", p->name);
	if (p->module) {
		show_str("module", p->module);
	} else {
		show_num("link_id", p->link_id);
		show_num("map_id", p->map_id);
	}
	show_num("cgroup_id", p->cgroup_id);
	if (*p->cgroup)
		show_str("cgroup", p->cgroup);
	if (p->position >= 0)
		show_num("position", p->position);
	show_str("state", p->state);
	if (json_output) {
		jsonw_name(json_wtr, "hooks");
		jsonw_start_array(json_wtr);
	}

	for (line = p->hooks ? strtok_r(p->hooks, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save))
		show_hook(line);

	if (json_output) {
		jsonw_end_array(json_wtr);
		jsonw_end_object(json_wtr);
	} else {
		printf("\n");
	}
}

/* Show what keeps policies from being called. */
static void show_state(void)
{
	bool off = file_is(PARAMETERS "/enabled", "N");
	bool scx = file_is("/sys/kernel/sched_ext/state", "enabled") &&
		   file_is("/sys/kernel/sched_ext/switch_all", "1");

	if (json_output) {
		jsonw_bool_field(json_wtr, "enabled", !off);
		jsonw_bool_field(json_wtr, "sched_ext_switched_all", scx);
	} else {
		if (off)
			printf("disabled: no policy is called\n");
		if (scx)
			printf("sched_ext runs all fair tasks: no policy is called\n");
	}
}

static int do_show(int argc, char **argv)
{
	int i, err;

	if (argc)
		return BAD_ARG();

	if (access(PARAMETERS, F_OK)) {
		p_err("no " PARAMETERS ": kernel without CONFIG_BPF_SCHED");
		return -1;
	}

	err = add_links() ?: add_modules();
	if (err)
		goto free_policies;

	if (nr_policies)
		qsort(policies, nr_policies, sizeof(*policies), compare_policies);
	if (json_output)
		jsonw_start_object(json_wtr);
	show_state();
	if (json_output) {
		jsonw_name(json_wtr, "policies");
		jsonw_start_array(json_wtr);
	}
	for (i = 0; i < nr_policies; i++)
		show_policy(&policies[i]);
	if (json_output) {
		jsonw_end_array(json_wtr);
		jsonw_end_object(json_wtr);
	}

free_policies:
	for (i = 0; i < nr_policies; i++)
		free(policies[i].text);
	free(policies);
	policies = NULL;
	nr_policies = 0;
	/* Batch mode would take what some optional file left for an error. */
	if (!err)
		errno = 0;
	return err;
}

static int do_help(int argc, char **argv)
{
	if (json_output) {
		jsonw_null(json_wtr);
		return 0;
	}

	fprintf(stderr,
		"Usage: %1$s %2$s { show | list }\n"
		"       %1$s %2$s help\n"
		"\n"
		"       " HELP_SPEC_OPTIONS " }\n"
		"",
		bin_name, argv[-2]);

	return 0;
}

static const struct cmd cmds[] = {
	{ "show",	do_show },
	{ "list",	do_show },
	{ "help",	do_help },
	{ 0 }
};

int do_sched(int argc, char **argv)
{
	return cmd_select(cmds, argc, argv, do_help);
}
