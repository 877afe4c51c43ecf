// SPDX-License-Identifier: GPL-2.0
/*
 * What the static libelf of Debian 13 (elfutils 0.192) calls and does not contain: its
 * trees, which are those of libc with a lock. Programs that are linked with this have
 * no threads that share an Elf. The root is the first member of a tree.
 */
#define _GNU_SOURCE
#include <search.h>
#include <stddef.h>

typedef int compare_fn(const void *a, const void *b);

void eu_search_tree_init(void **tree)
{
	*tree = NULL;
}

void eu_search_tree_fini(void **tree, void (*free_node)(void *node))
{
	tdestroy(*tree, free_node);
}

void *eu_tsearch(const void *key, void **tree, compare_fn *compare)
{
	return tsearch(key, tree, compare);
}

void *eu_tdelete(const void *key, void **tree, compare_fn *compare)
{
	return tdelete(key, tree, compare);
}
