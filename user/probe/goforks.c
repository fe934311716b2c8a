// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/goforks.h"

#include <string.h>

#include "elf/image.h"

/* The way from C to Go, in each program with cgo and in no other (runtime/cgo/asm_amd64.s). */
#define FROM_C "crosscall2"

/* What a C library is made of: glibc's of all ages, musl's; and what glibc loads by itself (nsswitch.conf). */
static const char *const c_library[] = {
	"ld-",    "libc.",      "libc-",  "libm.",  "libm-",  "libdl.",
	"libdl-", "libpthread", "librt.", "librt-", "libnss", "libresolv",
};

static const char *const forking[] = {
	"fork",    "_Fork",   "__fork", "vfork",   "__vfork", "clone",
	"__clone", "syscall", "daemon", "forkpty", "dlopen",  "dlmopen",
};

static bool is_c_library(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	for (size_t i = 0; i < sizeof(c_library) / sizeof(c_library[0]); i++)
		if (!strncmp(name, c_library[i], strlen(c_library[i])))
			return true;
	return false;
}

static bool has_other_code(const struct lt_maps *maps, const struct lt_mapping *own)
{
	for (size_t i = 0; i < maps->count; i++) {
		const struct lt_mapping *mapping = &maps->entries[i];

		if (mapping->executable && mapping->inode &&
		    (mapping->device != own->device || mapping->inode != own->inode) &&
		    !is_c_library(mapping->path))
			return true;
	}
	return false;
}

/* 1: that one forks.  *imports: how many functions of others. */
static int note_import(void *context, const struct lt_image_slot *slot)
{
	size_t *imports = context;

	for (size_t i = 0; slot->name && i < sizeof(forking) / sizeof(forking[0]); i++)
		if (!strcmp(slot->name, forking[i]))
			return 1;
	*imports += slot->name && !slot->function;
	return 0;
}

/* One without imports is linked statically, or does not show them. */
static bool imports_fork(int fd)
{
	struct lt_image *image;
	size_t imports = 0;
	int found;

	if (lt_image_open(&image, fd))
		return true;
	found = lt_image_each_slot(image, note_import, &imports);
	lt_image_close(image);
	return found || !imports;
}

bool lt_go_might_fork(const struct lt_gofile *file, int fd, const struct lt_maps *maps,
		      const struct lt_mapping *own)
{
	struct lt_go_function function;

	return lt_gopclntab_named(lt_gofile_pclntab(file), FROM_C, &function) &&
	       (has_other_code(maps, own) || imports_fork(fd));
}
