/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Go runtime found in a live process, and where its things are: which module of the process holds
 * the runtime (the program itself, or a c-shared library), its version, the table of offsets for that
 * version, and the global variables that leaktrace reads.  All is read with process_vm_readv(),
 * without stopping the process; nothing is written.
 *
 * What the table of offsets says is tried against the live process before it is believed: a version
 * that does not hold up is refused by name.  Everything read is hostile.  Not thread-safe.
 */
#ifndef LT_GO_PROGRAM_H
#define LT_GO_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "elf/gofile.h"
#include "go/layout.h"
#include "proc/maps.h"
#include "proc/process.h"

/* One module with Go code: the program, and plugins that it loaded. */
struct lt_go_module {
	struct lt_gofile *file; /* owned */
	uint64_t bias;          /* address in the process minus ELF virtual address */
	uint64_t device, inode; /* of the file */
};

struct lt_go_program {
	struct lt_process *process;   /* borrowed */
	struct lt_go_module *modules; /* the one with the runtime first */
	size_t module_count;
	const struct lt_go_layout *layout;
	char version[64];
	uint64_t allgs;                      /* address of the slice runtime.allgs; 0: not found */
	struct lt_go_heap_places *heap;      /* owned by go/heap.c; NULL: not looked for */
	struct lt_go_figure_places *figures; /* owned by go/figures.c; NULL: not looked for */
};

/* Has one of these mappings' files Go code in it?  Cheap: before anything else is looked for. */
bool lt_go_present(const struct lt_process *process, const struct lt_maps *maps);

/*
 * 0: *program is to be freed.  -ENOENT: no Go runtime in the process.  -EAGAIN: it has not started yet
 * (no goroutine is there): try again later.  -ENOTSUP: one that leaktrace cannot read; *error gets one
 * line that names the version and the remedy.
 */
int lt_go_program_open(struct lt_process *process, const struct lt_maps *maps,
		       struct lt_go_program **program, struct lt_buf *error);
void lt_go_program_free(struct lt_go_program *program);
/* Plugins that were mapped since: 0 or -errno. */
int lt_go_program_update(struct lt_go_program *program, const struct lt_maps *maps);

/* The module that holds the address, NULL: none. */
const struct lt_go_module *lt_go_program_module(const struct lt_go_program *program, uint64_t pc);
/* The function at an address of the process; false: none.  What it tells are addresses of its file. */
bool lt_go_program_function(const struct lt_go_program *program, uint64_t pc,
			    struct lt_go_function *function);

#endif
