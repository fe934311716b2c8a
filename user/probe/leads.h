/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a function's code leads: an allocator's names are often nothing but a jump to another one of
 * its functions, direct or through the linker's tables, and a probe at both would see a call twice.
 */
#ifndef LT_PROBE_LEADS_H
#define LT_PROBE_LEADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/image.h"

#define LT_MAX_LEADS 16

/* Functions that are not followed further, as the caller knows them. */
struct lt_leads_stop {
	bool (*at)(void *context, uint64_t address);
	void *context;
};

struct lt_leads {
	/* ELF virtual addresses of functions of this file that it jumps to, for good ... */
	uint64_t jumps[LT_MAX_LEADS];
	size_t jump_count;
	/* ... and that it calls. */
	uint64_t calls[LT_MAX_LEADS];
	size_t call_count;
	/* It ends otherwise, too: by a return of its own, or in ways that are not known. */
	bool returns;
	/* It calls, or jumps to, these functions of another file. */
	bool calls_malloc, calls_free;
};

/*
 * Past instructions that only jump on: jmp, the linker's stubs, and the slots that these read.  0:
 * it leads out of this file; *name is then the function's, if it is known, else NULL.
 */
uint64_t lt_leads_follow(const struct lt_image *image, uint64_t address,
			 const struct lt_leads_stop *stop, const char **name);

/* The code of one function, from its address on. */
void lt_leads_find(const struct lt_image *image, uint64_t address, const uint8_t *code, size_t len,
		   const struct lt_leads_stop *stop, struct lt_leads *leads);

#endif
