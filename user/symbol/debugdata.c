/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbol/debugdata.h"

#include <errno.h>
#include <gelf.h>
#include <lzma.h>
#include <string.h>

#define MAX_IMAGE_BYTES    (64U << 20)
#define MAX_DECODER_MEMORY (96U << 20) /* xz -9 takes 65 MiB to expand (xz(1)) */
#define STEP_BYTES         (256U << 10)

static Elf_Data *find_section(Elf *elf)
{
	GElf_Shdr header;
	size_t names;

	if (elf_getshdrstrndx(elf, &names))
		return NULL;
	for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
		const char *name = gelf_getshdr(section, &header)
					   ? elf_strptr(elf, names, header.sh_name)
					   : NULL;

		if (name && !strcmp(name, ".gnu_debugdata") && header.sh_type == SHT_PROGBITS)
			return header.sh_size <= MAX_IMAGE_BYTES ? elf_rawdata(section, NULL)
								 : NULL;
	}
	return NULL;
}

static int expand(lzma_stream *stream, struct lt_buf *image, uint64_t max_bytes)
{
	lzma_ret status = LZMA_OK;

	while (status == LZMA_OK && image->len <= max_bytes) {
		uint8_t *to = lt_buf_reserve(image, STEP_BYTES);

		if (!to)
			return -ENOMEM;
		stream->next_out = to;
		stream->avail_out = STEP_BYTES;
		status = lzma_code(stream, LZMA_FINISH);
		image->len += STEP_BYTES - stream->avail_out;
	}
	return status == LZMA_STREAM_END && image->len <= max_bytes ? 0 : -ENODATA;
}

int lt_debugdata_read(Elf *elf, struct lt_buf *image, uint64_t *budget_bytes)
{
	uint64_t max_bytes = *budget_bytes < MAX_IMAGE_BYTES ? *budget_bytes : MAX_IMAGE_BYTES;
	const Elf_Data *data = find_section(elf);
	lzma_stream stream = LZMA_STREAM_INIT;
	int error = -ENODATA;

	if (!data || !data->d_buf)
		return -ENODATA;
	stream.next_in = data->d_buf;
	stream.avail_in = data->d_size;
	if (lzma_stream_decoder(&stream, MAX_DECODER_MEMORY, 0) == LZMA_OK)
		error = expand(&stream, image, max_bytes);
	lzma_end(&stream);
	if (error)
		lt_buf_free(image);
	else
		*budget_bytes -= image->len;
	return error;
}
