// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf/ehframe.h"

#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "elf/cfi.h"
#include "elf/unwind_table.h"

#define MAX_SECTION_BYTES (64u << 20) /* of .eh_frame: LT_MAX_UNWIND_ROWS have about as much */

const char *const lt_cfi_skip_texts[LT_CFI_SKIP_COUNT] = {
#define LT_CFI_SKIP(symbol, text) text,
	LT_CFI_SKIPS
#undef LT_CFI_SKIP
};

/*
 * The headers are read without libelf, which would take memory for as many sections as they claim
 * to be there.  Nothing is mapped: a target may shorten a mapped file and so kill its reader.
 */
struct input {
	int fd;
	const uint8_t *memory; /* instead of the file */
	size_t size;
	Elf64_Ehdr header;
};

struct section {
	uint64_t address, offset, size;
};

static int read_at(const struct input *input, uint64_t offset, void *to, size_t len)
{
	ssize_t got;

	if (input->memory) {
		if (offset > input->size || len > input->size - offset)
			return -ENOEXEC;
		memcpy(to, input->memory + offset, len);
		return 0;
	}
	if (offset > INT64_MAX - len)
		return -ENOEXEC;
	got = pread(input->fd, to, len, (off_t)offset);
	if (got < 0)
		return -errno;
	return (size_t)got == len ? 0 : -ENOEXEC;
}

static int read_header(struct input *input)
{
	Elf64_Ehdr *header = &input->header;
	int err = read_at(input, 0, header, sizeof(*header));

	if (err)
		return err;
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) || header->e_ident[EI_CLASS] != ELFCLASS64 ||
	    header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_machine != EM_X86_64 ||
	    (header->e_type != ET_DYN && header->e_type != ET_EXEC) ||
	    (header->e_phnum && header->e_phentsize != sizeof(Elf64_Phdr)))
		return -ENOEXEC;
	return 0;
}

/* The first program header of the type from *index on.  -ENODATA: there is none. */
static int next_segment(const struct input *input, uint32_t type, unsigned int *index,
			Elf64_Phdr *segment)
{
	int err;

	for (; *index < input->header.e_phnum; ++*index) {
		err = read_at(input, input->header.e_phoff + *index * sizeof(*segment), segment,
			      sizeof(*segment));
		if (err)
			return err;
		if (segment->p_type != type)
			continue;
		++*index;
		if (segment->p_vaddr + segment->p_filesz < segment->p_vaddr ||
		    segment->p_offset + segment->p_filesz < segment->p_offset)
			return -ENOEXEC;
		return 0;
	}
	return -ENODATA;
}

static int read_code(const struct input *input, struct lt_cfi *cfi)
{
	unsigned int index = 0;
	Elf64_Phdr segment;
	int err;

	while (!(err = next_segment(input, PT_LOAD, &index, &segment))) {
		if (!(segment.p_flags & PF_X) || !segment.p_filesz)
			continue;
		if (cfi->code_count == LT_CFI_MAX_SEGMENTS)
			return -E2BIG;
		cfi->code[cfi->code_count++] = (struct lt_cfi_range){
			segment.p_vaddr, segment.p_vaddr + segment.p_filesz
		};
	}
	return err == -ENODATA ? 0 : err;
}

static int find_by_section(const struct input *input, struct section *found)
{
	const Elf64_Ehdr *header = &input->header;
	static const char wanted[] = ".eh_frame";
	Elf64_Shdr names, section;
	char name[sizeof(wanted)];

	if (header->e_shentsize != sizeof(section) || header->e_shstrndx >= header->e_shnum ||
	    read_at(input, header->e_shoff + header->e_shstrndx * sizeof(names), &names,
		    sizeof(names)))
		return -ENODATA;
	for (unsigned int i = 1; i < header->e_shnum; i++) {
		if (read_at(input, header->e_shoff + i * sizeof(section), &section,
			    sizeof(section)))
			return -ENODATA;
		if (section.sh_type == SHT_NOBITS || !(section.sh_flags & SHF_ALLOC) ||
		    read_at(input, names.sh_offset + section.sh_name, name, sizeof(name)) ||
		    memcmp(name, wanted, sizeof(wanted)))
			continue;
		*found = (struct section){ section.sh_addr, section.sh_offset, section.sh_size };
		return 0;
	}
	return -ENODATA;
}

/*
 * Without section headers: as the language runtimes find it.  Where it ends is not said, but that
 * is where its terminator stands.  LSB Core 5.0, 10.6.2; all linkers write this encoding.
 */
static int find_by_segment(const struct input *input, struct section *found)
{
	unsigned int index = 0;
	Elf64_Phdr segment;
	struct {
		uint8_t version, pointer_encoding, count_encoding, table_encoding;
		int32_t pointer; /* from here */
	} header;
	uint64_t address, offset;

	if (next_segment(input, PT_GNU_EH_FRAME, &index, &segment) ||
	    read_at(input, segment.p_offset, &header, sizeof(header)) || header.version != 1 ||
	    header.pointer_encoding != (DW_EH_PE_pcrel | DW_EH_PE_sdata4))
		return -ENODATA;
	address = segment.p_vaddr + 4 + (uint64_t)(int64_t)header.pointer;
	for (index = 0; !next_segment(input, PT_LOAD, &index, &segment);) {
		offset = address - segment.p_vaddr;
		if (offset >= segment.p_filesz)
			continue;
		*found = (struct section){ address, segment.p_offset + offset,
					   segment.p_filesz - offset };
		if (found->size > MAX_SECTION_BYTES)
			found->size = MAX_SECTION_BYTES;
		return 0;
	}
	return -ENODATA;
}

/* What libdw gets: an ELF file of .eh_frame alone, whose bytes follow. */
struct capsule {
	Elf64_Ehdr header;
	Elf64_Shdr sections[3];
	char names[24];
};

static const struct capsule capsule = {
	.header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_shoff = offsetof(struct capsule, sections),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 3,
		.e_shstrndx = 2,
	},
	.sections = {
		{ .sh_type = SHT_NULL },
		{ .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_flags = SHF_ALLOC,
		  .sh_offset = sizeof(struct capsule), .sh_addralign = 8 },
		{ .sh_name = 11, .sh_type = SHT_STRTAB, .sh_offset = offsetof(struct capsule, names),
		  .sh_size = sizeof(((struct capsule *)0)->names), .sh_addralign = 1 },
	},
	.names = "\0.eh_frame\0.shstrtab",
};

static int load_capsule(const struct input *input, const struct section *section,
			struct capsule **loaded)
{
	_lt_free_ struct capsule *made = NULL;
	uint8_t *bytes;
	int err;

	if (section->size > MAX_SECTION_BYTES)
		return -E2BIG;
	made = malloc(sizeof(*made) + section->size + LT_CFI_PADDING);
	if (!made)
		return -ENOMEM;
	*made = capsule;
	made->sections[1].sh_addr = section->address;
	made->sections[1].sh_size = section->size;
	bytes = (uint8_t *)(made + 1);
	memset(bytes + section->size, 0, LT_CFI_PADDING);
	err = read_at(input, section->offset, bytes, section->size);
	if (!err)
		*loaded = lt_take_ptr(made);
	return err;
}

/* The rows of one FDE. */
static int write_fde(Dwarf_CFI *cfi, const struct lt_cfi_fde *fde, struct lt_table_writer *writer)
{
	uint64_t *skipped = writer->table.skipped;
	int err = 0;

	for (uint64_t address = fde->start, end; !err && address < fde->end; address = end) {
		uint64_t rule = LT_RULE(LT_CFA_UNSUPPORTED, 0, 0, 0);
		enum lt_cfi_skip skip = LT_CFI_SKIP_BROKEN;
		Dwarf_Frame *frame;

		end = fde->end;
		if (!fde->broken && !dwarf_cfi_addrframe(cfi, address, &frame)) {
			rule = lt_cfi_rule(frame, &end, &skip);
			free(frame);
		}
		if (skip != LT_CFI_SKIP_COUNT)
			skipped[skip]++;
		err = lt_table_writer_put(writer, address, rule);
		if (end <= address)
			break;
	}
	return err;
}

static int write_table(Dwarf_CFI *libdw, const struct lt_cfi *cfi, struct lt_unwind_table *table)
{
	const struct lt_cfi_fde *fdes = cfi->fdes;
	struct lt_table_writer writer;
	uint64_t end = fdes[cfi->fde_count - 1].end, at = fdes[0].start;
	int err = lt_table_writer_begin(&writer, at, end);

	if (err)
		return err;
	writer.table.fde_count = cfi->fde_count;
	writer.table.skipped[LT_CFI_SKIP_BROKEN] = cfi->broken;
	for (size_t i = 0; !err && i < cfi->fde_count; i++) {
		if (fdes[i].start > at)
			err = lt_table_writer_put(&writer, at, LT_RULE(LT_CFA_NONE, 0, 0, 0));
		if (!err)
			err = write_fde(libdw, &fdes[i], &writer);
		at = fdes[i].end;
	}
	if (!err)
		err = lt_table_writer_finish(&writer, end, table);
	lt_table_writer_free(&writer);
	return err;
}

static int read_cfi(struct capsule *loaded, struct lt_cfi *cfi, struct lt_unwind_table *table)
{
	Dwarf_CFI *libdw;
	Elf *elf;
	int err;

	cfi->bytes = (uint8_t *)(loaded + 1);
	cfi->size = loaded->sections[1].sh_size;
	cfi->address = loaded->sections[1].sh_addr;
	err = lt_cfi_check(cfi);
	if (err)
		return err;
	if (!cfi->fde_count)
		return -ENODATA;
	elf = elf_memory((char *)loaded, sizeof(*loaded) + cfi->size);
	libdw = elf ? dwarf_getcfi_elf(elf) : NULL;
	err = libdw ? write_table(libdw, cfi, table) : -ENOMEM;
	dwarf_cfi_end(libdw);
	elf_end(elf);
	return err;
}

static int build(struct input *input, struct lt_unwind_table *table)
{
	_lt_free_ struct capsule *loaded = NULL;
	struct section section;
	struct lt_cfi cfi = { 0 };
	int err;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOSYS;
	err = read_header(input);
	if (!err)
		err = read_code(input, &cfi);
	if (!err && find_by_section(input, &section))
		err = find_by_segment(input, &section);
	if (!err)
		err = load_capsule(input, &section, &loaded);
	if (!err)
		err = read_cfi(loaded, &cfi, table);
	free(cfi.fdes);
	return err;
}

int lt_ehframe_build(int fd, struct lt_unwind_table *table)
{
	struct input input = { .fd = fd };

	return build(&input, table);
}

int lt_ehframe_build_memory(void *image, size_t size, struct lt_unwind_table *table)
{
	struct input input = { .fd = -1, .memory = image, .size = size };

	return build(&input, table);
}
