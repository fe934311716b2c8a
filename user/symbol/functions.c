/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbol/functions.h"

#include <errno.h>
#include <gelf.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"

#define MAX_FUNCTIONS  (1U << 22) /* of one file; a browser's main library has a million */
#define MAX_TABLE_SIZE (1U << 28) /* bytes of one symbol or string table */
#define MAX_OVERLAP    64 /* symbols looked at below an address, so that lookups stay short */

struct function {
	uint64_t start, end; /* end of the section if unsized */
	const char *name;
	bool sized;
	uint8_t rank; /* among symbols of one address, lower is better */
};

struct lt_functions {
	struct function *entries;
	size_t count, capacity;
};

LT_CLEANUP(struct lt_functions *, lt_functions_free)

/*
 * Of aliases prefer a sized function, the more visible one, and the one whose name is less
 * private: malloc over __libc_malloc.
 */
static uint8_t rank_of(const GElf_Sym *symbol, const char *name)
{
	static const uint8_t binding_rank[] = { [STB_LOCAL] = 2, [STB_GLOBAL] = 0, [STB_WEAK] = 1 };
	unsigned binding = GELF_ST_BIND(symbol->st_info);
	uint8_t rank = binding < sizeof(binding_rank) ? binding_rank[binding] : 0;
	size_t underscores = strspn(name, "_");

	return (uint8_t)((symbol->st_size ? 0 : 64) |
			 (GELF_ST_TYPE(symbol->st_info) == STT_NOTYPE ? 32 : 0) | rank << 2 |
			 (underscores > 3 ? 3 : underscores));
}

/* Hand-written assembly often leaves its functions without a type; '$' begins Arm's mapping
 * symbols. */
static bool may_be_function(const GElf_Sym *symbol)
{
	unsigned type = GELF_ST_TYPE(symbol->st_info);

	return symbol->st_shndx != SHN_UNDEF && symbol->st_shndx < SHN_LORESERVE &&
	       (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE);
}

static int append(struct lt_functions *functions, const struct function *function)
{
	if (functions->count == functions->capacity) {
		size_t capacity = functions->capacity ? 2 * functions->capacity : 1024;
		struct function *entries;

		if (functions->count >= MAX_FUNCTIONS)
			return -E2BIG;
		entries = reallocarray(functions->entries, capacity, sizeof(*entries));
		if (!entries)
			return -ENOMEM;
		functions->entries = entries;
		functions->capacity = capacity;
	}
	functions->entries[functions->count++] = *function;
	return 0;
}

static int load_symbol(struct lt_functions *functions, Elf *elf, const GElf_Sym *symbol,
		       size_t strings)
{
	struct function function = { .start = symbol->st_value, .sized = symbol->st_size };
	Elf_Scn *section;
	GElf_Shdr header;

	if (!may_be_function(symbol))
		return 0;
	section = elf_getscn(elf, symbol->st_shndx);
	if (!section || !gelf_getshdr(section, &header) || !(header.sh_flags & SHF_EXECINSTR) ||
	    symbol->st_value - header.sh_addr >= header.sh_size)
		return 0;
	function.name = elf_strptr(elf, strings, symbol->st_name);
	if (!function.name || !*function.name || *function.name == '$')
		return 0;
	function.end = header.sh_addr + header.sh_size;
	if (function.sized && symbol->st_size < function.end - function.start)
		function.end = function.start + symbol->st_size;
	function.rank = rank_of(symbol, function.name);
	return append(functions, &function);
}

static int load_section(struct lt_functions *functions, Elf *elf, Elf_Scn *section)
{
	GElf_Shdr header, strings;
	Elf_Data *data;
	GElf_Sym symbol;
	int error = 0;

	if (!gelf_getshdr(section, &header) ||
	    (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM) ||
	    header.sh_size > MAX_TABLE_SIZE || header.sh_flags & SHF_COMPRESSED)
		return 0;
	if (!gelf_getshdr(elf_getscn(elf, header.sh_link), &strings) ||
	    strings.sh_size > MAX_TABLE_SIZE || strings.sh_flags & SHF_COMPRESSED)
		return 0;
	data = elf_getdata(section, NULL);
	for (int i = 0; data && !error && gelf_getsym(data, i, &symbol); i++)
		error = load_symbol(functions, elf, &symbol, header.sh_link);
	return error;
}

static int compare(const void *a, const void *b)
{
	const struct function *one = a, *other = b;

	if (one->start != other->start)
		return one->start < other->start ? -1 : 1;
	if (one->rank != other->rank)
		return other->rank - one->rank; /* the best last: lookups come from above */
	return strcmp(other->name, one->name);
}

int lt_functions_load(struct lt_functions **functions, Elf *const *elfs, size_t count)
{
	_lt_cleanup_(lt_functions_free_p) struct lt_functions *loaded = calloc(1, sizeof(*loaded));
	int error = 0;

	if (!loaded)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		for (Elf_Scn *section = NULL;
		     !error && elfs[i] && (section = elf_nextscn(elfs[i], section));)
			error = load_section(loaded, elfs[i], section);
	if (error && error != -E2BIG) /* too many: those that were read still count */
		return error;
	if (loaded->count)
		qsort(loaded->entries, loaded->count, sizeof(*loaded->entries), compare);
	*functions = lt_take_ptr(loaded);
	return 0;
}

void lt_functions_free(struct lt_functions *functions)
{
	if (!functions)
		return;
	free(functions->entries);
	free(functions);
}

const char *lt_functions_name(const struct lt_functions *functions, uint64_t address)
{
	size_t low = 0, high = functions->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (functions->entries[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	/* The nearest sized symbol around the address; a label inside of it is no function. */
	for (size_t i = low; i > 0 && low - i < MAX_OVERLAP; i--) {
		const struct function *function = &functions->entries[i - 1];

		if (function->sized && address < function->end)
			return function->name;
	}
	if (low && !functions->entries[low - 1].sized && address < functions->entries[low - 1].end)
		return functions->entries[low - 1].name;
	return NULL;
}
