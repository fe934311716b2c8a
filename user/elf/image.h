/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One ELF file, read through an fd (libelf).  The file is hostile.  Addresses here are ELF virtual
 * addresses (st_value) or file offsets, as named.  Not thread-safe.
 */
#ifndef LT_ELF_IMAGE_H
#define LT_ELF_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "leaktrace/limits.h"

struct lt_image;

/* Duplicates fd.  -ENOEXEC: not an ELF file of this machine's class and architecture. */
int lt_image_open(struct lt_image **image, int fd);
void lt_image_close(struct lt_image *image);

/* Build-id note; length 0 when there is none. */
size_t lt_image_build_id(const struct lt_image *image, uint8_t build_id[LT_MAX_BUILD_ID]);

struct lt_image_symbol {
	const char *name;     /* borrowed from the image; version suffix cut */
	uint64_t address;     /* ELF virtual address */
	uint64_t size;        /* 0 if the file does not say */
	uint64_t file_offset; /* of address */
	bool ifunc;
	bool local;           /* STB_LOCAL: other files cannot call it by name */
	bool default_version; /* name@@V or unversioned */
};

/* Calls visit for each *defined* function symbol of .dynsym, then .symtab.  Nonzero stops and is
 * returned. */
int lt_image_each_function(const struct lt_image *image,
			   int (*visit)(void *context, const struct lt_image_symbol *symbol),
			   void *context);

/* The same for each defined variable. */
int lt_image_each_object(const struct lt_image *image,
			 int (*visit)(void *context, const struct lt_image_symbol *symbol),
			 void *context);

/* Calls visit with the name (borrowed) of each undefined symbol of .dynsym, which other files define. */
int lt_image_each_import(const struct lt_image *image,
			 int (*visit)(void *context, const char *name), void *context);

/* A word that the dynamic linker fills with the address of a function (.got, .got.plt). */
struct lt_image_slot {
	uint64_t address;  /* of the word */
	const char *name;  /* of the function, borrowed; NULL: known by its resolver alone */
	uint64_t function; /* where this file defines it, unless it is an IFUNC; else 0 */
	uint64_t resolver; /* of an IFUNC of this file; else 0 */
};

/* Calls visit for each slot, as lt_image_each_function does. */
int lt_image_each_slot(const struct lt_image *image,
		       int (*visit)(void *context, const struct lt_image_slot *slot),
		       void *context);

/* The slot at that address.  The first call goes over all of them, of which it keeps a table. */
bool lt_image_slot_at(const struct lt_image *image, uint64_t address, struct lt_image_slot *slot);

/* Whether a dynamic linker is asked for: false for a static executable, and for a library. */
bool lt_image_has_interpreter(const struct lt_image *image);

/* Reads up to len bytes of text at a virtual address out of its PT_LOAD; returns bytes read or
 * -errno. */
long lt_image_read(const struct lt_image *image, uint64_t address, void *to, size_t len);

/* Virtual address ↔ file offset by program headers; false when outside of every PT_LOAD. */
bool lt_image_offset_of(const struct lt_image *image, uint64_t address, uint64_t *file_offset);
bool lt_image_address_of(const struct lt_image *image, uint64_t file_offset, uint64_t *address);
/*
 * The virtual address of the start of an executable mapping, whose file offset is that of its
 * PT_LOAD rounded down to a page: the bytes before the segment belong to others.
 */
bool lt_image_code_address(const struct lt_image *image, uint64_t file_offset, uint64_t *address);

#endif
