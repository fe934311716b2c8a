// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf/gofile.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "elf/gosegments.h"
#include "leaktrace/limits.h"

#define MAX_TABLES     4 /* what looks like a pclntab but has no moduledata is passed over */
#define MAX_NAMES      (1 << 20) /* bytes of section names */
#define MAX_CANDIDATES 4096      /* words that may begin a moduledata */
#define MODULE_BYTES   360       /* of moduledata, as far as it is read */
#define BUILDINFO_IN   (8 << 20) /* linkers put it in front of a segment */
#define BUILDINFO      "\xff Go buildinf:"
#define BUILDINFO_LEN  14

struct lt_gofile {
	struct lt_gosegments segments;
	struct lt_gofile_info info;
	struct lt_gopclntab table;
	struct lt_go_span funcdata_span; /* as moduledata says; end 0: it does not */
	uint8_t *pclntab, *funcdata;     /* owned */
	size_t funcdata_size;
};

/* What section headers say; 0: nothing. */
struct hints {
	bool sections, go;
	uint64_t buildinfo, pclntab;
};

static const struct {
	const char *name;
	size_t field; /* of struct hints; 0: none */
} known_sections[] = {
	{ ".go.buildinfo", offsetof(struct hints, buildinfo) },
	{ ".gopclntab", offsetof(struct hints, pclntab) },
	{ ".data.rel.ro.gopclntab", offsetof(struct hints, pclntab) },
	{ ".note.go.buildid", 0 },
};
#define KNOWN_SECTIONS (sizeof(known_sections) / sizeof(known_sections[0]))

static void note_section(struct hints *hints, const char *names, size_t len,
			 const Elf64_Shdr *section)
{
	for (size_t i = 0; i < KNOWN_SECTIONS; i++) {
		size_t wanted = strlen(known_sections[i].name) + 1;

		if (section->sh_name >= len || len - section->sh_name < wanted ||
		    memcmp(names + section->sh_name, known_sections[i].name, wanted) != 0)
			continue;
		hints->go = true;
		if (known_sections[i].field)
			memcpy((char *)hints + known_sections[i].field, &section->sh_addr,
			       sizeof(section->sh_addr));
	}
}

/* Headers may be missing or wrong: then there are none. */
static int read_sections(const struct lt_gosegments *segments, struct hints *hints)
{
	const Elf64_Ehdr *header = &segments->header;
	_lt_free_ Elf64_Shdr *sections = NULL;
	_lt_free_ char *names = NULL;
	size_t bytes = header->e_shnum * sizeof(*sections), len;

	if (header->e_shentsize != sizeof(*sections) || header->e_shstrndx >= header->e_shnum)
		return 0;
	sections = malloc(bytes);
	if (!sections)
		return -ENOMEM;
	if (!lt_gosegments_file(segments, header->e_shoff, sections, bytes))
		return 0;
	len = sections[header->e_shstrndx].sh_size;
	if (len > MAX_NAMES)
		return 0;
	names = malloc(len + 1);
	if (!names)
		return -ENOMEM;
	if (!lt_gosegments_file(segments, sections[header->e_shstrndx].sh_offset, names, len))
		return 0;
	hints->sections = true;
	for (size_t i = 0; i < header->e_shnum; i++)
		note_section(hints, names, len, &sections[i]);
	return 0;
}

static bool is_buildinfo(void *context, uint64_t address, const uint8_t *bytes)
{
	uint64_t *found = context;

	if (memcmp(bytes, BUILDINFO, BUILDINFO_LEN) != 0)
		return false;
	*found = address;
	return true;
}

/* 0, or -ENODATA: nothing speaks for Go. */
static int detect(const struct lt_gosegments *segments, struct hints *hints)
{
	int err = read_sections(segments, hints);

	if (err)
		return err;
	if (!hints->sections) {
		err = lt_gosegments_search(segments, PF_W, BUILDINFO_IN, 16, BUILDINFO_LEN,
					   is_buildinfo, &hints->buildinfo);
		if (err < 0)
			return err;
		hints->go = err == 1 || lt_gosegments_note(segments, "Go");
	}
	return hints->go ? 0 : -ENODATA;
}

static bool read_all(const struct lt_gofile *file, uint64_t address, void *to, size_t len)
{
	return lt_gosegments_read(&file->segments, address, to, len) == (long)len;
}

/* debug/buildinfo/buildinfo.go: readRawBuildInfo() */
static void read_version(struct lt_gofile *file, uint64_t address)
{
	struct {
		uint8_t magic[BUILDINFO_LEN], pointer_bytes, flags;
		uint64_t version; /* address of a Go string: address, length */
		uint64_t modules;
		uint8_t text[1 + sizeof(file->info.version)];
	} head;
	uint64_t string[2];
	char *version = file->info.version, *found;
	unsigned long minor;

	memset(&head, 0, sizeof(head));
	if (!address || lt_gosegments_read(&file->segments, address, &head, sizeof(head)) < 32 ||
	    memcmp(head.magic, BUILDINFO, BUILDINFO_LEN) != 0)
		return;
	if (head.flags & 2) {
		/* A length of more than 127 is no version. */
		if (head.text[0] < sizeof(file->info.version))
			memcpy(version, head.text + 1, head.text[0]);
	} else if (!(head.flags & 1) && head.pointer_bytes == 8 &&
		   read_all(file, head.version, string, sizeof(string)) &&
		   string[1] < sizeof(file->info.version)) {
		if (!read_all(file, string[0], version, string[1]))
			version[0] = '\0';
	}
	for (char *c = version; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	found = strstr(version, "go1.");
	minor = found ? strtoul(found + 4, NULL, 10) : 0;
	file->info.minor = minor < 1000 ? (unsigned int)minor : 0;
}

/* runtime/symtab.go: moduledata.  What follows text is in the same order in all of them. */
static const struct module_form {
	uint32_t magic;
	uint16_t format;
	uint16_t pclntab; /* the slice whose end is that of the table */
	uint16_t text, gofunc;
	unsigned int minor_first, minor_last;
} module_forms[] = {
	{ 0xfffffffb, 15, 0, 96, 0, 15, 15 },
	{ 0xfffffffa, 16, 104, 176, 0, 16, 17 },
	{ 0xfffffff0, 18, 104, 176, 304, 18, 19 },
	{ 0xfffffff1, 20, 104, 176, 320, 20, UINT32_MAX },
};
#define MODULE_FORMS (sizeof(module_forms) / sizeof(module_forms[0]))

static uint64_t word(const uint8_t *module, size_t offset)
{
	uint64_t value;

	memcpy(&value, module + offset, sizeof(value));
	return value;
}

static struct lt_go_span span(const uint8_t *module, size_t offset)
{
	return (struct lt_go_span){ word(module, offset), word(module, offset + 8) };
}

#define GCDATA 88 /* of a module, behind text, up to 1.19 */

/*
 * Up to 1.17 funcdata are told by address: those of the segment that has gcdata, too, which the
 * linker puts there for the same reasons.  Up to 1.25 they lie in front of the table among other
 * constants; since then between it and runtime.epclntab, which is the next word.  1.27 moved both.
 */
static struct lt_go_span find_funcdata(const struct module_form *form, const uint8_t *module,
				       unsigned int minor, uint64_t table_end)
{
	static const uint16_t places[] = { 320, 344 };

	if (form->format == 20 && (!minor || minor >= 26)) {
		for (size_t i = 0; i < 2; i++) {
			struct lt_go_span found = span(module, places[i]);

			if (table_end <= found.start && found.start <= found.end &&
			    found.end - table_end <= LT_MAX_GO_TABLE)
				return found;
		}
		if (minor)
			return (struct lt_go_span){ 0, 0 };
	}
	return (struct lt_go_span){ word(module, form->gofunc ? form->gofunc : form->text + GCDATA),
				    0 };
}

struct search {
	struct lt_gofile *file;
	const struct module_form *form;
	uint64_t pclntab; /* wanted, then what there is to be tried */
	uint64_t tables[MAX_TABLES];
	size_t count, candidates;
	bool too_large;
};

/* A word that is the address of the table: does it begin a moduledata? */
static bool is_module(void *context, uint64_t address, const uint8_t *bytes)
{
	struct search *search = context;
	const struct module_form *form = search->form;
	struct lt_go_moduledata module = { .address = address, .pclntab = search->pclntab };
	const struct lt_gosegment *code;
	uint8_t raw[MODULE_BYTES];
	uint64_t skipped;

	if (word(bytes, 0) != search->pclntab)
		return false;
	if (++search->candidates > MAX_CANDIDATES)
		return true;
	if (!read_all(search->file, address, raw, sizeof(raw)))
		return false;
	module.text = span(raw, form->text);
	code = lt_gosegments_at(&search->file->segments, module.text.start);
	if (!code || !(code->flags & PF_X) || module.text.end <= module.text.start ||
	    module.text.end - code->address > code->file_size)
		return false;
	skipped = word(raw, form->pclntab) - search->pclntab;
	module.pclntab_size = skipped + word(raw, form->pclntab + 8);
	if (skipped > LT_MAX_GO_TABLE || module.pclntab_size < skipped)
		return false;
	search->too_large |= module.pclntab_size > LT_MAX_GO_TABLE;
	module.noptrdata = span(raw, form->text + 16);
	module.data = span(raw, form->text + 32);
	module.bss = span(raw, form->text + 48);
	module.noptrbss = span(raw, form->text + 64);
	search->file->funcdata_span = find_funcdata(form, raw, search->file->info.minor,
						    search->pclntab + module.pclntab_size);
	module.gofunc = form->gofunc ? search->file->funcdata_span.start : 0;
	search->file->info.module = module;
	return true;
}

static const struct module_form *form_of(const uint8_t *header)
{
	static const uint8_t rest[] = { 0, 0, 1, 8 }; /* padding, quantum, bytes of a pointer */
	uint32_t magic;

	memcpy(&magic, header, sizeof(magic));
	for (size_t i = 0; i < MODULE_FORMS; i++)
		if (module_forms[i].magic == magic && !memcmp(header + 4, rest, sizeof(rest)))
			return &module_forms[i];
	return NULL;
}

static bool is_table(void *context, uint64_t address, const uint8_t *bytes)
{
	struct search *search = context;

	if (form_of(bytes))
		search->tables[search->count++] = address;
	return search->count == MAX_TABLES;
}

/* 1: the module whose table is at that address is known; 0: there is none; -ENOTSUP: too many may be. */
static int try_table(struct search *search, uint64_t pclntab)
{
	struct lt_gofile *file = search->file;
	uint8_t header[8];
	int found;

	if (!pclntab || !read_all(file, pclntab, header, sizeof(header)))
		return 0;
	search->pclntab = pclntab;
	search->form = form_of(header);
	if (!search->form)
		return 0;
	found = lt_gosegments_search(&file->segments, PF_W, UINT64_MAX, 8, 8, is_module, search);
	return search->candidates > MAX_CANDIDATES ? -ENOTSUP : found;
}

static int find_module(struct lt_gofile *file, const struct hints *hints, const char **reason)
{
	struct search search = { .file = file };
	int found = try_table(&search, hints->pclntab);

	*reason = "its function table (pclntab) was not found or is of an unknown form";
	if (!found) {
		found = lt_gosegments_search(&file->segments, 0, UINT64_MAX, 8, 8, is_table,
					     &search);
		if (found > 0)
			found = 0;
	}
	for (size_t i = 0; !found && i < search.count; i++)
		found = try_table(&search, search.tables[i]);
	if (found < 0)
		return found;
	if (search.too_large)
		return -E2BIG;
	if (!found)
		return -ENOTSUP;
	*reason = "it was built by a Go older than 1.15";
	if (file->info.minor && file->info.minor < module_forms[0].minor_first)
		return -ENOTSUP;
	/* Of a toolchain between two versions: by the table alone. */
	if (file->info.minor < search.form->minor_first ||
	    file->info.minor > search.form->minor_last)
		file->info.minor = 0;
	return 0;
}

/* The bytes [start, end) as loaded.  *bytes is to be freed. */
static int load(const struct lt_gofile *file, uint64_t start, uint64_t end, uint8_t **bytes)
{
	const struct lt_gosegment *segment = lt_gosegments_at(&file->segments, start);
	_lt_free_ uint8_t *loaded = NULL;

	if (!segment || end - segment->address > segment->file_size || end <= start)
		return -EBADMSG;
	if (end - start > LT_MAX_GO_TABLE)
		return -E2BIG;
	loaded = malloc(end - start);
	if (!loaded)
		return -ENOMEM;
	if (!read_all(file, start, loaded, end - start))
		return -EBADMSG;
	*bytes = lt_take_ptr(loaded);
	return 0;
}

/* Without funcdata nothing is expanded, which is no error. */
static int load_funcdata(struct lt_gofile *file, struct lt_gopclntab_source *source)
{
	const struct lt_go_moduledata *module = &file->info.module;
	uint64_t start = file->funcdata_span.start, end = file->funcdata_span.end;
	const struct lt_gosegment *segment = lt_gosegments_at(&file->segments, start);
	int err;

	if (!segment)
		return 0;
	if (!module->gofunc)
		start = segment->address;
	if (!end)
		end = segment->address + segment->file_size;
	if (start < module->pclntab && module->pclntab < end)
		end = module->pclntab;
	err = load(file, start, end, &file->funcdata);
	if (err)
		return err == -ENOMEM ? err : 0;
	file->funcdata_size = end - start;
	source->funcdata = file->funcdata;
	source->funcdata_size = file->funcdata_size;
	source->funcdata_address = start;
	return 0;
}

/* As runtime/symtab.go: funcNameForPrint() tells names: "f[go.shape.int]" is "f[...]". */
static void shorten_names(struct lt_gofile *file)
{
	char *name = (char *)file->pclntab + file->table.names;
	char *const end = (char *)file->pclntab + file->info.module.pclntab_size;
	size_t len;

	for (; name < end && name < (char *)file->pclntab + file->table.cus; name += len + 1) {
		char *open, *close;

		len = strnlen(name, (size_t)(end - name));
		open = memchr(name, '[', len);
		close = open ? memrchr(open, ']', len - (size_t)(open - name)) : NULL;
		if (!close || close - open < 4)
			continue;
		memcpy(open + 1, "...", 3);
		memmove(open + 4, close, len - (size_t)(close - name));
		memset(open + 4 + (len - (size_t)(close - name)), 0, (size_t)(close - open) - 4);
	}
}

static int load_table(struct lt_gofile *file, const char **reason)
{
	const struct lt_go_moduledata *module = &file->info.module;
	struct lt_gopclntab_source source = {
		.size = module->pclntab_size,
		.text = module->text.start,
		.minor = file->info.minor,
	};
	int err = load(file, module->pclntab, module->pclntab + module->pclntab_size,
		       &file->pclntab);

	if (!err)
		err = load_funcdata(file, &source);
	source.bytes = file->pclntab;
	if (!err)
		err = lt_gopclntab_open(&file->table, &source);
	*reason = "its function table (pclntab) does not hold up";
	if (err)
		return err == -EBADMSG ? -ENOTSUP : err;
	if (file->table.format == 20)
		shorten_names(file);
	return 0;
}

static int open_file(struct lt_gofile *file, int fd, const char **reason)
{
	struct hints hints = { 0 };
	int err = lt_gosegments_open(&file->segments, fd);

	if (!err)
		err = detect(&file->segments, &hints);
	if (!err)
		err = lt_gosegments_relocate(&file->segments);
	if (err)
		return err;
	read_version(file, hints.buildinfo);
	err = find_module(file, &hints, reason);
	return err ? err : load_table(file, reason);
}

int lt_gofile_open(struct lt_gofile **result, int fd, const char **reason)
{
	struct lt_gofile *file = calloc(1, sizeof(*file));
	const char *text = NULL;
	int err;

	if (!file)
		return -ENOMEM;
	err = open_file(file, fd, &text);
	if (err) {
		if (reason && err == -ENOTSUP)
			*reason = text;
		lt_gofile_close(file);
		return err;
	}
	*result = file;
	return 0;
}

bool lt_gofile_present(int fd)
{
	struct lt_gosegments segments = { .fd = -1 };
	struct hints hints = { 0 };
	int err = lt_gosegments_open(&segments, fd);

	if (!err)
		err = detect(&segments, &hints);
	lt_gosegments_close(&segments);
	return !err;
}

void lt_gofile_close(struct lt_gofile *file)
{
	if (!file)
		return;
	lt_gosegments_close(&file->segments);
	free(file->pclntab);
	free(file->funcdata);
	free(file);
}

const struct lt_gofile_info *lt_gofile_info(const struct lt_gofile *file)
{
	return &file->info;
}

const struct lt_gopclntab *lt_gofile_pclntab(const struct lt_gofile *file)
{
	return &file->table;
}

long lt_gofile_read(const struct lt_gofile *file, uint64_t address, void *to, size_t len)
{
	return lt_gosegments_read(&file->segments, address, to, len);
}

bool lt_gofile_offset_of(const struct lt_gofile *file, uint64_t address, uint64_t *offset)
{
	const struct lt_gosegment *segment = lt_gosegments_at(&file->segments, address);

	if (segment)
		*offset = segment->offset + (address - segment->address);
	return segment != NULL;
}

size_t lt_gofile_memory(const struct lt_gofile *file)
{
	return sizeof(*file) + file->info.module.pclntab_size + file->funcdata_size +
	       lt_gosegments_memory(&file->segments);
}
