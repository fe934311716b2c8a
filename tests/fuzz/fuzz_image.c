// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A small valid ELF file with bytes changed (input: pairs of offset, 2 bytes, and value), or any
 * bytes as they are: every symbol that is told lies in the file, where reading finds it, every slot
 * is found by its address, and code that jumps by them leads somewhere.
 */
#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "elf/image.h"
#include "probe/leads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check_symbol(void *context, const struct lt_image_symbol *symbol)
{
	const struct lt_image *image = context;
	struct lt_leads leads;
	uint64_t offset, address;
	uint8_t text[16];
	long got;

	if (!strlen(symbol->name) || strchr(symbol->name, '@') ||
	    !lt_image_offset_of(image, symbol->address, &offset) || offset != symbol->file_offset ||
	    !lt_image_address_of(image, offset, &address))
		abort();
	got = lt_image_read(image, symbol->address, text, sizeof(text));
	if (got > (long)sizeof(text))
		abort();
	lt_leads_find(image, symbol->address, text, got > 0 ? (size_t)got : 0, NULL, &leads);
	if (leads.jump_count > LT_MAX_LEADS || leads.call_count > LT_MAX_LEADS)
		abort();
	return 0;
}

static int check_slot(void *context, const struct lt_image_slot *slot)
{
	struct lt_image_slot found;
	const struct lt_image *image = context;

	if ((slot->name && strchr(slot->name, '@')) ||
	    !lt_image_slot_at(image, slot->address, &found) || found.address != slot->address)
		abort();
	return 0;
}

#define NAMES "\0malloc@@V1\0free\0.x"

struct file {
	Elf64_Ehdr header;
	Elf64_Phdr segments[2];
	Elf64_Shdr sections[8];
	Elf64_Sym symbols[4];
	Elf64_Half versions[4];
	Elf64_Rela relocations[3];
	char names[24];
	Elf64_Nhdr note;
	char note_name[4];
	uint8_t build_id[20];
	uint8_t text[64];
};

#define SECTION(type, member, link, entry)                                                         \
	{                                                                                          \
		.sh_type = (type), .sh_offset = offsetof(struct file, member),                     \
		.sh_size = sizeof(((struct file *)0)->member), .sh_link = (link),                  \
		.sh_entsize = (entry)                                                              \
	}
#define SYMBOL(name, type, section, at)                                                            \
	{                                                                                          \
		.st_name = (name), .st_info = ELF64_ST_INFO(STB_GLOBAL, type),                     \
		.st_shndx = (section), .st_value = 0x1000 + offsetof(struct file, text) + (at),    \
		.st_size = 16                                                                      \
	}

static const struct file valid = {
	.header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_DYN,
#if defined(__x86_64__)
		.e_machine = EM_X86_64,
#else
		.e_machine = EM_AARCH64,
#endif
		.e_version = EV_CURRENT,
		.e_phoff = offsetof(struct file, segments),
		.e_shoff = offsetof(struct file, sections),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 8,
		.e_shstrndx = 2,
	},
	.segments = {
		{ .p_type = PT_LOAD, .p_vaddr = 0x1000, .p_filesz = sizeof(struct file),
		  .p_memsz = sizeof(struct file), .p_align = 0x1000 },
		{ .p_type = PT_NOTE, .p_offset = offsetof(struct file, note), .p_filesz = 36,
		  .p_align = 4 },
	},
	.sections = {
		{ 0 },
		SECTION(SHT_DYNSYM, symbols, 2, sizeof(Elf64_Sym)),
		SECTION(SHT_STRTAB, names, 0, 0),
		SECTION(SHT_GNU_versym, versions, 1, sizeof(Elf64_Half)),
		SECTION(SHT_SYMTAB, symbols, 2, sizeof(Elf64_Sym)),
		SECTION(SHT_PROGBITS, text, 0, 0),
		{ .sh_type = SHT_RELA, .sh_flags = SHF_ALLOC, .sh_link = 1,
		  .sh_offset = offsetof(struct file, relocations), .sh_size = 3 * sizeof(Elf64_Rela),
		  .sh_entsize = sizeof(Elf64_Rela) },
		{ .sh_type = SHT_NOTE, .sh_offset = offsetof(struct file, note), .sh_size = 36, .sh_addralign = 4 },
	},
	.symbols = { { 0 }, SYMBOL(1, STT_FUNC, 5, 0), SYMBOL(12, STT_FUNC, 5, 16),
		     SYMBOL(12, STT_GNU_IFUNC, 5, 32) },
	.versions = { 0, 2, 0x8002, 1 },
	.relocations = { { 0x1800, ELF64_R_INFO(1, R_X86_64_JUMP_SLOT), 0 },
			 { 0x1808, ELF64_R_INFO(3, R_X86_64_GLOB_DAT), 0 },
			 { 0x1810, ELF64_R_INFO(0, R_X86_64_IRELATIVE), 0x1200 } },
	.names = NAMES,
	.note = { 4, 20, 3 /* NT_GNU_BUILD_ID */ },
	.note_name = "GNU",
	.build_id = { 1, 2, 3 },
};

static int count(void *context, const struct lt_image_symbol *symbol)
{
	++*(int *)context;
	return 0;
}

static int count_slot(void *context, const struct lt_image_slot *slot)
{
	++*(int *)context;
	return 0;
}

static void check(const void *bytes, size_t size, bool unchanged)
{
	_lt_close_ int fd = memfd_create("fuzz", MFD_CLOEXEC);
	uint8_t build_id[LT_MAX_BUILD_ID];
	struct lt_image *image;
	size_t id_len;
	int symbols = 0, slots = 0;

	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || lt_image_open(&image, fd)) {
		if (unchanged)
			abort();
		return;
	}
	id_len = lt_image_build_id(image, build_id);
	lt_image_each_function(image, check_symbol, image);
	lt_image_each_function(image, count, &symbols);
	lt_image_each_slot(image, check_slot, image);
	lt_image_each_slot(image, count_slot, &slots);
	/* Else the inputs would not reach what they are to test. */
	if (id_len > sizeof(build_id) ||
	    (unchanged && (id_len != 20 || symbols != 6 || slots != 3)))
		abort();
	lt_image_close(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct file file = valid;

	for (size_t i = 0; i + 3 <= size; i += 3)
		((uint8_t *)&file)[(data[i] | data[i + 1] << 8) % sizeof(file)] = data[i + 2];
	check(&file, sizeof(file), size < 3);
	check(data, size, false);
	return 0;
}
