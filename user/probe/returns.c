// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/returns.h"

#include <Zydis/Zydis.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "elf/bounds.h"
#include "probe/leads.h"

#define MAX_FUNCTIONS 16 /* jumped to, one from the other: jemalloc's operator new has 4 */

struct function {
	uint64_t start, end;
};

struct search {
	const struct lt_image *image;
	int fd;
	ZydisDecoder decoder;
	struct function functions[MAX_FUNCTIONS];
	size_t function_count;
	struct lt_returns *returns;
	uint8_t code[LT_MAX_BOUNDS];
};

__attribute__((format(printf, 2, 3))) static int refuse(struct search *search, const char *format,
							...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(search->returns->why, sizeof(search->returns->why), format, args);
	va_end(args);
	return -ENOTSUP;
}

static int look_at_symbol(void *context, const struct lt_image_symbol *symbol)
{
	struct function *function = context;

	if (function->start - symbol->address >= symbol->size || symbol->size > LT_MAX_BOUNDS ||
	    symbol->ifunc)
		return 0;
	function->end = symbol->address + symbol->size;
	function->start = symbol->address;
	return 1;
}

/* By unwind tables, else by symbols: static executables have no table to search. */
static bool find_bounds(const struct search *search, uint64_t address, struct function *function)
{
	if (!lt_bounds_find(search->image, search->fd, address, &function->start, &function->end))
		return true;
	function->start = address;
	return lt_image_each_function(search->image, look_at_symbol, function) == 1;
}

/* The function around the address is to be searched, too. */
static int add_function(struct search *search, uint64_t address)
{
	struct function *function = &search->functions[search->function_count];

	for (size_t i = 0; i < search->function_count; i++)
		if (address - search->functions[i].start <
		    search->functions[i].end - search->functions[i].start)
			return 0;
	if (search->function_count == MAX_FUNCTIONS)
		return refuse(search, "it ends in more than %d functions", MAX_FUNCTIONS);
	if (!find_bounds(search, address, function))
		return refuse(search, "no end is known of the function at 0x%llx",
			      (unsigned long long)address);
	search->function_count++;
	return 0;
}

static int add_return(struct search *search, uint64_t address)
{
	struct lt_returns *returns = search->returns;

	if (returns->count == LT_MAX_RETURNS)
		return refuse(search, "it returns in more than %d places", LT_MAX_RETURNS);
	returns->addresses[returns->count++] = address;
	return 0;
}

/* A jump leads into a function of this file, if need be through the linker's tables. */
static int follow_jump(struct search *search, const struct function *from, uint64_t address,
		       const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands)
{
	ZyanU64 target = 0;
	const char *name;

	if (operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
	    ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(insn, &operands[0], address, &target)) &&
	    target - from->start < from->end - from->start)
		return 0;
	target = lt_leads_follow(search->image, target ? target : address, NULL, &name);
	if (!target || target == address)
		return refuse(search, "the jump at 0x%llx may lead anywhere",
			      (unsigned long long)address);
	return add_function(search, target);
}

/* Calls come back; what jumps away without saying where to cannot be followed. */
static int look_at(struct search *search, const struct function *from, uint64_t address,
		   const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands)
{
	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_RET:
		return add_return(search, address);
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_UNCOND_BR:
		return follow_jump(search, from, address, insn, operands);
	default:
		return 0;
	}
}

static int search_function(struct search *search, const struct function *function)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	long len = lt_image_read(search->image, function->start, search->code,
				 function->end - function->start);
	int err = 0;

	if (len <= 0)
		return refuse(search, "the code at 0x%llx cannot be read",
			      (unsigned long long)function->start);
	for (long at = 0; at < len && !err; at += insn.length) {
		ZyanStatus status = ZydisDecoderDecodeFull(&search->decoder, search->code + at,
							   (ZyanUSize)(len - at), &insn, operands);

		if (status == ZYDIS_STATUS_NO_MORE_DATA)
			break; /* behind the last function */
		if (!ZYAN_SUCCESS(status))
			return refuse(search, "the code at 0x%llx does not decode",
				      (unsigned long long)function->start + (uint64_t)at);
		err = look_at(search, function, function->start + (uint64_t)at, &insn, operands);
	}
	return err;
}

int lt_returns_find(const struct lt_image *image, int fd, uint64_t entry,
		    struct lt_returns *returns)
{
	_lt_free_ struct search *search = calloc(1, sizeof(*search));
	int err;

	*returns = (struct lt_returns){ 0 };
	if (!search)
		return -ENOMEM;
	search->image = image;
	search->fd = fd;
	search->returns = returns;
	ZydisDecoderInit(&search->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	err = add_function(search, entry);
	for (size_t i = 0; i < search->function_count && !err; i++)
		err = search_function(search, &search->functions[i]);
	if (!err && !returns->count)
		err = refuse(search, "it has no return");
	return err;
}
