// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/starts.h"

#include <string.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "elf/image.h"
#include "proc/maps.h"

#define VARIABLE "_thread_db_pthread_start_routine"
/* Of struct pthread, which is some 2.3 KiB in 2.36. */
#define MAX_OFFSET 65536

struct field { /* DB_DESC in nptl_db/thread_dbP.h */
	uint32_t bits, elements, offset;
};

struct search {
	const struct lt_image *image;
	struct field field;
};

static int look(void *context, const struct lt_image_symbol *symbol)
{
	struct search *search = context;

	return !strcmp(symbol->name, VARIABLE) &&
	       lt_image_read(search->image, symbol->address, &search->field,
			     sizeof(search->field)) == sizeof(search->field);
}

static uint32_t offset_in(int fd)
{
	struct search search = { 0 };
	struct lt_image *image;
	int found;

	if (lt_image_open(&image, fd))
		return 0;
	search.image = image;
	found = lt_image_each_object(image, look, &search);
	lt_image_close(image);
	return found > 0 && search.field.bits == 64 && search.field.elements == 1 &&
			       search.field.offset < MAX_OFFSET
		       ? search.field.offset
		       : 0;
}

/* libc.so.6; before 2.34 libpthread.so.0; by their versions, libc-2.31.so and libpthread-2.31.so. */
static bool is_library(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	return !strncmp(name, "libc.", 5) || !strncmp(name, "libc-", 5) ||
	       !strncmp(name, "libpthread", 10);
}

uint32_t lt_start_offset(const struct lt_process *process)
{
	struct lt_maps maps = { 0 };
	uint32_t offset = 0;

	if (lt_maps_read(process, &maps))
		return 0;
	for (size_t i = 0; i < maps.count && !offset; i++) {
		_lt_close_ int fd = -1;

		if (!maps.entries[i].executable || !is_library(maps.entries[i].path))
			continue;
		fd = lt_maps_open_file(process, &maps.entries[i]);
		if (fd >= 0)
			offset = offset_in(fd);
	}
	lt_maps_free(&maps);
	return offset;
}

uint64_t lt_start_function(pid_t tid, uint64_t block, uint32_t offset)
{
	uint64_t function = 0;
	struct iovec here = { &function, sizeof(function) };
	struct iovec there = { (void *)(uintptr_t)(block + offset), sizeof(function) };

	if (!block || !offset || process_vm_readv(tid, &here, 1, &there, 1, 0) != sizeof(function))
		return 0;
	return function;
}
