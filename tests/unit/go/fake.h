/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A Go runtime inside of the test's own process: a hand-made file, mapped as a loader would, with goroutines
 * and stacks as its version lays them out.
 */
#ifndef LT_TEST_GO_FAKE_H
#define LT_TEST_GO_FAKE_H

#include <fcntl.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "go/allgs.h"
#include "go/program.h"
#include "leaktrace/events.h"
#include "unit/elf/gomake.h"

/* Where the code is mapped; its file offset is 0.  Sanitizers have nothing there. */
#define FAKE_BASE  0x200000000000ULL
#define FAKE_BIAS  (FAKE_BASE + GO_AT_TEXT - GO_TEXT)
#define FAKE_BSS   (GO_DATA + 0x480) /* the file has nothing there */
#define FAKE_ALLGS (FAKE_BSS + 0x10)
#define FAKE_HEAP  (4u << 20)

#define FAKE_CALL (GO_TEXT + 0x10) /* in main.main: GO_FRAME bytes below its return address */
#define FAKE_EXIT (GO_TEXT + GO_EXIT * GO_FUNCTION_SIZE + 1)

struct fake {
	struct go_file file;
	const struct lt_go_layout *layout;
	struct lt_process process;
	struct lt_maps maps;
	uint8_t *data; /* of the page with GO_DATA */
	uint8_t *heap;
	size_t used;
	uint64_t *elements; /* of allgs */
	struct lt_go_slice *allgs;
};

static inline void *fake_allocate(struct fake *fake, size_t len)
{
	void *memory = fake->heap + fake->used;

	fake->used += (len + 15) & ~(size_t)15;
	assert_true(fake->used <= FAKE_HEAP);
	return memory;
}

static inline void *fake_map(uint64_t address, size_t len, int protection, int flags, int fd)
{
	void *memory = mmap((void *)(uintptr_t)address, len, protection,
			    MAP_PRIVATE | MAP_FIXED_NOREPLACE | flags, fd, 0);

	assert_ptr_equal(memory, (void *)(uintptr_t)address);
	return memory;
}

/* The code from a file that can be found by its path: those of memfd cannot. */
static inline void fake_map_file(struct fake *fake)
{
	char path[] = "/tmp/leaktrace-fake-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, fake->file.bytes, sizeof(fake->file.bytes)),
			 sizeof(fake->file.bytes));
	fake_map(FAKE_BASE, 0x1000, PROT_READ | PROT_EXEC, 0, fd);
	close(fd);
	assert_int_equal(lt_process_open(getpid(), &fake->process), 0);
	assert_int_equal(lt_maps_read(&fake->process, &fake->maps), 0);
	fd = lt_maps_open_file(&fake->process, lt_maps_find(&fake->maps, FAKE_BASE));
	assert_true(fd >= 0);
	close(fd);
}

/* As relocated by a loader: bias is added to what are addresses. */
static inline void fake_relocate(struct fake *fake, unsigned int minor)
{
	size_t text = minor == 15 ? 96 : 176;
	static const size_t words[] = { 0, 0, 8 };

	for (size_t i = 0; i < 3; i++) {
		uint64_t *word = (uint64_t *)(fake->data + (GO_MODULE - GO_DATA) + words[i] +
					      (i ? text : 0));

		*word += FAKE_BIAS;
	}
}

static inline void fake_new(struct fake *fake, unsigned int minor)
{
	size_t text = minor == 15 ? 96 : 176;
	uint64_t data = (GO_DATA + FAKE_BIAS) & ~0xfffULL;

	memset(fake, 0, sizeof(*fake));
	fake->layout = lt_go_layout_of(lt_go_layout_of(minor) ? minor : 27);
	go_make_file(&fake->file, minor);
	go_file_sections(&fake->file, true);
	go_file_set(&fake->file, GO_AT_MODULE + text + 48, FAKE_BSS, 8);
	go_file_set(&fake->file, GO_AT_MODULE + text + 56, FAKE_BSS + 0x100, 8);
	fake_map(data, 0x3000, PROT_READ | PROT_WRITE, MAP_ANONYMOUS, -1);
	fake->data = (uint8_t *)(uintptr_t)(GO_DATA + FAKE_BIAS);
	memcpy(fake->data, fake->file.bytes + GO_AT_DATA, 0x480);
	fake_relocate(fake, minor);
	fake->heap = mmap(NULL, FAKE_HEAP, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0);
	assert_ptr_not_equal(fake->heap, MAP_FAILED);
	fake->allgs = (struct lt_go_slice *)(uintptr_t)(FAKE_ALLGS + FAKE_BIAS);
	fake->elements = fake_allocate(fake, 4096 * sizeof(uint64_t));
	fake_map_file(fake);
}

static inline void fake_free(struct fake *fake)
{
	const struct lt_mapping *mapping = lt_maps_find(&fake->maps, FAKE_BASE);

	unlink(mapping->path);
	munmap((void *)FAKE_BASE, 0x1000);
	munmap((void *)(uintptr_t)((uint64_t)(uintptr_t)fake->data & ~0xfffULL), 0x3000);
	munmap(fake->heap, FAKE_HEAP);
	lt_maps_free(&fake->maps);
	lt_process_close(&fake->process);
}

static inline void fake_word(uint8_t *g, uint16_t offset, uint64_t value)
{
	if (offset != LT_GO_NONE)
		memcpy(g + offset, &value, sizeof(value));
}

/* One more, that waits in a call of main.main, which calls itself as often as depth says. */
static inline uint8_t *fake_goroutine(struct fake *fake, uint64_t id, uint32_t status, size_t depth)
{
	const struct lt_go_layout *layout = fake->layout;
	size_t frame = GO_FRAME + 8, stack = (depth + 1) * frame + 512;
	uint8_t *g = fake_allocate(fake, layout->g_bytes), *lo = fake_allocate(fake, stack),
		*sp = lo + 256;

	fake_word(g, layout->g_stack_lo, (uintptr_t)lo);
	fake_word(g, layout->g_stack_hi, (uintptr_t)lo + stack);
	fake_word(g, layout->g_sched_sp, (uintptr_t)sp);
	fake_word(g, layout->g_sched_pc, FAKE_CALL + FAKE_BIAS);
	fake_word(g, layout->g_sched_g, (uintptr_t)g);
	fake_word(g, layout->g_goid, id);
	fake_word(g, layout->g_gopc, FAKE_CALL + FAKE_BIAS);
	fake_word(g, layout->g_startpc, GO_TEXT + FAKE_BIAS);
	fake_word(g, layout->g_parent_goid, 1);
	memcpy(g + layout->g_status, &status, sizeof(status));
	for (size_t i = 0; i <= depth; i++, sp += frame)
		fake_word(sp, GO_FRAME, (i < depth ? FAKE_CALL : FAKE_EXIT) + FAKE_BIAS);
	fake->elements[fake->allgs->len++] = (uintptr_t)g;
	fake->allgs->data = (uintptr_t)fake->elements;
	fake->allgs->cap = 4096;
	return g;
}

/* The mappings as they are now. */
static inline int fake_open(struct fake *fake, struct lt_go_program **program, struct lt_buf *error)
{
	lt_maps_free(&fake->maps);
	assert_int_equal(lt_maps_read(&fake->process, &fake->maps), 0);
	return lt_go_program_open(&fake->process, &fake->maps, program, error);
}

#endif
