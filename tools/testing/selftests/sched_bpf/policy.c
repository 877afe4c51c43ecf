// SPDX-License-Identifier: GPL-2.0
/* Policies and their counters, as fdinfo of links and debugfs show them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>

#include "lib.h"
#include "policy.h"

const char * const hook_names[NR_HOOKS] = {
	"cfs_check_preempt_wakeup", "cfs_wakeup_preempt_entity", "cfs_check_preempt_tick",
	"cfs_slice", "cfs_select_cpu", "cfs_can_migrate",
};

typedef bool (*seen_fn)(const char *text, void *arg);

struct text_walk {
	seen_fn seen;
	void *arg;
};

static bool see_fdinfo(int fd, const struct bpf_link_info *info, void *arg)
{
	const struct text_walk *walk = arg;
	static char text[8192];
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return !read_file(path, text, sizeof(text)) && strstr(text, "\npolicy:\t") &&
	       walk->seen(text, walk->arg);
}

/* Call @seen for the text of each policy until it returns true. */
static bool walk_policies(seen_fn seen, void *arg)
{
	struct text_walk walk = { seen, arg };

	return walk_links(see_fdinfo, &walk);
}

static bool walk_modules(seen_fn seen, void *arg)
{
	static char buf[65536], text[8192];
	char *block, *end;

	if (read_file(BPF_SCHED_MODULES, buf, sizeof(buf)))
		return false;
	for (block = buf; *block; block = end) {
		end = strstr(block + 1, "\nmodule:\t");
		end = end ? end + 1 : block + strlen(block);
		snprintf(text, sizeof(text), "%.*s", (int)(end - block), block);
		if (seen(text, arg))
			return true;
	}
	return false;
}

/* The value of @key in @text, up to the end of the line. */
static const char *value_of(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (;;) {
		if (!strncmp(text, key, len) && text[len] == ':')
			return text + len + 2;
		text = strchr(text, '\n');
		if (!text)
			return NULL;
		text++;
	}
}

static bool is_value(const char *text, const char *key, const char *value)
{
	const char *at = value_of(text, key);
	size_t len = strlen(value);

	return at && !strncmp(at, value, len) && at[len] == '\n';
}

static uint64_t number_of(const char *text, const char *key)
{
	const char *at = value_of(text, key);

	return at ? strtoull(at, NULL, 10) : 0;
}

struct search {
	const char *name, *hook;
	struct policy policy;
	struct counters counters;
	int found;
};

static bool see_policy(const char *text, void *arg)
{
	struct search *search = arg;
	struct policy *p = &search->policy;
	const char *state;

	if (!is_value(text, "policy", search->name))
		return false;
	p->link = number_of(text, "link_id");
	p->map = number_of(text, "map_id");
	p->cgroup = number_of(text, "cgroup_id");
	state = value_of(text, "state") ?: "";
	snprintf(p->state, sizeof(p->state), "%.*s", (int)strcspn(state, "\n"), state);
	search->found++;
	return true;
}

static bool see_each(const char *text, void *arg)
{
	see_policy(text, arg);
	return false;
}

static bool see_counters(const char *text, void *arg)
{
	struct search *search = arg;
	struct counters *c = &search->counters;
	const struct {
		const char *name;
		uint64_t *count;
	} known[] = {
		{ "calls", &c->calls }, { "negative", &c->negative },
		{ "positive", &c->positive },
		{ "rejected_kthread", &c->rejected_kthread },
		{ "rejected_eligible", &c->rejected_eligible },
		{ "rejected_slice", &c->rejected_slice },
		{ "rejected_short", &c->rejected_short },
		{ "rejected_custom", &c->rejected_custom },
		{ "rejected_cpu", &c->rejected_cpu },
		{ "rejected_balance", &c->rejected_balance },
		{ "differ", &c->differ },
	};
	const char *at;
	char name[32];
	int i, n;

	if (!is_value(text, "policy", search->name))
		return false;
	at = value_of(text, search->hook);
	for (; at && *at != '\n' && sscanf(at, "%31s%n", name, &n) == 1; at += strspn(at, " ")) {
		uint64_t count = strtoull(at + n, (char **)&at, 10);

		for (i = 0; i < sizeof(known) / sizeof(*known); i++) {
			if (!strcmp(name, known[i].name))
				*known[i].count = count;
		}
		if (!strncmp(name, "rejected", strlen("rejected")))
			c->rejected += count;
		search->found = 1;
	}
	c->zero = c->calls - c->negative - c->positive;
	return search->found;
}

int read_policy(const char *name, struct policy *p)
{
	struct search search = { .name = name };

	if (!walk_policies(see_policy, &search))
		walk_modules(see_policy, &search);
	*p = search.policy;
	return search.found ? 0 : -ENOENT;
}

int read_counters(const char *name, const char *hook, struct counters *c)
{
	struct search search = { .name = name, .hook = hook };

	if (!walk_policies(see_counters, &search))
		walk_modules(see_counters, &search);
	*c = search.counters;
	return search.found ? 0 : -ENOENT;
}

uint64_t calls_of(const char *name, const char *hook)
{
	struct counters c;

	return read_counters(name, hook, &c) ? 0 : c.calls;
}

int count_policies(const char *name)
{
	struct search search = { .name = name };

	walk_policies(see_each, &search);
	walk_modules(see_each, &search);
	return search.found;
}

bool policy_gone(const char *name)
{
	int i;

	for (i = 0; i < 250; i++) {
		if (!count_policies(name))
			return true;
		sleep_ms(20);
	}
	return false;
}

bool policy_disabled(const char *name, unsigned int ms)
{
	struct policy p;
	unsigned int i;

	for (i = 0; i < ms / 20; i++) {
		if (!read_policy(name, &p) && !strcmp(p.state, "disabled"))
			return true;
		sleep_ms(20);
	}
	return false;
}
