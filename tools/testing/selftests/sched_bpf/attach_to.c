// SPDX-License-Identifier: GPL-2.0
/* Attach a policy to the cgroup that is named, until killed: for bpftool.sh. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "answer.skel.h"

int main(int argc, char **argv)
{
	struct answer *skel = answer__open_and_load();
	int fd = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;

	if (!skel || fd < 0 || !bpf_map__attach_cgroup_opts(skel->maps.only_tick, fd, NULL)) {
		perror("attach_to CGROUP");
		return 1;
	}
	return pause();
}
