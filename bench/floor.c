// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The floor that leaktrace is measured against: an empty program at every probe that leaktrace
 * itself chooses, attached the way it attaches.  A pair of malloc and free meets three of them.
 *
 *	floor PID [OFFSET [nop]]   prints "attached", detaches and exits at the end of its input
 *
 * OFFSET: at this place of the program's own file alone, as leaktrace --explain names those of Go; nop: or
 * the NOP before it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/features.h"
#include "bpf/optimized.h"
#include "bpf/uprobe_multi.h"
#include "probe/gosites.h"
#include "probe/plan.h"

/* The entries of one file's functions, or their returns, in one link. */
static int attach(int program, pid_t pid, const struct lt_plan *plan, uint32_t file, bool at_return)
{
	struct lt_uprobe_multi request = {
		.program_fd = program,
		.path = plan->files[file].open_path,
		.pid = (uint32_t)pid,
		.at_return = at_return,
	};
	uint64_t *offsets = calloc(plan->probe_count, sizeof(*offsets));
	int link;

	if (!offsets)
		return -ENOMEM;
	for (size_t i = 0; i < plan->probe_count; i++) {
		const struct lt_plan_probe *probe = &plan->probes[i];

		if (probe->file == file && (!at_return || lt_op_table[probe->op].return_program))
			offsets[request.count++] = probe->file_offset;
	}
	request.offsets = offsets;
	link = request.count ? lt_uprobe_multi_attach(&request) : 0;
	free(offsets);
	return link;
}

static int attach_at(int program, pid_t pid, uint64_t offset)
{
	char path[32];
	struct lt_uprobe_multi request = { .program_fd = program,
					   .path = path,
					   .pid = (uint32_t)pid,
					   .offsets = &offset,
					   .count = 1 };

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return lt_uprobe_multi_attach(&request);
}

static int attach_plan(int program, pid_t pid)
{
	struct lt_process process;
	struct lt_plan plan = { 0 };
	struct lt_maps maps = { 0 };
	int err = lt_process_open(pid, &process);

	if (!err)
		err = lt_maps_read(&process, &maps);
	if (!err)
		err = lt_plan_make(&process, &maps, NULL, &plan);
	for (uint32_t file = 0; file < plan.file_count && err >= 0; file++) {
		err = attach(program, pid, &plan, file, true);
		if (err >= 0)
			err = attach(program, pid, &plan, file, false);
	}
	return err;
}

int main(int argc, char **argv)
{
	struct lt_features features;
	int program, err;

	lt_features_detect(&features);
	if (argc < 2 || argc > 4 || !features.uprobe_multi) {
		fprintf(stderr, "usage: floor PID [OFFSET [nop]] (needs uprobe_multi)\n");
		return 2;
	}
	program = lt_uprobe_multi_load_empty();
	if (program < 0)
		err = program;
	else if (argc > 2)
		err = attach_at(program, atoi(argv[1]),
				strtoull(argv[2], NULL, 0) - (argc > 3 && lt_uprobes_optimize_nops()
								      ? LT_GO_NOP_BYTES
								      : 0));
	else
		err = attach_plan(program, atoi(argv[1]));
	if (err < 0) {
		fprintf(stderr, "floor: %s\n", strerror(-err));
		return 1;
	}
	puts("attached");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
