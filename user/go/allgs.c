// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/allgs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "go/globals.h"
#include "go/remote.h"
#include "leaktrace/limits.h"

#define CHUNK_BYTES    (256u << 10)
#define MAX_SPAN_BYTES (256ULL << 20) /* of variables that are looked at */
#define MAX_CANDIDATES (1u << 14)     /* that are asked for their elements: one or two calls each */
#define TRIED          16             /* elements of a candidate that must hold up */
#define USER_END       (1ULL << 47)   /* TASK_SIZE_MAX, arch/x86/include/asm/page_64_types.h */
#define SEARCHES       3              /* before goroutines that do not hold up are believed */

struct search {
	const struct lt_go_program *program;
	const struct lt_maps *maps;
	struct lt_go_slice best;
	uint64_t address; /* of best; 0: none */
	bool tied;        /* another one is as good */
	bool resembled;   /* something that looks like a goroutine of some version was met */
	size_t candidates;
	uint8_t *bytes; /* TRIED structs */
	/* What the function that appends to allgs refers to: the copy is not among it.  NULL: not known. */
	const struct lt_go_references *appended;
};

bool lt_go_allgs_plausible(const struct lt_go_slice *slice)
{
	/* Never shrinks: what is more than is looked at may still be right. */
	return slice->data && slice->data % sizeof(uint64_t) == 0 && slice->len &&
	       slice->len <= slice->cap && slice->cap <= 16ULL * LT_MAX_GOROUTINES &&
	       slice->data < USER_END;
}

bool lt_go_allgs_element(const struct lt_go_program *program, const struct lt_go_g *g)
{
	struct lt_go_function function;
	const struct lt_go_module *module;

	if (!lt_go_g_plausible(g))
		return false;
	if (!g->startpc)
		return true;
	module = lt_go_program_module(program, g->startpc);
	return module && lt_go_program_function(program, g->startpc, &function) &&
	       function.entry == g->startpc - module->bias;
}

static bool lies_in_data(const struct search *search, uint64_t address, uint64_t len)
{
	const struct lt_mapping *mapping = lt_maps_find(search->maps, address);

	return mapping && mapping->writable && len <= mapping->end - address;
}

/* Reads the structs; how many, in order, were there. */
static size_t read_elements(struct search *search, const uint64_t *elements, size_t count)
{
	size_t size = search->program->layout->g_bytes;
	struct lt_remote_piece pieces[TRIED];
	size_t read = 0;

	for (size_t i = 0; i < count; i++) {
		if (elements[i] % sizeof(uint64_t) || !lies_in_data(search, elements[i], size))
			return 0;
		pieces[i] = (struct lt_remote_piece){ .address = elements[i],
						      .to = search->bytes + i * size,
						      .len = size };
	}
	if (lt_remote_read_all(search->program->process->pid, pieces, count))
		return 0;
	while (read < count && pieces[read].ok)
		read++;
	return read;
}

static bool elements_hold_up(struct search *search, const uint64_t *elements, size_t count)
{
	const struct lt_go_layout *layout = search->program->layout;
	size_t read = read_elements(search, elements, count), proven = 0;

	if (read && lt_go_g_resembled(search->bytes, layout->g_bytes, elements[0]))
		search->resembled = true;
	for (size_t i = 0; i < read; i++) {
		struct lt_go_g g;

		lt_go_g_decode(layout, search->bytes + i * layout->g_bytes, elements[i], &g);
		if (!lt_go_allgs_element(search->program, &g))
			return false;
		proven += g.sched_g == g.address && g.goid && g.startpc;
	}
	return read == count && proven;
}

/*
 * allgs never shrinks, so the longest is the one: while the GC marks, work.stackRoots is a copy of
 * what it was at the start, with a capacity of its length (runtime/proc.go, allGsSnapshot()).
 */
static void consider(struct search *search, const struct lt_go_slice *slice, uint64_t address)
{
	size_t count = slice->len < TRIED ? (size_t)slice->len : TRIED;
	uint64_t elements[TRIED];

	if ((search->appended && !lt_go_references_have(search->appended, address)) ||
	    !lt_go_allgs_plausible(slice) ||
	    !lies_in_data(search, slice->data, count * sizeof(uint64_t)) ||
	    search->candidates == MAX_CANDIDATES)
		return;
	search->candidates++;
	if (slice->len < search->best.len ||
	    lt_remote_read(search->program->process->pid, slice->data, elements,
			   count * sizeof(*elements)) ||
	    !elements_hold_up(search, elements, count))
		return;
	if (slice->len == search->best.len && slice->cap == search->best.cap) {
		search->tied = true;
	} else if (slice->len > search->best.len || slice->cap > search->best.cap) {
		search->best = *slice;
		search->address = address;
		search->tied = false;
	}
}

static int search_span(struct search *search, uint64_t start, uint64_t end)
{
	_lt_free_ uint8_t *chunk = malloc(CHUNK_BYTES);
	uint64_t step = CHUNK_BYTES - sizeof(struct lt_go_slice) + sizeof(uint64_t);

	if (!chunk)
		return -ENOMEM;
	if (end < start || end > USER_END)
		return -EBADMSG;
	start = (start + 7) & ~7ULL;
	if (end > start && end - start > MAX_SPAN_BYTES)
		end = start + MAX_SPAN_BYTES;
	/* Below USER_END, so that start does not wrap. */
	for (; start < end && end - start >= sizeof(struct lt_go_slice); start += step) {
		size_t len = end - start < CHUNK_BYTES ? (size_t)(end - start) : CHUNK_BYTES;
		int err = lt_remote_read(search->program->process->pid, start, chunk, len);

		if (err && err != -EFAULT)
			return err;
		for (size_t at = 0; !err && at + sizeof(struct lt_go_slice) <= len; at += 8) {
			struct lt_go_slice slice;

			memcpy(&slice, chunk + at, sizeof(slice));
			consider(search, &slice, start + at);
		}
	}
	return 0;
}

static int search_once(const struct lt_go_program *program, const struct lt_go_module *module,
		       const struct lt_maps *maps, const struct lt_go_references *appended,
		       uint64_t *address)
{
	const struct lt_go_moduledata *data = &lt_gofile_info(module->file)->module;
	_lt_free_ uint8_t *bytes = malloc((size_t)TRIED * program->layout->g_bytes);
	struct search search = {
		.program = program, .maps = maps, .bytes = bytes, .appended = appended
	};
	int err;

	if (!bytes)
		return -ENOMEM;
	err = search_span(&search, data->bss.start + module->bias, data->bss.end + module->bias);
	if (!err && !search.address)
		err = search_span(&search, data->data.start + module->bias,
				  data->data.end + module->bias);
	if (err)
		return err;
	if (!search.address)
		return search.resembled ? -EBADMSG : -EAGAIN;
	if (search.tied)
		return -EAGAIN;
	*address = search.address;
	return 0;
}

int lt_go_allgs_find(const struct lt_go_program *program, const struct lt_go_module *module,
		     const struct lt_maps *maps, uint64_t *address)
{
	struct lt_go_references appended = { 0 };
	int err = lt_go_references_of(module, "runtime.allgadd", &appended);
	bool known = !err;

	if (err == -ENOMEM)
		return err;
	err = -EBADMSG;
	/* A goroutine that changes while it is read does not hold up either. */
	for (int searches = 0; err == -EBADMSG && searches < SEARCHES; searches++)
		err = search_once(program, module, maps, known ? &appended : NULL, address);
	lt_go_references_free(&appended);
	return err;
}
