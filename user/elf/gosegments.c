// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf/gosegments.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CHUNK           65536
#define MAX_WINDOW      64
#define MAX_RELOCATIONS (4u << 20) /* large programs have some 100,000 */
#define MAX_DYNAMIC     4096       /* entries */
#define MAX_NOTES       64
/* The kernel loads no file with more than 64 KiB of program headers (fs/binfmt_elf.c). */
#define MAX_HEADERS (65536 / sizeof(Elf64_Phdr))
#define MAX_BYTES   (4ULL << 30) /* of all segments: code models up to medium stay below 2 GiB */
#define MAX_OVERLAP 4096         /* in the file: a page in which one ends and the next one begins */

bool lt_gosegments_file(const struct lt_gosegments *segments, uint64_t offset, void *to, size_t len)
{
	return offset <= INT64_MAX - len &&
	       pread(segments->fd, to, len, (off_t)offset) == (ssize_t)len;
}

static bool is_native(const Elf64_Ehdr *header)
{
	return !memcmp(header->e_ident, ELFMAG, SELFMAG) &&
	       header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == ELFDATA2LSB &&
	       header->e_machine == EM_X86_64 &&
	       (header->e_type == ET_DYN || header->e_type == ET_EXEC) &&
	       header->e_phentsize == sizeof(Elf64_Phdr);
}

/*
 * Addresses ascend (System V ABI, Program Header), and no linker puts a byte into two segments: of a
 * file that does, a search would read the same bytes again and again.
 */
static bool is_sound(const struct lt_gosegments *segments, const Elf64_Phdr *load)
{
	uint64_t size = load->p_filesz, last = 0;

	if (segments->count)
		last = segments->segments[segments->count - 1].address +
		       segments->segments[segments->count - 1].file_size;
	if (load->p_vaddr > UINT64_MAX - size || load->p_offset > INT64_MAX - size ||
	    load->p_vaddr < last)
		return false;
	for (size_t i = 0; i < segments->count; i++) {
		const struct lt_gosegment *other = &segments->segments[i];
		uint64_t start = other->offset, end = start + other->file_size;

		if (start < load->p_offset)
			start = load->p_offset;
		if (end > load->p_offset + size)
			end = load->p_offset + size;
		if (start < end && end - start > MAX_OVERLAP)
			return false;
	}
	return true;
}

static int add_segments(struct lt_gosegments *segments)
{
	uint64_t left = MAX_BYTES;

	for (size_t i = 0; i < segments->header.e_phnum; i++) {
		const Elf64_Phdr *load = &segments->headers[i];

		if (load->p_type != PT_LOAD)
			continue;
		if (load->p_filesz > left || !is_sound(segments, load))
			return -ENODATA;
		left -= load->p_filesz;
		segments->segments[segments->count++] = (struct lt_gosegment){
			load->p_vaddr, load->p_offset, load->p_filesz, load->p_flags
		};
	}
	return 0;
}

int lt_gosegments_open(struct lt_gosegments *segments, int fd)
{
	Elf64_Ehdr *header = &segments->header;
	size_t bytes;

	*segments = (struct lt_gosegments){ .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0) };
	if (segments->fd < 0)
		return -errno;
	if (!lt_gosegments_file(segments, 0, header, sizeof(*header)) || !is_native(header) ||
	    header->e_phnum > MAX_HEADERS)
		return -ENODATA;
	bytes = header->e_phnum * sizeof(*segments->headers);
	segments->headers = malloc(bytes + 1);
	segments->segments = calloc(header->e_phnum + 1u, sizeof(*segments->segments));
	if (!segments->headers || !segments->segments)
		return -ENOMEM;
	if (!lt_gosegments_file(segments, header->e_phoff, segments->headers, bytes))
		return -ENODATA;
	return add_segments(segments);
}

void lt_gosegments_close(struct lt_gosegments *segments)
{
	free(segments->headers);
	free(segments->segments);
	free(segments->relocations);
	lt_close_p(&segments->fd);
	*segments = (struct lt_gosegments){ .fd = -1 };
}

const struct lt_gosegment *lt_gosegments_at(const struct lt_gosegments *segments, uint64_t address)
{
	for (size_t i = 0; i < segments->count; i++)
		if (address - segments->segments[i].address < segments->segments[i].file_size)
			return &segments->segments[i];
	return NULL;
}

/* The first relocation that reaches behind the address. */
static size_t first_relocation(const struct lt_gosegments *segments, uint64_t address)
{
	size_t low = 0, high = segments->relocation_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (segments->relocations[middle].address + sizeof(uint64_t) <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void apply(const struct lt_gosegments *segments, uint64_t start, uint8_t *bytes, size_t len)
{
	for (size_t i = first_relocation(segments, start); i < segments->relocation_count; i++) {
		const struct lt_gorelocation *relocation = &segments->relocations[i];

		if (relocation->address >= start + len)
			break;
		for (unsigned int k = 0; k < sizeof(relocation->value); k++) {
			uint64_t at = relocation->address + k - start;

			if (at < len)
				bytes[at] = (uint8_t)(relocation->value >> 8 * k);
		}
	}
}

long lt_gosegments_read(const struct lt_gosegments *segments, uint64_t address, void *to,
			size_t len)
{
	const struct lt_gosegment *segment = lt_gosegments_at(segments, address);
	uint64_t left;
	ssize_t got;

	if (!segment)
		return -EFAULT;
	left = segment->file_size - (address - segment->address);
	got = pread(segments->fd, to, len < left ? len : left,
		    (off_t)(address - segment->address + segment->offset));
	if (got < 0)
		return -errno;
	apply(segments, address, to, (size_t)got);
	return got;
}

static int search_segment(const struct lt_gosegments *segments, const struct lt_gosegment *segment,
			  uint64_t most, size_t step, size_t len, uint8_t *chunk,
			  bool (*visit)(void *context, uint64_t address, const uint8_t *bytes),
			  void *context)
{
	uint64_t size = segment->file_size < most ? segment->file_size : most;
	uint64_t end = segment->address + size, address;

	if (segment->address > UINT64_MAX - step)
		return 0;
	address = (segment->address + step - 1) / step * step;
	for (; address < end; address += CHUNK) {
		long got = lt_gosegments_read(segments, address, chunk, CHUNK + MAX_WINDOW);

		for (size_t at = 0; at < CHUNK && (long)(at + len) <= got; at += step)
			if (visit(context, address + at, chunk + at))
				return 1;
		if (got < CHUNK || address > UINT64_MAX - CHUNK)
			break;
	}
	return 0;
}

int lt_gosegments_search(const struct lt_gosegments *segments, uint32_t flags, uint64_t most,
			 size_t step, size_t len,
			 bool (*visit)(void *context, uint64_t address, const uint8_t *bytes),
			 void *context)
{
	_lt_free_ uint8_t *chunk = malloc(CHUNK + MAX_WINDOW);
	int found = 0;

	if (!chunk)
		return -ENOMEM;
	for (size_t i = 0; !found && i < segments->count; i++)
		if ((segments->segments[i].flags & flags) == flags)
			found = search_segment(segments, &segments->segments[i], most, step, len,
					       chunk, visit, context);
	return found;
}

bool lt_gosegments_note(const struct lt_gosegments *segments, const char *author)
{
	struct {
		Elf64_Nhdr header;
		char author[8];
	} note;
	size_t len = strlen(author) + 1, looked = 0;

	for (size_t i = 0; i < segments->header.e_phnum; i++) {
		const Elf64_Phdr *header = &segments->headers[i];

		for (uint64_t at = 0, step;
		     header->p_type == PT_NOTE && at < header->p_filesz && looked++ < MAX_NOTES;
		     at += step) {
			if (!lt_gosegments_file(segments, header->p_offset + at, &note,
						sizeof(note)))
				break;
			if (note.header.n_namesz >= len && len <= sizeof(note.author) &&
			    !memcmp(note.author, author, len))
				return true;
			step = sizeof(note.header) + ((note.header.n_namesz + 3ULL) & ~3ULL) +
			       ((note.header.n_descsz + 3ULL) & ~3ULL);
		}
	}
	return false;
}

struct rela_table {
	uint64_t address, bytes;
};

static int read_dynamic(const struct lt_gosegments *segments, struct rela_table *table)
{
	_lt_free_ Elf64_Dyn *entries = calloc(MAX_DYNAMIC, sizeof(*entries));
	long got = 0;

	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < segments->header.e_phnum; i++)
		if (segments->headers[i].p_type == PT_DYNAMIC)
			got = lt_gosegments_read(segments, segments->headers[i].p_vaddr, entries,
						 MAX_DYNAMIC * sizeof(*entries));
	for (long i = 0; i < got / (long)sizeof(*entries) && entries[i].d_tag != DT_NULL; i++) {
		if (entries[i].d_tag == DT_RELA)
			table->address = entries[i].d_un.d_ptr;
		else if (entries[i].d_tag == DT_RELASZ)
			table->bytes = entries[i].d_un.d_val;
	}
	return 0;
}

static int by_address(const void *a, const void *b)
{
	const struct lt_gorelocation *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

static bool is_relative(const Elf64_Rela *rela)
{
	return ELF64_R_TYPE(rela->r_info) == R_X86_64_RELATIVE &&
	       rela->r_offset <= UINT64_MAX - sizeof(uint64_t);
}

/* By address, one for each. */
static int take_relative(struct lt_gosegments *segments, const Elf64_Rela *relas, size_t len)
{
	struct lt_gorelocation *made, *fitting;
	size_t count = 0, kept = 0;

	for (size_t i = 0; i < len; i++)
		count += is_relative(&relas[i]);
	if (!count)
		return 0;
	made = calloc(count, sizeof(*made));
	if (!made)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++)
		if (is_relative(&relas[i]))
			made[kept++] = (struct lt_gorelocation){ relas[i].r_offset,
								 (uint64_t)relas[i].r_addend };
	qsort(made, count, sizeof(*made), by_address);
	kept = 1;
	for (size_t i = 1; i < count; i++)
		if (made[i].address != made[kept - 1].address)
			made[kept++] = made[i];
	fitting = reallocarray(made, kept, sizeof(*made));
	segments->relocations = fitting ? fitting : made;
	segments->relocation_count = kept;
	return 0;
}

/* Those of DT_RELR have what they add to in place, which is all there is with bias 0. */
int lt_gosegments_relocate(struct lt_gosegments *segments)
{
	_lt_free_ Elf64_Rela *relas = NULL;
	struct rela_table table = { 0, 0 };
	long got;
	int err = read_dynamic(segments, &table);
	const struct lt_gosegment *segment = lt_gosegments_at(segments, table.address);

	if (err || !table.bytes || !segment)
		return err;
	if (table.bytes > segment->file_size)
		table.bytes = segment->file_size;
	if (table.bytes / sizeof(*relas) > MAX_RELOCATIONS)
		return -E2BIG;
	relas = malloc(table.bytes);
	if (!relas)
		return -ENOMEM;
	got = lt_gosegments_read(segments, table.address, relas, table.bytes);
	return take_relative(segments, relas, got > 0 ? (size_t)got / sizeof(*relas) : 0);
}

size_t lt_gosegments_memory(const struct lt_gosegments *segments)
{
	return segments->relocation_count * sizeof(*segments->relocations) +
	       segments->header.e_phnum * (sizeof(Elf64_Phdr) + sizeof(struct lt_gosegment));
}
