/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The target's mappings at one moment, and telling the unwinder under test of the code in them.
 */
#ifndef TESTS_TRUTH_MAPPINGS_H
#define TESTS_TRUTH_MAPPINGS_H

#include "base/buf.h"
#include "bpf/tables.h"
#include "proc/maps.h"

#define MAPPINGS_SPACE 1 /* the first that lt_code_add_space() gives */

struct mappings {
	struct lt_maps maps;
	struct lt_code *code;
	struct lt_tables *tables;
};

/* code is borrowed. */
int mappings_new(struct mappings *mappings, struct lt_code *code);
void mappings_free(struct mappings *mappings);
/*
 * Reads them again.  If executable ones changed, *changed is set, and the unwinder knows the new
 * ones with all of their tables when the call returns.
 */
int mappings_update(struct mappings *mappings, const struct lt_process *process, bool *changed);
/* "file+0xoffset" of an address, for people. */
void mappings_print(const struct mappings *mappings, uint64_t address, struct lt_buf *out);
/* Where the kernel's return probes have their trampoline, or NULL. */
const struct lt_mapping *mappings_trampoline(const struct mappings *mappings);

#endif
