/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a program loader would put into memory of an ELF file of this machine, relocated with bias
 * 0: read as needed, not mapped, by program headers alone.  The file is hostile.  Immutable once it
 * is relocated.
 */
#ifndef LT_ELF_GOSEGMENTS_H
#define LT_ELF_GOSEGMENTS_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lt_gosegment { /* one PT_LOAD, as far as it is in the file */
	uint64_t address, offset, file_size;
	uint32_t flags; /* PF_ */
};

struct lt_gorelocation { /* R_X86_64_RELATIVE */
	uint64_t address, value;
};

struct lt_gosegments {
	int fd; /* -1: none */
	Elf64_Ehdr header;
	Elf64_Phdr *headers;           /* all of them; owned */
	struct lt_gosegment *segments; /* owned */
	size_t count;
	struct lt_gorelocation *relocations; /* by address, which differ; owned */
	size_t relocation_count;
};

/*
 * Duplicates fd.  -ENODATA: no ELF file of this machine, or segments as no linker lays them out.  To be
 * closed in any case.
 */
int lt_gosegments_open(struct lt_gosegments *segments, int fd);
/* From now on what is read is relocated.  -E2BIG: more relocations than any program has. */
int lt_gosegments_relocate(struct lt_gosegments *segments);
void lt_gosegments_close(struct lt_gosegments *segments);

/* The segment that has this address in the file, or NULL. */
const struct lt_gosegment *lt_gosegments_at(const struct lt_gosegments *segments, uint64_t address);
/* Bytes at an address, up to len; bytes read or -errno. */
long lt_gosegments_read(const struct lt_gosegments *segments, uint64_t address, void *to,
			size_t len);
/* Bytes at an offset in the file: all or false. */
bool lt_gosegments_file(const struct lt_gosegments *segments, uint64_t offset, void *to,
			size_t len);
/*
 * Calls visit with the len bytes at each address that is a multiple of step, in the first `most` bytes
 * of all segments that have these flags, until it says true.  1: it did; 0: it did not; -ENOMEM.
 */
int lt_gosegments_search(const struct lt_gosegments *segments, uint32_t flags, uint64_t most,
			 size_t step, size_t len,
			 bool (*visit)(void *context, uint64_t address, const uint8_t *bytes),
			 void *context);
/* Whether there is a note by that author. */
bool lt_gosegments_note(const struct lt_gosegments *segments, const char *author);
size_t lt_gosegments_memory(const struct lt_gosegments *segments);

#endif
