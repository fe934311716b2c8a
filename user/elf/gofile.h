/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Go part of an ELF file, stripped or not: a program, PIE or not, with cgo or without, a c-shared
 * library, a plugin.  Addresses are ELF virtual addresses.  The file is read, not mapped, and is
 * hostile.  Immutable once open: may be used from several threads.
 *
 * Sources: runtime/symtab.go (moduledata, pcHeader), debug/gosym/pclntab.go, cmd/link, of each version.
 */
#ifndef LT_ELF_GOFILE_H
#define LT_ELF_GOFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/gopclntab.h"

struct lt_gofile;

/* Has the file Go's tables?  Cheap: looks at its sections alone (or at its segments, without those). */
bool lt_gofile_present(int fd);

struct lt_go_span { /* [start, end) */
	uint64_t start, end;
};

/* What the linker wrote of the module; all as if loaded at bias 0. */
struct lt_go_moduledata {
	uint64_t address; /* of runtime.firstmoduledata, or of the plugin's own */
	uint64_t pclntab, pclntab_size;
	struct lt_go_span text, noptrdata, data, bss, noptrbss;
	uint64_t gofunc; /* base of funcdata; 0: absolute addresses (before 1.18) */
};

struct lt_gofile_info {
	char version[64];   /* "go1.22.12" as the file says; "" if it does not */
	unsigned int minor; /* 22; of one that says "devel" by pclntab and moduledata alone: 0 */
	struct lt_go_moduledata module;
};

/*
 * *file is to be closed; fd is not taken over.  -ENODATA: no Go, or no ELF file of this machine;
 * -ENOTSUP with *reason (static text): Go of a form that is not known; -E2BIG: its tables are beyond
 * what is read.
 */
int lt_gofile_open(struct lt_gofile **file, int fd, const char **reason);
void lt_gofile_close(struct lt_gofile *file);

const struct lt_gofile_info *lt_gofile_info(const struct lt_gofile *file);
/* Its names are as the runtime prints them: "f[...]" for "f[go.shape.int]" (funcNameForPrint). */
const struct lt_gopclntab *lt_gofile_pclntab(const struct lt_gofile *file);
/* Bytes of the file as loaded, relocated with bias 0, up to len; bytes read or -errno. */
long lt_gofile_read(const struct lt_gofile *file, uint64_t address, void *to, size_t len);
/* Where in the file the byte at an address lies, by the program headers; false: nowhere. */
bool lt_gofile_offset_of(const struct lt_gofile *file, uint64_t address, uint64_t *offset);
/* What it keeps in memory. */
size_t lt_gofile_memory(const struct lt_gofile *file);

#endif
