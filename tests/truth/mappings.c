// SPDX-License-Identifier: GPL-2.0-or-later
#include "mappings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "elf/image.h"

int mappings_new(struct mappings *mappings, struct lt_code *code)
{
	*mappings = (struct mappings){ .code = code };
	return lt_tables_new(&mappings->tables, code);
}

void mappings_free(struct mappings *mappings)
{
	lt_tables_free(mappings->tables);
	lt_maps_free(&mappings->maps);
}

static bool is_uprobes(const struct lt_mapping *mapping)
{
	return strcmp(mapping->path, "[uprobes]") == 0;
}

/* The next executable mapping from an index on, or NULL. */
static const struct lt_mapping *next_code(const struct lt_maps *maps, size_t *at)
{
	while (*at < maps->count) {
		const struct lt_mapping *mapping = &maps->entries[(*at)++];

		if (mapping->executable)
			return mapping;
	}
	return NULL;
}

static bool same_code(const struct lt_maps *a, const struct lt_maps *b)
{
	const struct lt_mapping *x, *y;
	size_t i = 0, j = 0;

	do {
		x = next_code(a, &i);
		y = next_code(b, &j);
		if (!x || !y)
			return x == y;
	} while (x->start == y->start && x->end == y->end && x->file_offset == y->file_offset &&
		 x->device == y->device && x->inode == y->inode);
	return false;
}

/* Sets the source of a range, as far as it is known already. */
static int describe(struct mappings *mappings, const struct lt_process *process,
		    const struct lt_mapping *mapping, struct lt_code_range *range)
{
	bool vdso = strcmp(mapping->path, "[vdso]") == 0;
	struct lt_file_identity identity = { 0 };
	uint64_t address = 0;
	struct lt_table *table;
	struct lt_image *image;
	bool in_file = vdso;
	int fd = -1, err;

	*range = (struct lt_code_range){ .start = mapping->start,
					 .end = mapping->end,
					 .source = LT_CODE_FRAME_POINTER };
	if (mapping->inode) {
		identity.device = mapping->device;
		identity.inode = mapping->inode;
		fd = lt_maps_open_file(process, mapping);
		if (fd >= 0 && lt_image_open(&image, fd) == 0) {
			identity.build_id_len = (uint32_t)lt_image_build_id(image,
									    identity.build_id);
			in_file = lt_image_code_address(image, mapping->file_offset, &address);
			lt_image_close(image);
		}
	}
	if (!in_file) {
		lt_close_p(&fd);
		return 0;
	}
	err = lt_tables_get(mappings->tables, &identity, fd, &table);
	if (!err)
		lt_table_describe(table, address, range);
	return err;
}

static int tell(struct mappings *mappings, const struct lt_process *process)
{
	_lt_free_ struct lt_code_range *ranges = calloc(mappings->maps.count + 1, sizeof(*ranges));
	const struct lt_mapping *mapping;
	size_t count = 0, at = 0;
	int err = ranges ? 0 : -ENOMEM;

	while (!err && (mapping = next_code(&mappings->maps, &at)))
		if (!is_uprobes(mapping))
			err = describe(mappings, process, mapping, &ranges[count++]);
	return err ? err : lt_code_set_ranges(mappings->code, MAPPINGS_SPACE, ranges, count);
}

int mappings_update(struct mappings *mappings, const struct lt_process *process, bool *changed)
{
	struct lt_maps now = { 0 }, before = mappings->maps;
	int err = lt_maps_read(process, &now);

	if (err)
		return err;
	*changed = !same_code(&before, &now);
	mappings->maps = now;
	lt_maps_free(&before);
	if (!*changed)
		return 0;
	err = tell(mappings, process);
	if (err)
		return err;
	lt_tables_wait(mappings->tables);
	return lt_tables_collect(mappings->tables) ? tell(mappings, process) : 0;
}

void mappings_print(const struct mappings *mappings, uint64_t address, struct lt_buf *out)
{
	const struct lt_mapping *mapping = lt_maps_find(&mappings->maps, address);

	if (mapping && *mapping->path)
		lt_buf_printf(out, "%s+0x%" PRIx64, mapping->path,
			      address - mapping->start + mapping->file_offset);
	else
		lt_buf_printf(out, "0x%" PRIx64 "%s", address, mapping ? " (anonymous)" : "");
}

const struct lt_mapping *mappings_trampoline(const struct mappings *mappings)
{
	const struct lt_mapping *mapping;
	size_t at = 0;

	while ((mapping = next_code(&mappings->maps, &at)))
		if (is_uprobes(mapping))
			return mapping;
	return NULL;
}
