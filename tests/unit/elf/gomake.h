/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small Go tables and files of each form, made by hand, for tests and fuzzers. */
#ifndef LT_TEST_ELF_GOMAKE_H
#define LT_TEST_ELF_GOMAKE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define GO_TEXT     0x401000
#define GO_RODATA   0x500000
#define GO_FUNCDATA GO_RODATA
#define GO_TABLE    (GO_RODATA + 0x100)
#define GO_DATA     0x600000
#define GO_MODULE   (GO_DATA + 0x100)

enum { GO_MAIN, GO_SWITCH, GO_EXIT, GO_WRAPPER, GO_FUNCTIONS };
enum { GO_FUNCTION_SIZE = 0x40, GO_FRAME = 0x18, GO_WRAPPER_ID = 22 };

struct go_bytes {
	uint8_t data[2048];
	size_t len;
};

struct go_table {
	unsigned int format; /* 15, 16, 18 or 20 */
	struct go_bytes bytes, funcdata;
	size_t names, pcs, functions,
		function[GO_FUNCTIONS]; /* offsets, for those who spoil them */
};

static inline size_t go_put(struct go_bytes *bytes, const void *data, size_t len)
{
	size_t at = bytes->len;

	memcpy(bytes->data + at, data, len);
	bytes->len += len;
	return at;
}

static inline size_t go_put_number(struct go_bytes *bytes, uint64_t value, size_t len)
{
	return go_put(bytes, &value, len);
}

static inline size_t go_put_text(struct go_bytes *bytes, const char *text)
{
	return go_put(bytes, text, strlen(text) + 1);
}

static inline void go_align(struct go_bytes *bytes, size_t to)
{
	while (bytes->len % to)
		go_put(bytes, "", 1);
}

static inline void go_set(struct go_bytes *bytes, size_t at, uint64_t value, size_t len)
{
	memcpy(bytes->data + at, &value, len);
}

/* A run of a pc-value table. */
struct go_run {
	uint8_t end;
	int16_t value;
};

static inline void go_put_varint(struct go_bytes *bytes, uint32_t value)
{
	for (; value >= 0x80; value >>= 7)
		go_put_number(bytes, value | 0x80, 1);
	go_put_number(bytes, value, 1);
}

static inline size_t go_put_runs(struct go_bytes *bytes, const struct go_run *runs, size_t count)
{
	size_t at = bytes->len;
	int value = -1;
	unsigned int pc = 0;

	for (size_t i = 0; i < count; i++) {
		int change = runs[i].value - value;

		go_put_varint(bytes, change < 0 ? ~((uint32_t)change << 1) : (uint32_t)change << 1);
		go_put_varint(bytes, runs[i].end - pc);
		value = runs[i].value;
		pc = runs[i].end;
	}
	go_put(bytes, "", 1);
	return at;
}
#define GO_PUT_RUNS(bytes, ...)                                                                    \
	go_put_runs(bytes, (const struct go_run[]){ __VA_ARGS__ },                                 \
		    sizeof((const struct go_run[]){ __VA_ARGS__ }) / sizeof(struct go_run))

static inline size_t go_put_call(struct go_table *table, size_t name, uint32_t parent)
{
	struct go_bytes *funcdata = &table->funcdata;

	if (table->format == 20) {
		go_put_number(funcdata, 0, 4); /* id */
		go_put_number(funcdata, name, 4);
		go_put_number(funcdata, parent, 4);
		return go_put_number(funcdata, 7, 4); /* its first line */
	}
	go_put_number(funcdata, 0xffff, 4); /* index of the caller, id */
	go_put_number(funcdata, 0, 4);      /* file, line of the call */
	go_put_number(funcdata, 0, 4);
	go_put_number(funcdata, name, 4);
	return go_put_number(funcdata, parent, 4);
}

struct go_parts { /* offsets as struct _func has them */
	size_t name[GO_FUNCTIONS], frame, none, files, lines, inlined;
};

static inline void go_put_function(struct go_table *table, const struct go_parts *parts, int index)
{
	static const uint8_t ids[GO_FUNCTIONS] = { 0, 13, 2, GO_WRAPPER_ID };
	static const uint8_t flags[GO_FUNCTIONS] = { 0, 2 | 4, 1 | 4, 0 };
	struct go_bytes *bytes = &table->bytes;
	unsigned int format = table->format, pc_bytes = format < 18 ? 8 : 4;
	uint64_t entry = (uint64_t)index * GO_FUNCTION_SIZE;
	unsigned int funcdata_count = format == 15 ? 5 : 4;

	go_align(bytes, 8);
	table->function[index] = bytes->len;
	go_put_number(bytes, format < 18 ? GO_TEXT + entry : entry, pc_bytes);
	go_put_number(bytes, parts->name[index], 4);
	go_put_number(bytes, 0, 8); /* args, deferreturn */
	go_put_number(bytes, index == GO_EXIT ? parts->none : parts->frame, 4);
	go_put_number(bytes, parts->files, 4);
	go_put_number(bytes, parts->lines, 4);
	go_put_number(bytes, 3, 4); /* npcdata */
	if (format > 15)
		go_put_number(bytes, 1, 4); /* cuOffset */
	if (format == 20)
		go_put_number(bytes, 9, 4); /* startLine */
	go_put_number(bytes, ids[index], 1);
	go_put_number(bytes, format > 15 ? flags[index] : 0, 1);
	go_put_number(bytes, 0, 1);
	go_put_number(bytes, funcdata_count, 1);
	go_put_number(bytes, 0, 8); /* pcdata 0, 1 */
	go_put_number(bytes, index == GO_MAIN ? parts->inlined : 0, 4);
	if (format < 18)
		go_align(bytes, 8);
	for (unsigned int i = 0; i < funcdata_count; i++) {
		bool calls = index == GO_MAIN && i + 1 == funcdata_count;

		if (format < 18)
			go_put_number(bytes, calls ? GO_FUNCDATA : 0, 8);
		else
			go_put_number(bytes, calls ? 0 : UINT32_MAX, 4);
	}
}

/* Runs, strings: before 1.16 all offsets are those in the table, else those in its parts. */
static inline void go_put_parts(struct go_table *table, struct go_parts *parts, size_t header[4])
{
	static const char *const names[GO_FUNCTIONS] = { "main.main", "runtime.systemstack",
							 "runtime.goexit", "main.T.M" };
	struct go_bytes *bytes = &table->bytes;
	size_t base[3], inner[2], file;

	base[0] = header[0] = table->names = go_put_text(bytes, "");
	for (int i = 0; i < GO_FUNCTIONS; i++)
		parts->name[i] = go_put_text(bytes, names[i]);
	inner[0] = go_put_text(bytes, "main.inner[go.shape.int]");
	inner[1] = go_put_text(bytes, "main.leaf");
	go_align(bytes, 4);
	header[1] = go_put_number(bytes, UINT32_MAX,
				  4); /* of each unit: where its files' names are */
	go_put_number(bytes, UINT32_MAX, 4);
	go_put_number(bytes, table->format > 15 ? 1 : 0, 4);
	base[1] = header[2] = go_put_text(bytes, "");
	file = go_put_text(bytes, "/src/a.go");
	go_align(bytes, 4);
	if (table->format == 15) { /* its number, and where its name is */
		header[2] = go_put_number(bytes, 2, 4);
		go_put_number(bytes, file, 4);
	}
	base[2] = header[3] = table->pcs = go_put_text(bytes, "");
	parts->frame = GO_PUT_RUNS(bytes, { 4, 0 }, { 0x3c, GO_FRAME }, { 0x40, 0 });
	parts->none = GO_PUT_RUNS(bytes, { 0x40, 0 });
	parts->files = GO_PUT_RUNS(bytes, { 0x40, 1 });
	parts->lines = GO_PUT_RUNS(bytes, { 0x10, 10 }, { 0x14, 20 }, { 0x18, 300 }, { 0x40, 11 });
	parts->inlined = GO_PUT_RUNS(bytes, { 0x10, -1 }, { 0x14, 0 }, { 0x18, 1 }, { 0x40, -1 });
	if (table->format > 15) {
		for (int i = 0; i < GO_FUNCTIONS; i++)
			parts->name[i] -= base[0];
		inner[0] -= base[0];
		inner[1] -= base[0];
		parts->frame -= base[2];
		parts->none -= base[2];
		parts->files -= base[2];
		parts->lines -= base[2];
		parts->inlined -= base[2];
	}
	go_put_call(table, inner[0], 0x8);  /* inner was inlined into main at + 8 */
	go_put_call(table, inner[1], 0x10); /* leaf into inner at + 16 */
}

static inline void go_put_functab(struct go_table *table)
{
	unsigned int width = table->format < 18 ? 8 : 4;
	uint64_t base = table->format < 18 ? GO_TEXT : 0;
	size_t at = table->functions;

	for (unsigned int i = 0; i <= GO_FUNCTIONS; i++) {
		go_set(&table->bytes, at, base + i * GO_FUNCTION_SIZE, width);
		if (i < GO_FUNCTIONS)
			go_set(&table->bytes, at + width,
			       table->function[i] - (table->format > 15 ? table->functions : 0),
			       width);
		at += 2 * width;
	}
}

/*
 * Four functions of GO_FUNCTION_SIZE bytes.  In main.main, inner is inlined from 0x10 on, and leaf
 * into that from 0x14 to 0x18.
 */
static inline void go_make_table(struct go_table *table, unsigned int format)
{
	static const uint32_t magics[] = {
		[15] = 0xfffffffb, [16] = 0xfffffffa, [18] = 0xfffffff0, [20] = 0xfffffff1
	};
	struct go_bytes *bytes = &table->bytes;
	struct go_parts parts;
	size_t header[4], width = format < 18 ? 8 : 4, at = format < 18 ? 24 : 32;

	*table = (struct go_table){ .format = format };
	go_put_number(bytes, magics[format], 4);
	go_put(bytes, "\0\0\1\10", 4);
	go_put_number(bytes, GO_FUNCTIONS, 8);
	if (format == 15) {
		table->functions = 16;
		bytes->len = 16 + (2 * GO_FUNCTIONS + 1) * width + 8;
	} else {
		bytes->len = at + 5 * 8;
	}
	go_put_parts(table, &parts, header);
	if (format == 15) {
		go_set(bytes, 16 + (2 * GO_FUNCTIONS + 1) * width, header[2], 4);
	} else {
		go_align(bytes, 8);
		table->functions = bytes->len;
		bytes->len += (2 * GO_FUNCTIONS + 1) * width;
		for (int i = 0; i < 4; i++)
			go_set(bytes, at + i * 8, header[i], 8);
		go_set(bytes, at + 32, table->functions, 8);
	}
	for (int i = 0; i < GO_FUNCTIONS; i++)
		go_put_function(table, &parts, i);
	go_put_functab(table);
}

/*
 * A whole file around the table: text, constants (funcdata and table), data (build info,
 * moduledata), without section headers.
 */
enum {
	GO_AT_TEXT = 0x400,
	GO_AT_RODATA = 0x800,
	GO_AT_DATA = 0x1800,
	GO_AT_MODULE = GO_AT_DATA + GO_MODULE - GO_DATA,
	GO_AT_DYNAMIC = GO_AT_DATA + 0x280,
	GO_AT_RELA = GO_AT_DATA + 0x300,
	GO_AT_SECTIONS = 0x2400,
	GO_AT_NAMES = 0x2600,
	GO_FILE_SIZE = 0x2700,
	GO_TEXT_SIZE = GO_FUNCTIONS * GO_FUNCTION_SIZE,
	GO_SEGMENTS = 4,
};

struct go_file {
	uint8_t bytes[GO_FILE_SIZE];
	struct go_table table;
	uint64_t funcdata; /* address */
};

static inline void go_file_set(struct go_file *file, size_t at, uint64_t value, size_t len)
{
	memcpy(file->bytes + at, &value, len);
}

static inline void go_file_build_info(struct go_file *file, const char *version, bool pointers)
{
	uint8_t *info = file->bytes + GO_AT_DATA;
	size_t len = strlen(version);

	memcpy(info, "\xff Go buildinf:\x08\x02", 16);
	info[15] = pointers ? 0 : 2;
	if (!pointers) {
		info[32] = (uint8_t)len;
		memcpy(info + 33, version, len + 1);
		return;
	}
	go_file_set(file, GO_AT_DATA + 16, GO_DATA + 0x40, 8);
	go_file_set(file, GO_AT_DATA + 0x40, GO_DATA + 0x60, 8);
	go_file_set(file, GO_AT_DATA + 0x48, len, 8);
	memcpy(info + 0x60, version, len + 1);
}

static inline void go_file_module(struct go_file *file, unsigned int minor)
{
	const struct go_table *table = &file->table;
	size_t text = minor == 15 ? 96 : 176, gofunc = minor < 18 ? 0 : minor < 20 ? 304 : 320;
	uint64_t end = GO_TABLE + table->bytes.len, data = GO_DATA;

	if (minor > 26)
		gofunc = 344;
	go_file_set(file, GO_AT_MODULE, GO_TABLE, 8);
	if (minor == 15) {
		go_file_set(file, GO_AT_MODULE + 8, table->bytes.len, 8);
	} else {
		go_file_set(file, GO_AT_MODULE + 104, GO_TABLE + table->functions, 8);
		go_file_set(file, GO_AT_MODULE + 112, table->bytes.len - table->functions, 8);
	}
	go_file_set(file, GO_AT_MODULE + text, GO_TEXT, 8);
	go_file_set(file, GO_AT_MODULE + text + 8, GO_TEXT + GO_TEXT_SIZE, 8);
	for (size_t i = 2; i < 10; i++, data += i % 2 ? 0x10 : 0)
		go_file_set(file, GO_AT_MODULE + text + i * 8, data, 8);
	if (!gofunc) /* gcdata, among the same constants */
		go_file_set(file, GO_AT_MODULE + text + 88, GO_RODATA, 8);
	else
		go_file_set(file, GO_AT_MODULE + gofunc, file->funcdata, 8);
	if (minor >= 26)
		go_file_set(file, GO_AT_MODULE + gofunc + 8, end + table->funcdata.len, 8);
}

static inline void go_make_file(struct go_file *file, unsigned int minor)
{
	const struct go_table *table = &file->table;
	size_t behind = GO_TABLE - GO_RODATA;
	char version[16] = "go1.00.3";
	const Elf64_Ehdr header = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = GO_SEGMENTS,
	};
	Elf64_Phdr segments[GO_SEGMENTS] = {
		{ .p_type = PT_LOAD,
		  .p_flags = PF_R | PF_X,
		  .p_offset = GO_AT_TEXT,
		  .p_vaddr = GO_TEXT,
		  .p_filesz = GO_TEXT_SIZE,
		  .p_memsz = GO_TEXT_SIZE },
		{ .p_type = PT_LOAD,
		  .p_flags = PF_R,
		  .p_offset = GO_AT_RODATA,
		  .p_vaddr = GO_RODATA },
		{ .p_type = PT_LOAD,
		  .p_flags = PF_R | PF_W,
		  .p_offset = GO_AT_DATA,
		  .p_vaddr = GO_DATA,
		  .p_filesz = GO_AT_SECTIONS - GO_AT_DATA },
		{ .p_type = PT_NULL,
		  .p_offset = GO_AT_DYNAMIC,
		  .p_vaddr = GO_DATA + GO_AT_DYNAMIC - GO_AT_DATA,
		  .p_filesz = 0x80 },
	};

	memset(file, 0, sizeof(*file));
	go_make_table(&file->table, minor < 16 ? 15 : minor < 20 ? minor & ~1u : 20);
	if (minor >= 26)
		behind += table->bytes.len;
	file->funcdata = minor >= 26 ? GO_RODATA + behind : GO_FUNCDATA;
	segments[1].p_filesz = behind + (minor >= 26 ? table->funcdata.len : table->bytes.len);
	memcpy(file->bytes, &header, sizeof(header));
	memcpy(file->bytes + sizeof(header), segments, sizeof(segments));
	memset(file->bytes + GO_AT_TEXT, 0xcc, GO_TEXT_SIZE);
	memcpy(file->bytes + GO_AT_RODATA + GO_TABLE - GO_RODATA, table->bytes.data,
	       table->bytes.len);
	memcpy(file->bytes + GO_AT_RODATA + file->funcdata - GO_RODATA, table->funcdata.data,
	       table->funcdata.len);
	version[4] = (char)('0' + minor / 10);
	version[5] = (char)('0' + minor % 10);
	go_file_build_info(file, version, minor < 18);
	go_file_module(file, minor);
}

/* All addresses in data become relocations, as external linkers write them: nothing is in place. */
static inline void go_file_relocate(struct go_file *file)
{
	const Elf64_Phdr *segments = (const Elf64_Phdr *)(file->bytes + sizeof(Elf64_Ehdr));
	Elf64_Dyn dynamic[] = { { DT_RELA, { GO_DATA + GO_AT_RELA - GO_AT_DATA } },
				{ DT_RELASZ, { 0 } } };
	size_t to = GO_AT_RELA;

	for (size_t at = GO_AT_DYNAMIC; at > GO_AT_DATA; at -= 8) { /* in no order */
		Elf64_Rela rela = { .r_offset = GO_DATA + at - 8 - GO_AT_DATA,
				    .r_info = R_X86_64_RELATIVE };

		memcpy(&rela.r_addend, file->bytes + at - 8, 8);
		if (rela.r_addend < GO_TEXT || rela.r_addend > GO_DATA + 0x1000)
			continue;
		go_file_set(file, at - 8, 0, 8);
		memcpy(file->bytes + to, &rela, sizeof(rela));
		to += sizeof(rela);
	}
	dynamic[1].d_un.d_val = to - GO_AT_RELA;
	memcpy(file->bytes + GO_AT_DYNAMIC, dynamic, sizeof(dynamic));
	go_file_set(file, (size_t)((const uint8_t *)&segments[3].p_type - file->bytes), PT_DYNAMIC,
		    4);
}

static inline void go_file_sections(struct go_file *file, bool go)
{
	static const char names[] = "\0.gopclntab\0.go.buildinfo";
	const Elf64_Shdr sections[] = {
		{ 0 },
		{ .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_addr = GO_TABLE },
		{ .sh_name = 12, .sh_type = SHT_PROGBITS, .sh_addr = GO_DATA },
		{ .sh_type = SHT_STRTAB, .sh_offset = GO_AT_NAMES, .sh_size = sizeof(names) },
	};

	memcpy(file->bytes + GO_AT_SECTIONS, sections, sizeof(sections));
	if (go)
		memcpy(file->bytes + GO_AT_NAMES, names, sizeof(names));
	go_file_set(file, offsetof(Elf64_Ehdr, e_shoff), GO_AT_SECTIONS, 8);
	go_file_set(file, offsetof(Elf64_Ehdr, e_shentsize), sizeof(Elf64_Shdr), 2);
	go_file_set(file, offsetof(Elf64_Ehdr, e_shnum), 4, 2);
	go_file_set(file, offsetof(Elf64_Ehdr, e_shstrndx), 3, 2);
}

#endif
