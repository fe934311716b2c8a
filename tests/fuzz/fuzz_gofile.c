// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes as a file; as changes (pairs of offset, 2 bytes, and value) to a small valid Go program
 * of several versions, relocated or not, with section headers or without.  A file that opens can be
 * asked; its unwind table is sound.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../unit/elf/gomake.h"
#include "elf/gofile.h"
#include "elf/gounwind.h"
#include "leaktrace/limits.h"
#include "probe/goforks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What leaktrace/unwind.h says of a table holds. */
static void check_table(const struct lt_unwind_table *table)
{
	if (table->origin % LT_UNWIND_PAGE || !table->page_count ||
	    table->word_count != table->page_count + 1 + table->row_count ||
	    table->words[table->page_count] != table->word_count || table->rules[0])
		abort();
	for (uint32_t page = 0; page < table->page_count; page++) {
		uint32_t first = table->words[page];

		if (first >= table->words[page + 1] || table->words[first] >> 16)
			abort();
		for (uint32_t row = first; row < table->words[page + 1]; row++)
			if (LT_ROW_RULE(table->words[row]) >= table->rule_count ||
			    (row > first && table->words[row] >> 16 <= table->words[row - 1] >> 16))
				abort();
	}
}

static void check_file(const struct lt_gofile *file, int fd)
{
	const struct lt_mapping own = { .path = (char[]){ "" } };
	const struct lt_maps alone = { .entries = NULL };
	const struct lt_gofile_info *info = lt_gofile_info(file);
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH];
	uint8_t bytes[64];
	size_t count;

	if (info->module.text.start >= info->module.text.end ||
	    !memchr(info->version, 0, sizeof(info->version)) ||
	    lt_gofile_memory(file) < info->module.pclntab_size)
		abort();
	for (uint64_t pc = GO_TEXT; pc < GO_TEXT + GO_TEXT_SIZE; pc += 5)
		lt_gopclntab_frames(lt_gofile_pclntab(file), pc, frames, &count);
	if (lt_gofile_read(file, info->module.address, bytes, sizeof(bytes)) < 8)
		abort();
	for (uint64_t address = GO_DATA - 3; address < GO_DATA + 0x400; address += 61)
		lt_gofile_read(file, address, bytes, sizeof(bytes));
	lt_go_might_fork(file, fd, &alone, &own);
}

static void check(const uint8_t *bytes, size_t size, bool valid)
{
	static int fd = -1;
	struct lt_unwind_table table;
	const char *reason = NULL;
	struct lt_gofile *file;
	int err;

	if (fd < 0)
		fd = memfd_create("go", MFD_CLOEXEC);
	if (ftruncate(fd, 0) || pwrite(fd, bytes, size, 0) != (ssize_t)size)
		abort();
	err = lt_gofile_open(&file, fd, &reason);
	if ((valid && err) || (err == -95 /* ENOTSUP */) != !!reason)
		abort();
	if (!err) {
		check_file(file, fd);
		lt_gofile_close(file);
	}
	err = lt_gounwind_build(fd, &table);
	if (valid && err)
		abort();
	if (!err) {
		check_table(&table);
		lt_unwind_table_free(&table);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned int minors[] = { 15, 17, 19, 22, 27 };
	static struct go_file file;
	uint8_t kind = size ? data[0] : 0;

	check(data, size, false);
	go_make_file(&file, minors[kind % 5]);
	if (kind & 0x40)
		go_file_sections(&file, true);
	if (kind & 0x80)
		go_file_relocate(&file);
	for (size_t i = 1; i + 3 <= size; i += 3)
		file.bytes[(data[i] | data[i + 1] << 8) % sizeof(file.bytes)] = data[i + 2];
	check(file.bytes, sizeof(file.bytes), size < 4);
	return 0;
}
