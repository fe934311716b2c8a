// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/globals.h"

#include <Zydis/Zydis.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define MAX_REFERENCES 16384 /* of one search */

struct search {
	ZydisDecoder decoder;
	struct lt_go_references *references;
	size_t capacity;
};

static int compare_addresses(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int note(struct search *search, uint64_t address)
{
	struct lt_go_references *references = search->references;

	if (references->count == MAX_REFERENCES)
		return 0;
	if (references->count == search->capacity) {
		size_t capacity = search->capacity ? 2 * search->capacity : 64;
		uint64_t *addresses = reallocarray(references->addresses, capacity,
						   sizeof(*addresses));

		if (!addresses)
			return -ENOMEM;
		references->addresses = addresses;
		search->capacity = capacity;
	}
	references->addresses[references->count++] = address;
	return 0;
}

static void sort(struct lt_go_references *references)
{
	size_t kept = 0;

	if (references->count)
		qsort(references->addresses, references->count, sizeof(*references->addresses),
		      compare_addresses);
	for (size_t i = 0; i < references->count; i++)
		if (!kept || references->addresses[kept - 1] != references->addresses[i])
			references->addresses[kept++] = references->addresses[i];
	references->count = kept;
}

/* An instruction has at most one operand that is relative to RIP. */
static int look_at(struct search *search, uint64_t address, const ZydisDecodedInstruction *insn,
		   const ZydisDecodedOperand *operands)
{
	ZyanU64 target;

	for (size_t i = 0; i < insn->operand_count_visible; i++)
		if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    operands[i].mem.base == ZYDIS_REGISTER_RIP &&
		    ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(insn, &operands[i], address, &target)))
			return note(search, target);
	return 0;
}

int lt_go_references_add(struct lt_go_references *references, const uint8_t *code, size_t len,
			 uint64_t address)
{
	struct search search = { .references = references, .capacity = references->count };
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	int rc = 0;

	ZydisDecoderInit(&search.decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (size_t at = 0; at < len && !rc; at += insn.length) {
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&search.decoder, code + at, len - at,
							 &insn, operands)))
			break;
		rc = look_at(&search, address + at, &insn, operands);
	}
	sort(references);
	return rc;
}

int lt_go_references_of(const struct lt_go_module *module, const char *name,
			struct lt_go_references *references)
{
	_lt_free_ uint8_t *code = NULL;
	struct lt_go_function function;
	long len;

	if (!lt_gopclntab_named(lt_gofile_pclntab(module->file), name, &function))
		return -ENOENT;
	len = function.end > function.entry ? (long)(function.end - function.entry) : 0;
	if (len > LT_MAX_GO_CODE || len < 0)
		len = LT_MAX_GO_CODE;
	code = malloc((size_t)len + 1);
	if (!code)
		return -ENOMEM;
	len = lt_gofile_read(module->file, function.entry, code, (size_t)len);
	if (len < 0)
		return (int)len;
	return lt_go_references_add(references, code, (size_t)len, function.entry + module->bias);
}

void lt_go_references_free(struct lt_go_references *references)
{
	free(references->addresses);
	*references = (struct lt_go_references){};
}

bool lt_go_references_have(const struct lt_go_references *references, uint64_t address)
{
	return references->count && bsearch(&address, references->addresses, references->count,
					    sizeof(*references->addresses), compare_addresses);
}

uint64_t lt_go_references_base(const struct lt_go_references *references, const uint16_t *offsets,
			       size_t count)
{
	uint64_t found = 0;

	for (size_t i = 0; count && i < references->count; i++) {
		uint64_t base = references->addresses[i] - offsets[0];
		size_t have = 1;

		while (have < count && lt_go_references_have(references, base + offsets[have]))
			have++;
		if (have < count)
			continue;
		if (found)
			return 0;
		found = base;
	}
	return found;
}

bool lt_go_global(const struct lt_go_module *module, uint64_t address)
{
	const struct lt_go_moduledata *data = &lt_gofile_info(module->file)->module;
	const struct lt_go_span *spans[] = { &data->noptrdata, &data->data, &data->bss,
					     &data->noptrbss };

	for (size_t i = 0; i < sizeof(spans) / sizeof(*spans); i++)
		if (address - module->bias - spans[i]->start < spans[i]->end - spans[i]->start)
			return true;
	return false;
}
