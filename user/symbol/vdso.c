/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbol/vdso.h"

#include <elf.h>
#include <sys/auxv.h>
#include <unistd.h>

Elf *lt_vdso_open(uint64_t mapping_bytes)
{
	char *image = (char *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)image;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), bytes;

	if (!image)
		return NULL;
	/* The kernel strips the image at its build: the section headers are the last thing in it.
	 */
	bytes = header->e_shoff + (uint64_t)header->e_shnum * header->e_shentsize;
	if ((bytes + page - 1) / page * page != mapping_bytes)
		return NULL;
	return elf_memory(image, bytes); /* reads only */
}
