// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf/bounds.h"

#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <string.h>

#define MAX_FUNCTIONS (64u << 20)

struct header {
	uint8_t version, frame_encoding, count_encoding, table_encoding;
	int32_t frame;
	uint32_t count;
};

/* What GNU ld, gold and lld write: version 1, pcrel|sdata4, udata4, datarel|sdata4. */
static const uint8_t known_format[4] = { 1, 0x1b, 0x03, 0x3b };

struct entry { /* relative to the header */
	int32_t function, frame;
};

static int table_address(int fd, uint64_t *address)
{
	Elf *elf;
	size_t count = 0;
	GElf_Phdr header;
	int err = -ENODATA;

	elf_version(EV_CURRENT);
	/* Not mapped: a file that its owner cuts short must not kill us with SIGBUS. */
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf || elf_getphdrnum(elf, &count))
		count = 0;
	for (size_t i = 0; i < count && gelf_getphdr(elf, (int)i, &header); i++) {
		if (header.p_type != PT_GNU_EH_FRAME)
			continue;
		*address = header.p_vaddr;
		err = 0;
		break;
	}
	elf_end(elf);
	return err;
}

static bool read_all(const struct lt_image *image, uint64_t address, void *to, size_t len)
{
	return lt_image_read(image, address, to, len) == (long)len;
}

/* The beginning of the index'th function. */
static bool function_at(const struct lt_image *image, uint64_t table, uint32_t index,
			uint64_t *address)
{
	struct entry entry;

	if (!read_all(image, table + sizeof(struct header) + (uint64_t)index * sizeof(entry),
		      &entry, sizeof(entry)))
		return false;
	*address = table + (uint64_t)(int64_t)entry.function;
	return true;
}

int lt_bounds_find(const struct lt_image *image, int fd, uint64_t address, uint64_t *start,
		   uint64_t *end)
{
	uint64_t table, found, next;
	uint32_t low = 0, high;
	struct header header;
	int err = table_address(fd, &table);

	if (err)
		return err;
	if (!read_all(image, table, &header, sizeof(header)) ||
	    memcmp(&header, known_format, sizeof(known_format)) || header.count > MAX_FUNCTIONS)
		return -ENODATA;
	high = header.count;
	while (low < high) { /* the first function that begins behind the address */
		uint32_t middle = low + (high - low) / 2;

		if (!function_at(image, table, middle, &found))
			return -ENODATA;
		if (found <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return -ESRCH;
	if (!function_at(image, table, low - 1, &found))
		return -ENODATA;
	if (low == header.count || !function_at(image, table, low, &next) || next <= found ||
	    next - found > LT_MAX_BOUNDS)
		next = found + LT_MAX_BOUNDS;
	if (found > address || address >= next)
		return -ESRCH;
	*start = found;
	*end = next;
	return 0;
}
