/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Go's pc-line table (runtime.pclntab), which every Go program carries: functions, lines, stack
 * sizes, inlined calls.  Magics 0xfffffffb (up to 1.15), fa (1.16, 1.17), f0 (1.18, 1.19), f1 (1.20 on).
 * Pure over borrowed bytes, all of which are hostile: every offset is checked, every loop bounded.
 * Addresses are ELF virtual addresses.
 */
#ifndef LT_ELF_GOPCLNTAB_H
#define LT_ELF_GOPCLNTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream/event.h"

struct lt_gopclntab_source { /* all borrowed for the life of the table */
	const uint8_t *bytes;
	size_t size;
	uint64_t text;           /* of the module: runtime.text */
	const uint8_t *funcdata; /* the bytes from gofunc on; NULL: none, nothing is expanded */
	size_t funcdata_size;
	uint64_t funcdata_address; /* of the first of these bytes */
	unsigned int minor;        /* Go 1.minor; 0: unknown, then by the magic */
};

struct lt_gopclntab {
	struct lt_gopclntab_source source;
	const struct lt_gopclntab_form *form; /* of what belongs to the magic */
	unsigned int format; /* 15, 16, 18 or 20: the first version with this magic (2 up to 15) */
	uint64_t function_count;
	uint64_t names, cus, files, pcs, functions; /* offsets of the parts in bytes */
	unsigned int pointer_bytes;
	uint8_t wrapper_id; /* FuncID of what the compiler makes; 0: no function has it */
};

/* runtime/symtab.go, abi.FuncFlag; the same numbers since 1.17 */
#define LT_GO_FLAG_TOP_FRAME 1 /* a stack ends here: goexit, mstart, rt0_go */
#define LT_GO_FLAG_SP_WRITE  2 /* changes stacks: pcsp does not tell how to go on */
#define LT_GO_FLAG_ASM       4

struct lt_go_function {
	const char *name; /* in the table, NUL-terminated */
	uint64_t entry, end;
	uint32_t offset; /* of struct _func in the table */
	uint8_t id;      /* abi.FuncID; its meaning changes with the version */
	uint8_t flags;   /* LT_GO_FLAG_ */
	bool wrapper;    /* made by the compiler: tracebacks leave it out */
	uint32_t pcsp, pcfile, pcln, npcdata, nfuncdata;
};

/* 0; -EBADMSG: no table, or not one that holds up. */
int lt_gopclntab_open(struct lt_gopclntab *table, const struct lt_gopclntab_source *source);

/* The function that holds the address. */
bool lt_gopclntab_find(const struct lt_gopclntab *table, uint64_t pc,
		       struct lt_go_function *function);
/* The index-th one, by ascending address; false beyond the last. */
bool lt_gopclntab_at(const struct lt_gopclntab *table, uint64_t index,
		     struct lt_go_function *function);
/* By its name, among all functions: a linear search. */
bool lt_gopclntab_named(const struct lt_gopclntab *table, const char *name,
			struct lt_go_function *function);

/*
 * By how much SP lies below where it was at the function's entry (where it points at the return
 * address) when the instruction at pc is about to run.  False: not known.
 */
bool lt_gopclntab_sp_delta(const struct lt_gopclntab *table, const struct lt_go_function *function,
			   uint64_t pc, int32_t *delta);
/* All of them: visit gets each run [start, end) of a function.  Nonzero stops and is returned. */
int lt_gopclntab_each_sp_delta(
	const struct lt_gopclntab *table, const struct lt_go_function *function,
	int (*visit)(void *context, uint64_t start, uint64_t end, int32_t delta), void *context);

/*
 * What runs at pc (for a return address: the one before it), innermost first; inlined calls expanded
 * as runtime.CallersFrames does, wrappers left out (so that it can be 0 frames of a known function).
 * Strings are in the table.  False: no function is there.
 */
bool lt_gopclntab_frames(const struct lt_gopclntab *table, uint64_t pc,
			 struct lt_source_frame frames[LT_MAX_INLINE_DEPTH], size_t *count);

/*
 * The names of the functions that were inlined into this one, some perhaps more than once.  Nonzero stops
 * and is returned.
 */
int lt_gopclntab_each_inlined(const struct lt_gopclntab *table,
			      const struct lt_go_function *function,
			      int (*visit)(void *context, const char *name), void *context);

#endif
