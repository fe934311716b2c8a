// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf/image.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#if defined(__x86_64__)
#define HOST_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define HOST_MACHINE EM_AARCH64
#else
#error "no such architecture yet"
#endif

/* Relocations that fill a slot; System V AMD64 ABI 4.4.1, ELF for the Arm 64-bit Architecture 5.7 */
#if defined(__x86_64__)
#define RELOCATE_JUMP_SLOT R_X86_64_JUMP_SLOT
#define RELOCATE_GLOB_DAT  R_X86_64_GLOB_DAT
#define RELOCATE_IRELATIVE R_X86_64_IRELATIVE
#else
#define RELOCATE_JUMP_SLOT R_AARCH64_JUMP_SLOT
#define RELOCATE_GLOB_DAT  R_AARCH64_GLOB_DAT
#define RELOCATE_IRELATIVE R_AARCH64_IRELATIVE
#endif

/* The kernel loads no file with more than 64 KiB of program headers (fs/binfmt_elf.c). */
#define MAX_PROGRAM_HEADERS (65536 / sizeof(Elf64_Phdr))
#define MAX_SECTION_BYTES   (512u << 20) /* of a table that is read whole; browsers have 100 MiB */
#define MAX_SLOTS           (1u << 18)   /* that are looked up; large programs have 20,000 */
#define VERSYM_HIDDEN       0x8000       /* the version is not the default one; <elf.h> lacks it */

struct segment { /* one PT_LOAD */
	uint64_t address, file_offset, file_size;
	bool executable;
};

struct symbol_table {
	Elf_Data *symbols;
	Elf_Data *versions; /* SHT_GNU_versym or NULL */
	const char *names;  /* the string table as it is */
	char *cut_names; /* owned: a copy that ends each name at its '@'; NULL: no name has one */
	size_t names_len;
};

struct slot_table { /* by address; made when it is needed */
	struct lt_image_slot *slots;
	size_t count, capacity;
	bool made;
};

struct lt_image {
	int fd;
	Elf *elf;
	struct segment *segments;
	size_t segment_count;
	bool has_interpreter;
	struct symbol_table tables[2]; /* .dynsym, .symtab */
	struct slot_table *slots;
};

static bool is_native(Elf *elf)
{
	GElf_Ehdr header;

	return elf && elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &header) &&
	       header.e_ident[EI_CLASS] == ELFCLASS64 &&
	       header.e_ident[EI_DATA] ==
		       (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB) &&
	       header.e_machine == HOST_MACHINE &&
	       (header.e_type == ET_DYN || header.e_type == ET_EXEC);
}

static int read_segments(struct lt_image *image)
{
	size_t count;
	GElf_Phdr header;

	if (elf_getphdrnum(image->elf, &count) || count > MAX_PROGRAM_HEADERS)
		return -ENOEXEC;
	image->segments = calloc(count ? count : 1, sizeof(*image->segments));
	if (!image->segments)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		uint64_t end;

		if (!gelf_getphdr(image->elf, (int)i, &header))
			return -ENOEXEC;
		image->has_interpreter |= header.p_type == PT_INTERP;
		if (header.p_type != PT_LOAD || !header.p_filesz)
			continue;
		if (__builtin_add_overflow(header.p_vaddr, header.p_filesz, &end) ||
		    __builtin_add_overflow(header.p_offset, header.p_filesz, &end) ||
		    end > INT64_MAX)
			return -ENOEXEC;
		image->segments[image->segment_count++] = (struct segment){
			header.p_vaddr, header.p_offset, header.p_filesz, header.p_flags & PF_X
		};
	}
	return 0;
}

/* The section's bytes, or NULL: absent, not in the file, too large, beyond its end. */
static Elf_Data *section_data(Elf_Scn *section, GElf_Shdr *header, Elf_Type type)
{
	Elf_Data *data;

	if (!section || !gelf_getshdr(section, header) || header->sh_type == SHT_NOBITS ||
	    header->sh_size > MAX_SECTION_BYTES || (header->sh_flags & SHF_COMPRESSED))
		return NULL;
	data = elf_getdata(section, NULL);
	return data && data->d_buf && data->d_type == type ? data : NULL;
}

static int load_names(struct symbol_table *table, const Elf_Data *data)
{
	table->names = data->d_buf;
	table->names_len = data->d_size;
	if (!memchr(table->names, '@', table->names_len))
		return 0;
	table->cut_names = malloc(table->names_len);
	if (!table->cut_names)
		return -ENOMEM;
	for (size_t i = 0; i < table->names_len; i++)
		table->cut_names[i] = (char)(table->names[i] == '@' ? '\0' : table->names[i]);
	return 0;
}

static int load_table(Elf *elf, Elf_Scn *section, struct symbol_table *table)
{
	GElf_Shdr header, strings_header;
	Elf_Data *symbols = section_data(section, &header, ELF_T_SYM), *strings;

	if (!symbols || table->symbols)
		return 0;
	strings = section_data(elf_getscn(elf, header.sh_link), &strings_header, ELF_T_BYTE);
	/* With the last byte 0 every name ends inside of the table. */
	if (!strings || !strings->d_size || ((const char *)strings->d_buf)[strings->d_size - 1])
		return 0;
	table->symbols = symbols;
	return load_names(table, strings);
}

/* A file without section headers, or with nonsense in them, has no symbols for us. */
static int load_tables(struct lt_image *image)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	int err = 0;

	while (!err && (section = elf_nextscn(image->elf, section))) {
		if (!gelf_getshdr(section, &header))
			continue;
		if (header.sh_type == SHT_DYNSYM)
			err = load_table(image->elf, section, &image->tables[0]);
		else if (header.sh_type == SHT_SYMTAB)
			err = load_table(image->elf, section, &image->tables[1]);
		else if (header.sh_type == SHT_GNU_versym)
			image->tables[0].versions = section_data(section, &header, ELF_T_HALF);
	}
	return err;
}

int lt_image_open(struct lt_image **image, int fd)
{
	struct lt_image *opened;
	struct stat stat;
	int err = -ENOEXEC;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOSYS;
	if (fstat(fd, &stat))
		return -errno;
	opened = calloc(1, sizeof(*opened) + sizeof(*opened->slots));
	if (!opened)
		return -ENOMEM;
	opened->slots = (struct slot_table *)(opened + 1);
	opened->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (opened->fd < 0) {
		err = -errno;
		free(opened);
		return err;
	}
	/* Read, not mapped: a file that its owner cuts short must not kill us with SIGBUS. */
	opened->elf = elf_begin(opened->fd, ELF_C_READ, NULL);
	if (is_native(opened->elf))
		err = read_segments(opened);
	if (!err)
		err = load_tables(opened);
	if (err) {
		lt_image_close(opened);
		return err;
	}
	*image = opened;
	return 0;
}

void lt_image_close(struct lt_image *image)
{
	if (!image)
		return;
	for (size_t i = 0; i < 2; i++)
		free(image->tables[i].cut_names);
	free(image->slots->slots);
	free(image->segments);
	elf_end(image->elf);
	close(image->fd);
	free(image);
}

size_t lt_image_build_id(const struct lt_image *image, uint8_t build_id[LT_MAX_BUILD_ID])
{
	const void *note;
	ssize_t len = dwelf_elf_gnu_build_id(image->elf, &note);

	if (len <= 0)
		return 0;
	if (len > LT_MAX_BUILD_ID)
		len = LT_MAX_BUILD_ID;
	memcpy(build_id, note, (size_t)len);
	return (size_t)len;
}

static const struct segment *segment_of(const struct lt_image *image, uint64_t address)
{
	for (size_t i = 0; i < image->segment_count; i++)
		if (address - image->segments[i].address < image->segments[i].file_size)
			return &image->segments[i];
	return NULL;
}

bool lt_image_offset_of(const struct lt_image *image, uint64_t address, uint64_t *file_offset)
{
	const struct segment *segment = segment_of(image, address);

	if (!segment)
		return false;
	*file_offset = address - segment->address + segment->file_offset;
	return true;
}

bool lt_image_address_of(const struct lt_image *image, uint64_t file_offset, uint64_t *address)
{
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct segment *segment = &image->segments[i];

		if (file_offset - segment->file_offset < segment->file_size) {
			*address = file_offset - segment->file_offset + segment->address;
			return true;
		}
	}
	return false;
}

bool lt_image_code_address(const struct lt_image *image, uint64_t file_offset, uint64_t *address)
{
	uint64_t page = (uint64_t)getpagesize();

	for (size_t i = 0; i < image->segment_count; i++) {
		const struct segment *segment = &image->segments[i];
		uint64_t before = segment->file_offset % page;

		if (segment->executable &&
		    file_offset - (segment->file_offset - before) < segment->file_size + before) {
			*address = file_offset - segment->file_offset + segment->address;
			return true;
		}
	}
	return false;
}

long lt_image_read(const struct lt_image *image, uint64_t address, void *to, size_t len)
{
	const struct segment *segment = segment_of(image, address);
	uint64_t left;
	ssize_t got;

	if (!segment)
		return -EFAULT;
	left = segment->file_size - (address - segment->address);
	got = pread(image->fd, to, len < left ? len : left,
		    (off_t)(address - segment->address + segment->file_offset));
	return got < 0 ? -errno : got;
}

/* "name@@V" or, out of .gnu.version, an index without the hidden bit */
static bool is_default_version(const struct symbol_table *table, const char *full_name, size_t i)
{
	const char *at = strchr(full_name, '@');
	GElf_Versym version;

	if (at)
		return at[1] == '@';
	return !table->versions || !gelf_getversym(table->versions, (int)i, &version) ||
	       !(version & VERSYM_HIDDEN);
}

/* False: not a defined function, or object, or nonsense. */
static bool read_symbol(const struct lt_image *image, const struct symbol_table *table, size_t i,
			bool object, struct lt_image_symbol *symbol)
{
	GElf_Sym raw;
	int type;

	if (!gelf_getsym(table->symbols, (int)i, &raw))
		return false;
	type = GELF_ST_TYPE(raw.st_info);
	if ((type == STT_OBJECT) != object ||
	    (!object && type != STT_FUNC && type != STT_GNU_IFUNC) || raw.st_shndx == SHN_UNDEF ||
	    (raw.st_shndx >= SHN_LORESERVE && raw.st_shndx != SHN_XINDEX) ||
	    raw.st_name >= table->names_len ||
	    !lt_image_offset_of(image, raw.st_value, &symbol->file_offset))
		return false;
	symbol->name = (table->cut_names ? table->cut_names : table->names) + raw.st_name;
	symbol->address = raw.st_value;
	symbol->size = raw.st_size;
	symbol->ifunc = type == STT_GNU_IFUNC;
	symbol->local = GELF_ST_BIND(raw.st_info) == STB_LOCAL;
	symbol->default_version = is_default_version(table, table->names + raw.st_name, i);
	return symbol->name[0] != '\0';
}

static int each_symbol(const struct lt_image *image, bool object,
		       int (*visit)(void *context, const struct lt_image_symbol *symbol),
		       void *context)
{
	struct lt_image_symbol symbol;
	int err;

	for (size_t t = 0; t < 2; t++) {
		const struct symbol_table *table = &image->tables[t];
		size_t count = table->symbols ? table->symbols->d_size / sizeof(Elf64_Sym) : 0;

		for (size_t i = 0; i < count; i++) {
			if (!read_symbol(image, table, i, object, &symbol))
				continue;
			err = visit(context, &symbol);
			if (err)
				return err;
		}
	}
	return 0;
}

int lt_image_each_function(const struct lt_image *image,
			   int (*visit)(void *context, const struct lt_image_symbol *symbol),
			   void *context)
{
	return each_symbol(image, false, visit, context);
}

int lt_image_each_object(const struct lt_image *image,
			 int (*visit)(void *context, const struct lt_image_symbol *symbol),
			 void *context)
{
	return each_symbol(image, true, visit, context);
}

int lt_image_each_import(const struct lt_image *image,
			 int (*visit)(void *context, const char *name), void *context)
{
	const struct symbol_table *table = &image->tables[0];
	size_t count = table->symbols ? table->symbols->d_size / sizeof(Elf64_Sym) : 0;
	int err = 0;

	for (size_t i = 1; i < count && !err; i++) { /* the first one means none */
		GElf_Sym symbol;

		if (gelf_getsym(table->symbols, (int)i, &symbol) && symbol.st_shndx == SHN_UNDEF &&
		    symbol.st_name < table->names_len)
			err = visit(context, (table->cut_names ? table->cut_names : table->names) +
						     symbol.st_name);
	}
	return err;
}

/* False: it is filled with something else than a function's address, or nonsense. */
static bool read_slot(const struct lt_image *image, const GElf_Rela *raw,
		      struct lt_image_slot *slot)
{
	const struct symbol_table *table = &image->tables[0];
	uint64_t type = GELF_R_TYPE(raw->r_info);
	GElf_Sym symbol;

	*slot = (struct lt_image_slot){ .address = raw->r_offset };
	if (type == RELOCATE_IRELATIVE) {
		slot->resolver = (uint64_t)raw->r_addend;
		return true;
	}
	if ((type != RELOCATE_JUMP_SLOT && type != RELOCATE_GLOB_DAT) || !table->symbols ||
	    !gelf_getsym(table->symbols, (int)GELF_R_SYM(raw->r_info), &symbol) ||
	    symbol.st_name >= table->names_len)
		return false;
	slot->name = (table->cut_names ? table->cut_names : table->names) + symbol.st_name;
	if (GELF_ST_TYPE(symbol.st_info) == STT_GNU_IFUNC)
		slot->resolver = symbol.st_value;
	else if (symbol.st_shndx != SHN_UNDEF)
		slot->function = symbol.st_value;
	return true;
}

int lt_image_each_slot(const struct lt_image *image,
		       int (*visit)(void *context, const struct lt_image_slot *slot), void *context)
{
	Elf_Scn *section = NULL;
	int err = 0;

	while (!err && (section = elf_nextscn(image->elf, section))) {
		struct lt_image_slot slot;
		GElf_Shdr header;
		Elf_Data *data = section_data(section, &header, ELF_T_RELA);
		size_t count = data && header.sh_type == SHT_RELA && (header.sh_flags & SHF_ALLOC)
				       ? data->d_size / sizeof(Elf64_Rela)
				       : 0;
		GElf_Rela raw;

		for (size_t i = 0; i < count && !err; i++)
			if (gelf_getrela(data, (int)i, &raw) && read_slot(image, &raw, &slot))
				err = visit(context, &slot);
	}
	return err;
}

static int keep_slot(void *context, const struct lt_image_slot *slot)
{
	struct slot_table *table = context;

	if (table->count == table->capacity) {
		size_t capacity = table->capacity ? 2 * table->capacity : 256;
		void *grown = capacity > MAX_SLOTS
				      ? NULL
				      : reallocarray(table->slots, capacity, sizeof(*table->slots));

		if (!grown)
			return 1; /* the rest is not known */
		table->slots = grown;
		table->capacity = capacity;
	}
	table->slots[table->count++] = *slot;
	return 0;
}

static int compare_slots(const void *a, const void *b)
{
	const struct lt_image_slot *left = a, *right = b;

	return (left->address > right->address) - (left->address < right->address);
}

bool lt_image_slot_at(const struct lt_image *image, uint64_t address, struct lt_image_slot *slot)
{
	const struct lt_image_slot wanted = { .address = address }, *found;
	struct slot_table *table = image->slots;

	if (!table->made) {
		table->made = true;
		lt_image_each_slot(image, keep_slot, table);
		if (table->count)
			qsort(table->slots, table->count, sizeof(*table->slots), compare_slots);
	}
	found = table->count ? bsearch(&wanted, table->slots, table->count, sizeof(wanted),
				       compare_slots)
			     : NULL;
	if (found)
		*slot = *found;
	return found;
}

bool lt_image_has_interpreter(const struct lt_image *image)
{
	return image->has_interpreter;
}
