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
	const char *symbol;    /* owned; as this build calls it */
	const char *aliases;   /* owned; other names at the same address, or of functions that only
				  jump there; comma-separated, "" if none */
	uint64_t entry_offset; /* file offset of the function */
	uint64_t file_offset; /* file offset of the chosen instruction: entry_offset + choice.offset
			       */
	struct lt_site_choice choice;
};

struct lt_plan_file { /* a file that holds two families is there twice */
	const struct lt_family *family;
	char *prefix;    /* what the build puts before the functions' names; "" if nothing */
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
	bool unmatched; /* the user named it (--allocator), and nothing is called so ... */
	size_t number;  /* ... at this place in lt_plan_options.allocators */
};

/* A file that was looked at, whatever was found in it. */
struct lt_plan_looked {
	uint64_t device, inode;
};

struct lt_plan {
	struct lt_plan_file *files; /* the one in use first */
	size_t file_count;
	struct lt_plan_probe *probes; /* ordered by op, releases first */
	size_t probe_count;
	struct lt_plan_skip *skips;
	size_t skip_count;
	struct lt_plan_looked *looked;
	size_t looked_count;
	uint32_t matched; /* bit per lt_plan_options.allocators */
};

#define LT_MAX_ALLOCATORS 8

struct lt_plan_options {
	/* FILE:PREFIX each, as --allocator takes them: PREFIXmalloc in files called FILE. */
	const char *allocators[LT_MAX_ALLOCATORS];
	size_t allocator_count;
};

/* FILE is a base name, or a path if it has a slash, or a shell pattern of one; PREFIX may be "". */
bool lt_plan_allocator_valid(const char *text);

/*
 * -ENOENT: no allocator found (plan->skips still says what was looked at).  options may be NULL.
 */
int lt_plan_make(const struct lt_process *process, const struct lt_maps *maps,
		 const struct lt_plan_options *options, struct lt_plan *plan);
/*
 * A plan of those files that the known one has not looked at.  It remembers those as well, so that
 * it can be the next call's known one.  -ENOENT: no allocator in them (but *more is a plan all the
 * same, to be appended or freed).
 */
int lt_plan_more(const struct lt_process *process, const struct lt_maps *maps,
		 const struct lt_plan_options *options, const struct lt_plan *known,
		 struct lt_plan *more);
/* Moves all of more, which was made of known, to the end of known, whose files keep their numbers. */
int lt_plan_append(struct lt_plan *known, struct lt_plan *more);
void lt_plan_free(struct lt_plan *plan);
/* The text of --explain. */
void lt_plan_print(const struct lt_plan *plan, const struct lt_process *process,
		   struct lt_buf *out);

#endif
