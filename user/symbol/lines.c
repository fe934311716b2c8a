/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbol/lines.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <gelf.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "symbol/debugfile.h"

#define MAX_RANGES     (1U << 20) /* address ranges of all units of one file */
#define MAX_OVERLAP    16         /* units that claim one address */
#define MAX_NESTING    64         /* namespaces and types around a function */
#define MAX_SCOPES     1024       /* inlined functions and blocks around an address */
#define MAX_VISITS     (1U << 22) /* DIEs looked at by one lookup */
#define MAX_LINKS      8          /* from a DIE to its declaration */
#define MAX_FUNCTIONS  8          /* around a function */
#define MAX_LINE_BYTES (1U << 28) /* .debug_line, which libdw expands eightfold and more */

struct range {
	uint64_t low, high;
	Dwarf_Off unit; /* offset of its DIE */
};

struct lt_lines {
	Dwarf *dwarf;
	Dwarf *supplement; /* of dwz, or NULL */
	Elf *supplement_elf;
	int supplement_fd;
	struct range *ranges; /* ascending by low */
	size_t count, capacity;
	char *names[LT_MAX_INLINE_DEPTH]; /* of the last lookup, those that no string table holds */
	size_t name_count;
};

/* The functions around an address, outermost first: the real one, then what is inlined into it. */
struct chain {
	Dwarf_Die dies[LT_MAX_INLINE_DEPTH +
		       1]; /* one more, for the call in the last that is shown */
	size_t count;
	uint32_t visits;
};

LT_CLEANUP(struct lt_lines *, lt_lines_close)

static const char *section_name(Elf *elf, Elf_Scn *section, GElf_Shdr *header)
{
	size_t names;

	if (elf_getshdrstrndx(elf, &names) || !gelf_getshdr(section, header))
		return NULL;
	return elf_strptr(elf, names, header->sh_name);
}

static bool is_debug_section(const char *name)
{
	return name && (!strncmp(name, ".debug_", 7) || !strncmp(name, ".zdebug_", 8));
}

bool lt_lines_present(Elf *elf)
{
	GElf_Shdr header;

	for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
		const char *name = section_name(elf, section, &header);

		if (is_debug_section(name) && header.sh_type != SHT_NOBITS &&
		    !strcmp(strchr(name, '_'), "_info"))
			return true;
	}
	return false;
}

/* Bytes that a debug section takes in memory: as stored, and expanded if it is compressed. */
static uint64_t section_bytes(Elf_Scn *section, const GElf_Shdr *header, const char *name)
{
	uint64_t expanded = 0;
	GElf_Chdr compressed;

	if (header->sh_flags & SHF_COMPRESSED) {
		if (gelf_getchdr(section, &compressed))
			expanded = compressed.ch_size;
	} else if (name[1] == 'z') {
		ssize_t size = dwelf_scn_gnu_compressed_size(section);

		expanded = size > 0 ? (uint64_t)size : 0;
	}
	return expanded > UINT64_MAX / 2 || header->sh_size > UINT64_MAX / 2
		       ? UINT64_MAX
		       : header->sh_size + expanded;
}

static int take_budget(Elf *elf, uint64_t *budget_bytes)
{
	uint64_t left = *budget_bytes;
	GElf_Shdr header;

	for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
		const char *name = section_name(elf, section, &header);
		uint64_t bytes;

		if (!is_debug_section(name) || header.sh_type == SHT_NOBITS)
			continue;
		bytes = section_bytes(section, &header, name);
		if (bytes > left || (!strcmp(strchr(name, '_'), "_line") && bytes > MAX_LINE_BYTES))
			return -E2BIG;
		left -= bytes;
	}
	*budget_bytes = left;
	return 0;
}

/*
 * libdw (0.188) trusts that the last string of .debug_line_str ends within the section.  Sees the
 * expanded sections, once libdw has opened them.
 */
static bool strings_end(Elf *elf)
{
	GElf_Shdr header;

	for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
		const char *name = section_name(elf, section, &header);
		const Elf_Data *data;

		if (!is_debug_section(name) || header.sh_type == SHT_NOBITS ||
		    (strcmp(strchr(name, '_'), "_str") && strcmp(strchr(name, '_'), "_line_str")))
			continue;
		data = elf_getdata(section, NULL);
		if (!data || (data->d_size && ((const char *)data->d_buf)[data->d_size - 1]))
			return false;
	}
	return true;
}

static int append_range(struct lt_lines *lines, const struct range *range)
{
	if (lines->count == lines->capacity) {
		size_t capacity = lines->capacity ? 2 * lines->capacity : 256;
		struct range *ranges;

		if (lines->count >= MAX_RANGES)
			return -E2BIG;
		ranges = reallocarray(lines->ranges, capacity, sizeof(*ranges));
		if (!ranges)
			return -ENOMEM;
		lines->ranges = ranges;
		lines->capacity = capacity;
	}
	lines->ranges[lines->count++] = *range;
	return 0;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *one = a, *other = b;

	return (one->low > other->low) - (one->low < other->low);
}

/*
 * Ranges are taken from the units themselves, not from .debug_aranges, which clang leaves out.
 * Low address 0: code that the linker dropped.
 */
static int index_unit(struct lt_lines *lines, Dwarf_Off unit)
{
	Dwarf_Addr base, low, high;
	ptrdiff_t offset = 0;
	Dwarf_Die die;
	int error = 0;

	if (!dwarf_offdie(lines->dwarf, unit, &die) ||
	    (dwarf_tag(&die) != DW_TAG_compile_unit && dwarf_tag(&die) != DW_TAG_skeleton_unit))
		return 0;
	while (!error && (offset = dwarf_ranges(&die, offset, &base, &low, &high)) > 0)
		if (low && low < high)
			error = append_range(lines, &(struct range){ low, high, unit });
	return error;
}

static int index_units(struct lt_lines *lines)
{
	Dwarf_Off offset = 0, next;
	size_t header_size;
	int error = 0;

	while (!error &&
	       !dwarf_nextcu(lines->dwarf, offset, &next, &header_size, NULL, NULL, NULL)) {
		error = index_unit(lines, offset + header_size);
		offset = next;
	}
	if (error && error != -E2BIG) /* too many: those that were read still count */
		return error;
	if (lines->count)
		qsort(lines->ranges, lines->count, sizeof(*lines->ranges), compare_ranges);
	return 0;
}

/*
 * libdw would by itself open whatever path the file names as its supplement; so either a checked
 * one is in place, or the debug information is not used.
 */
static int open_supplement(struct lt_lines *lines, const struct lt_debug_places *places,
			   uint64_t *budget_bytes)
{
	const void *build_id;
	const char *name;
	int fd = lt_debugfile_open_supplement(lines->dwarf, places);

	if (fd == -ENODATA)
		return 0;
	if (fd < 0)
		return fd;
	lines->supplement_fd = fd;
	lines->supplement_elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!lines->supplement_elf)
		return -ENODATA;
	if (take_budget(lines->supplement_elf, budget_bytes))
		return -E2BIG;
	lines->supplement = dwarf_begin_elf(lines->supplement_elf, DWARF_C_READ, NULL);
	if (!lines->supplement || !strings_end(lines->supplement_elf) ||
	    dwelf_dwarf_gnu_debugaltlink(lines->supplement, &name, &build_id)) /* of its own */
		return -ENODATA;
	dwarf_setalt(lines->dwarf, lines->supplement);
	return 0;
}

int lt_lines_open(struct lt_lines **lines, Elf *elf, const struct lt_debug_places *places,
		  uint64_t *budget_bytes)
{
	_lt_cleanup_(lt_lines_close_p) struct lt_lines *opened = NULL;
	uint64_t left_bytes = *budget_bytes;
	int error;

	if (!lt_lines_present(elf))
		return -ENODATA;
	error = take_budget(elf, &left_bytes);
	if (error)
		return error;
	opened = calloc(1, sizeof(*opened));
	if (!opened)
		return -ENOMEM;
	opened->supplement_fd = -1;
	opened->dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	if (!opened->dwarf || !strings_end(elf))
		return -ENODATA;
	error = open_supplement(opened, places, &left_bytes);
	if (error)
		return error == -E2BIG ? error : -ENODATA;
	error = index_units(opened);
	if (error)
		return error;
	*budget_bytes = left_bytes;
	*lines = lt_take_ptr(opened);
	return 0;
}

static void forget_names(struct lt_lines *lines)
{
	while (lines->name_count)
		free(lines->names[--lines->name_count]);
}

void lt_lines_close(struct lt_lines *lines)
{
	if (!lines)
		return;
	forget_names(lines);
	dwarf_end(lines->dwarf);
	dwarf_end(lines->supplement);
	elf_end(lines->supplement_elf);
	lt_close_p(&lines->supplement_fd);
	free(lines->ranges);
	free(lines);
}

/* What a DIE may be that holds functions (container) or is a part of a function's code (block). */
static bool is_container(int tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_structure_type ||
	       tag == DW_TAG_class_type || tag == DW_TAG_union_type ||
	       tag == DW_TAG_enumeration_type;
}

static bool is_block(int tag)
{
	return tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
	       tag == DW_TAG_try_block || tag == DW_TAG_catch_block || tag == DW_TAG_with_stmt;
}

static bool first_child(struct chain *chain, Dwarf_Die *parent, Dwarf_Die *die)
{
	return chain->visits++ < MAX_VISITS && !dwarf_child(parent, die);
}

static bool next_sibling(struct chain *chain, Dwarf_Die *die)
{
	return chain->visits++ < MAX_VISITS && !dwarf_siblingof(die, die);
}

/* The function among parent's descendants whose code holds the address; functions in functions are
 * not looked for. */
static bool find_function(struct chain *chain, Dwarf_Die *parent, uint64_t address, int nesting)
{
	Dwarf_Die die;

	if (nesting > MAX_NESTING || !first_child(chain, parent, &die))
		return false;
	do {
		int tag = dwarf_tag(&die);

		if (tag == DW_TAG_subprogram && dwarf_haspc(&die, address) > 0) {
			chain->dies[chain->count++] = die;
			return true;
		}
		if (is_container(tag) && find_function(chain, &die, address, nesting + 1))
			return true;
	} while (next_sibling(chain, &die));
	return false;
}

/* Follows the blocks around the address inwards and notes those that are inlined functions. */
static void find_inlined(struct chain *chain, uint64_t address)
{
	Dwarf_Die die, parent = chain->dies[0];

	for (int scopes = 0; scopes < MAX_SCOPES && first_child(chain, &parent, &die); scopes++) {
		while (!is_block(dwarf_tag(&die)) || dwarf_haspc(&die, address) <= 0)
			if (!next_sibling(chain, &die))
				return;
		if (dwarf_tag(&die) == DW_TAG_inlined_subroutine) {
			chain->dies[chain->count++] = die;
			if (chain->count > LT_MAX_INLINE_DEPTH)
				return;
		}
		parent = die;
	}
}

/* Attributes of an inlined or concrete function mostly stand at its abstract origin. */
static const char *string_attribute(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;
	const char *text = dwarf_formstring(dwarf_attr_integrate(die, name, &attribute));

	return text ? text : "";
}

/* Where the function stands among its namespaces and classes. */
static Dwarf_Die declaration_of(Dwarf_Die die)
{
	for (int links = 0; links < MAX_LINKS; links++) {
		Dwarf_Attribute attribute;
		Dwarf_Die next;

		if (!dwarf_formref_die(dwarf_attr(&die, DW_AT_abstract_origin, &attribute),
				       &next) &&
		    !dwarf_formref_die(dwarf_attr(&die, DW_AT_specification, &attribute), &next))
			break;
		die = next;
	}
	return die;
}

/* The DIEs around the one at offset, outermost first.  libdw's own search has no bounds. */
static size_t find_parents(struct chain *chain, const Dwarf_Die *unit, Dwarf_Off offset,
			   Dwarf_Die parents[MAX_NESTING])
{
	Dwarf_Die parent = *unit, die, next;

	for (size_t count = 0; count < MAX_NESTING && first_child(chain, &parent, &next);) {
		do /* children come in ascending order, each one before its own children */
			die = next;
		while (next_sibling(chain, &next) && dwarf_dieoffset(&next) <= offset);
		if (dwarf_dieoffset(&die) == offset)
			return count;
		parents[count++] = parent = die;
	}
	return 0;
}

/* "" when it is no part of a name. */
static const char *scope_name(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);
	const char *name = string_attribute(die, DW_AT_name);

	if (tag == DW_TAG_namespace)
		return *name ? name : "(anonymous namespace)";
	return tag == DW_TAG_structure_type || tag == DW_TAG_class_type ||
			       tag == DW_TAG_union_type || tag == DW_TAG_subprogram
		       ? name
		       : "";
}

/* Appends the namespaces, classes and functions around die; returns the length of the whole. */
static size_t put_scopes(struct chain *chain, const Dwarf_Die *die, char text[LT_MAX_NAME],
			 int functions)
{
	Dwarf_Die declaration = declaration_of(*die), parents[MAX_NESTING], unit;
	size_t count, len = 0;

	if (!dwarf_diecu(&declaration, &unit, NULL, NULL))
		return 0;
	count = find_parents(chain, &unit, dwarf_dieoffset(&declaration), parents);
	for (size_t i = 0; i < count && len < LT_MAX_NAME; i++) {
		const char *scope = scope_name(&parents[i]);

		/* It may stand outside of the class that declares it. */
		if (dwarf_tag(&parents[i]) == DW_TAG_subprogram && functions < MAX_FUNCTIONS)
			len = put_scopes(chain, &parents[i], text, functions + 1);
		if (*scope && len < LT_MAX_NAME)
			len += (size_t)snprintf(text + len, LT_MAX_NAME - len,
						"%.*s::", LT_MAX_NAME, scope);
	}
	return len;
}

static const char *qualify(struct lt_lines *lines, struct chain *chain, const Dwarf_Die *die,
			   const char *name)
{
	char text[LT_MAX_NAME];
	size_t len = put_scopes(chain, die, text, 0);

	if (!len || len + strnlen(name, sizeof(text)) >= sizeof(text))
		return name;
	strcpy(text + len, name);
	lines->names[lines->name_count] = strdup(text);
	return lines->names[lines->name_count] ? lines->names[lines->name_count++] : name;
}

/* GCC gives no linkage names to what is local: to unnamed namespaces, to types in functions. */
static const char *function_name(struct lt_lines *lines, struct chain *chain, Dwarf_Die *die)
{
	const char *name = string_attribute(die, DW_AT_linkage_name);

	if (!*name)
		name = string_attribute(die, DW_AT_MIPS_linkage_name);
	if (*name)
		return name;
	name = string_attribute(die, DW_AT_name);
	return *name ? qualify(lines, chain, die, name) : name;
}

static uint64_t call_attribute(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;

	return dwarf_formudata(dwarf_attr(die, name, &attribute), &value) ? 0 : value;
}

static void place_of_call(Dwarf_Die *unit, Dwarf_Die *inlined, struct lt_source_frame *frame)
{
	uint64_t file = call_attribute(inlined, DW_AT_call_file);
	const char *path = NULL;
	Dwarf_Files *files;
	size_t count;

	if (!dwarf_getsrcfiles(unit, &files, &count) && file < count)
		path = dwarf_filesrc(files, file, NULL, NULL);
	frame->file = path ? path : "";
	frame->line = (uint32_t)call_attribute(inlined, DW_AT_call_line);
}

static void place_of_address(Dwarf_Die *unit, uint64_t address, struct lt_source_frame *frame)
{
	Dwarf_Line *line = dwarf_getsrc_die(unit, address);
	const char *path = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
	int number = 0;

	frame->file = path ? path : "";
	if (line && !dwarf_lineno(line, &number) && number > 0)
		frame->line = (uint32_t)number;
}

static size_t lookup_in_unit(struct lt_lines *lines, Dwarf_Off offset, uint64_t address,
			     struct lt_source_frame *frames)
{
	struct chain chain = { .count = 0 };
	size_t count;
	Dwarf_Die unit;

	if (!dwarf_offdie(lines->dwarf, offset, &unit))
		return 0;
	if (!find_function(&chain, &unit, address, 0)) { /* assembly, or skeletons of split DWARF */
		frames[0] = (struct lt_source_frame){ .function = "" };
		place_of_address(&unit, address, &frames[0]);
		return frames[0].line ? 1 : 0;
	}
	find_inlined(&chain, address);
	count = chain.count < LT_MAX_INLINE_DEPTH ? chain.count : LT_MAX_INLINE_DEPTH;
	for (size_t i = 0; i < count; i++) {
		struct lt_source_frame *frame = &frames[count - 1 - i];

		*frame = (struct lt_source_frame){
			.function = function_name(lines, &chain, &chain.dies[i]), .inlined = i > 0
		};
		if (i + 1 < chain.count)
			place_of_call(&unit, &chain.dies[i + 1], frame);
		else
			place_of_address(&unit, address, frame);
	}
	return count;
}

size_t lt_lines_lookup(struct lt_lines *lines, uint64_t address,
		       struct lt_source_frame frames[LT_MAX_INLINE_DEPTH])
{
	size_t low = 0, high = lines->count, count = 0;

	forget_names(lines);
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (lines->ranges[middle].low <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; !count && i > 0 && low - i < MAX_OVERLAP; i--)
		if (address < lines->ranges[i - 1].high)
			count = lookup_in_unit(lines, lines->ranges[i - 1].unit, address, frames);
	return count;
}
