/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any file as a module: the first 16 bytes are file offset and step of the lookups, then the file.
 * The same bytes also stand for what .gnu_debugdata expands to: symbols of a file in memory.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "symbol/functions.h"
#include "symbol/resolver.h"

#define BASE    0x7f0000000000ULL
#define LOOKUPS 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_from_memory(const uint8_t *data, size_t size, uint64_t step)
{
	char *image = malloc(size ? size : 1);
	struct lt_functions *functions;
	Elf *elf;

	if (!image)
		abort();
	memcpy(image, data, size);
	elf = elf_memory(image, size);
	if (elf && !lt_functions_load(&functions, &elf, 1)) {
		for (uint64_t i = 0; i < LOOKUPS; i++) {
			const char *name = lt_functions_name(functions, i * step);

			if (name && !strlen(name))
				abort();
		}
		lt_functions_free(functions);
	}
	elf_end(elf);
	free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lt_event_module module = { .start = BASE, .end = UINT64_MAX, .path = "/tmp/fuzz" };
	struct lt_resolver *resolver;
	uint64_t step;
	int fd;

	if (size < 2 * sizeof(uint64_t))
		return 0;
	memcpy(&module.file_offset, data, sizeof(uint64_t));
	memcpy(&step, data + sizeof(uint64_t), sizeof(uint64_t));
	data += 2 * sizeof(uint64_t);
	size -= 2 * sizeof(uint64_t);
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lt_resolver_new(&resolver))
		abort();
	if (lt_resolver_add_module(resolver, &module, fd))
		abort();
	for (uint64_t i = 0; i < LOOKUPS; i++) {
		struct lt_event_symbol symbol;

		if (lt_resolver_lookup(resolver, BASE + i * step, &symbol))
			abort();
		for (uint32_t j = 0; j < symbol.frame_count; j++)
			if (strlen(symbol.frames[j].function) >= LT_MAX_NAME ||
			    strlen(symbol.frames[j].file) >= LT_MAX_NAME ||
			    symbol.frames[j].inlined != (j + 1 < symbol.frame_count))
				abort();
	}
	lt_resolver_free(resolver);
	read_from_memory(data, size, step);
	return 0;
}
