/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan: which probes go where, as a value, made before anything is attached.  --explain prints
 * it; user/bpf/tracer.c carries it out.  Owns all of its memory.
 */
#ifndef LT_PROBE_PLAN_H
#define LT_PROBE_PLAN_H

#include "base/buf.h"
#include "elf/image.h"
#include "probe/family.h"
#include "probe/site.h"
#include "proc/maps.h"
#include "proc/process.h"

struct lt_plan_probe {
	uint32_t file; /* index into lt_plan.files */
	enum lt_alloc_op op;
	const char *symbol;    /* static: from the family table */
	const char *aliases;   /* owned; other names at the same address, or of functions that only
				  jump there; comma-separated, "" if none */
	uint64_t entry_offset; /* file offset of the function */
	uint64_t file_offset; /* file offset of the chosen instruction: entry_offset + choice.offset
			       */
	struct lt_site_choice choice;
};

struct lt_plan_file {
	const struct lt_family *family;
	char *path;      /* as the target sees it */
	int fd;          /* the file that was decoded, owned ... */
	char *open_path; /* ... and a path to just this file, whatever becomes of its name */
	uint64_t device, inode;
	uint64_t base; /* address of file offset 0's mapping minus its offset: start - file_offset
			  of the text mapping */
	uint8_t build_id[LT_MAX_BUILD_ID];
	size_t build_id_len;
};

struct lt_plan_skip { /* what is not attached, and why */
	char *what;
	char *why;
	bool allocator; /* it has a malloc of its own: what it allocates is not seen */
};

struct lt_plan {
	struct lt_plan_file *files; /* the one in use first */
	size_t file_count;
	struct lt_plan_probe *probes; /* ordered by op, releases first */
	size_t probe_count;
	struct lt_plan_skip *skips;
	size_t skip_count;
};

/* -ENOENT: no allocator found (plan->skips still says what was looked at). */
int lt_plan_make(const struct lt_process *process, const struct lt_maps *maps,
		 struct lt_plan *plan);
void lt_plan_free(struct lt_plan *plan);
/* The text of --explain. */
void lt_plan_print(const struct lt_plan *plan, const struct lt_process *process,
		   struct lt_buf *out);

#endif
