// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/code.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/cleanup.h"

#define SEGMENT_BYTES (LT_UNWIND_SEGMENT * sizeof(uint32_t))
#define BLOCK_BYTES   256 /* struct lt_word_block */
#define MAX_WORDS     ((uint32_t)LT_MAX_SEGMENTS * LT_UNWIND_SEGMENT)

/* A run of words that nobody uses.  Sorted by start, never adjacent. */
struct gap {
	uint32_t start, count;
};

struct space {
	struct lt_code_range *ranges; /* two halves; NULL: never used */
	int fd;
	size_t range_count;
	bool used;
};

struct lt_code {
	struct lt_code_maps maps;
	struct space spaces[LT_MAX_SPACES];
	uint64_t *rules;
	uint32_t *segments[LT_MAX_SEGMENTS];
	int segment_fds[LT_MAX_SEGMENTS];
	uint32_t segment_count;
	struct gap *gaps;
	size_t gap_count, gap_capacity;
	uint32_t words_used, rule_count;
};

/* Read and written while programs run: memory of the map itself, no system call. */
static void *map_memory(int fd, size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

#define RANGES_BYTES (2 * LT_MAX_CODE_RANGES * sizeof(struct lt_code_range))
#define RULES_BYTES  (LT_MAX_RULES * sizeof(uint64_t))

/* Of a process whose mappings nobody has looked at yet, such as after exec. */
static const struct lt_code_range anything = {
	.start = 0,
	.end = UINT64_C(1) << 47,
	.source = LT_CODE_PENDING,
};

int lt_code_new(struct lt_code **result, const struct lt_code_maps *maps)
{
	struct lt_code *code = calloc(1, sizeof(*code));
	uint32_t nowhere;
	int err;

	if (!code)
		return -ENOMEM;
	code->maps = *maps;
	code->rules = map_memory(maps->rules_fd, RULES_BYTES);
	err = code->rules == MAP_FAILED ? -errno : lt_code_add_space(code, &nowhere);
	if (err) {
		lt_code_free(code);
		return err;
	}
	code->rules[0] = LT_RULE(LT_CFA_NONE, 0, 0, 0);
	code->rule_count = 1;
	*result = code;
	return 0;
}

void lt_code_free(struct lt_code *code)
{
	if (!code)
		return;
	for (uint32_t i = 0; i < LT_MAX_SPACES && code->spaces[i].ranges; i++) {
		munmap(code->spaces[i].ranges, RANGES_BYTES);
		close(code->spaces[i].fd);
	}
	if (code->rules != MAP_FAILED)
		munmap(code->rules, RULES_BYTES);
	for (uint32_t i = 0; i < code->segment_count; i++) {
		munmap(code->segments[i], SEGMENT_BYTES);
		close(code->segment_fds[i]);
	}
	free(code->gaps);
	free(code);
}

/* Makes room for one more gap at an index. */
static int open_gap(struct lt_code *code, size_t at)
{
	if (code->gap_count == code->gap_capacity) {
		size_t capacity = code->gap_capacity ? 2 * code->gap_capacity : 16;
		struct gap *gaps = reallocarray(code->gaps, capacity, sizeof(*gaps));

		if (!gaps)
			return -ENOMEM;
		code->gaps = gaps;
		code->gap_capacity = capacity;
	}
	memmove(code->gaps + at + 1, code->gaps + at, (code->gap_count - at) * sizeof(*code->gaps));
	code->gap_count++;
	return 0;
}

static void close_gap(struct lt_code *code, size_t at)
{
	code->gap_count--;
	memmove(code->gaps + at, code->gaps + at + 1, (code->gap_count - at) * sizeof(*code->gaps));
}

static int add_gap(struct lt_code *code, uint32_t start, uint32_t count)
{
	size_t at = 0;
	int err;

	while (at < code->gap_count && code->gaps[at].start < start)
		at++;
	if (at > 0 && code->gaps[at - 1].start + code->gaps[at - 1].count == start) {
		code->gaps[--at].count += count;
	} else {
		err = open_gap(code, at);
		if (err)
			return err;
		code->gaps[at] = (struct gap){ start, count };
	}
	if (at + 1 < code->gap_count &&
	    code->gaps[at].start + code->gaps[at].count == code->gaps[at + 1].start) {
		code->gaps[at].count += code->gaps[at + 1].count;
		close_gap(code, at + 1);
	}
	return 0;
}

static int add_segment(struct lt_code *code)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	uint32_t index = code->segment_count;
	_lt_close_ int fd = -1;
	uint32_t *words;
	int err;

	if (index == LT_MAX_SEGMENTS)
		return -E2BIG;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "lt_segment", sizeof(uint32_t), BLOCK_BYTES,
			    SEGMENT_BYTES / BLOCK_BYTES, &options);
	if (fd < 0)
		return -errno;
	words = map_memory(fd, SEGMENT_BYTES);
	if (words == MAP_FAILED)
		return -errno;
	err = bpf_map_update_elem(code->maps.segments_fd, &index, &fd, BPF_ANY) ? -errno : 0;
	if (!err)
		err = add_gap(code, index * LT_UNWIND_SEGMENT, LT_UNWIND_SEGMENT);
	if (err) {
		munmap(words, SEGMENT_BYTES);
		return err;
	}
	code->segments[index] = words;
	code->segment_fds[index] = lt_take_fd(&fd);
	code->segment_count++;
	return 0;
}

/* First fit: tables live long and are few. */
static int take_words(struct lt_code *code, uint32_t count, uint32_t *start)
{
	for (;;) {
		for (size_t i = 0; i < code->gap_count; i++) {
			struct gap *gap = &code->gaps[i];

			if (gap->count < count)
				continue;
			*start = gap->start;
			gap->start += count;
			gap->count -= count;
			if (!gap->count)
				close_gap(code, i);
			code->words_used += count;
			return 0;
		}
		int err = add_segment(code);

		if (err)
			return err;
	}
}

/* The numbers of a table's rules among all.  Linear: hundreds of rules, compared once a file. */
static int number_rules(struct lt_code *code, const struct lt_unwind_table *table,
			uint16_t *numbers)
{
	for (uint32_t i = 0; i < table->rule_count; i++) {
		uint32_t n = 0;

		while (n < code->rule_count && code->rules[n] != table->rules[i])
			n++;
		if (n == LT_MAX_RULES)
			return -E2BIG;
		if (n == code->rule_count)
			code->rules[code->rule_count++] = table->rules[i];
		numbers[i] = (uint16_t)n;
	}
	return 0;
}

int lt_code_place(struct lt_code *code, const struct lt_unwind_table *table, uint32_t *word)
{
	_lt_free_ uint16_t *numbers = calloc(table->rule_count + 1, sizeof(*numbers));
	uint32_t start;
	int err;

	if (!numbers)
		return -ENOMEM;
	if (table->word_count > MAX_WORDS)
		return -E2BIG;
	err = number_rules(code, table, numbers);
	if (!err)
		err = take_words(code, table->word_count, &start);
	if (err)
		return err;
	for (uint32_t i = 0; i < table->word_count; i++) {
		uint32_t value = table->words[i], at = start + i;

		if (i > table->page_count) /* a row, behind the index */
			value = LT_ROW(value >> 16, numbers[LT_ROW_RULE(value)]);
		code->segments[at / LT_UNWIND_SEGMENT][at % LT_UNWIND_SEGMENT] = value;
	}
	*word = start;
	return 0;
}

void lt_code_drop(struct lt_code *code, uint32_t word, uint32_t word_count)
{
	/* Without memory for the gap the words stay unused: a smaller table, nothing worse. */
	if (word_count && add_gap(code, word, word_count) == 0)
		code->words_used -= word_count;
}

static int make_ranges(struct lt_code *code, uint32_t index)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	struct space *space = &code->spaces[index];
	_lt_close_ int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "lt_ranges", sizeof(uint32_t),
					   sizeof(struct lt_code_range), 2 * LT_MAX_CODE_RANGES,
					   &options);
	struct lt_code_range *ranges;

	if (fd < 0)
		return -errno;
	ranges = map_memory(fd, RANGES_BYTES);
	if (ranges == MAP_FAILED)
		return -errno;
	memset(ranges, 0xff, RANGES_BYTES);
	if (bpf_map_update_elem(code->maps.spaces_fd, &index, &fd, BPF_ANY)) {
		int err = -errno;

		munmap(ranges, RANGES_BYTES);
		return err;
	}
	space->ranges = ranges;
	space->fd = lt_take_fd(&fd);
	code->maps.generations[index] = index << LT_SPACE_SHIFT;
	return 0;
}

int lt_code_add_space(struct lt_code *code, uint32_t *result)
{
	uint32_t index = 0;
	int err = 0;

	while (index < LT_MAX_SPACES && code->spaces[index].used)
		index++;
	if (index == LT_MAX_SPACES)
		return -E2BIG;
	if (!code->spaces[index].ranges)
		err = make_ranges(code, index);
	if (err)
		return err;
	code->spaces[index].used = true;
	*result = index;
	return lt_code_set_ranges(code, index, &anything, 1);
}

void lt_code_drop_space(struct lt_code *code, uint32_t space)
{
	lt_code_set_ranges(code, space, NULL, 0);
	code->spaces[space].used = false;
}

int lt_code_assign(struct lt_code *code, uint32_t process, uint32_t space)
{
	if (bpf_map_update_elem(code->maps.process_spaces_fd, &process, &space, BPF_ANY))
		return -errno;
	__atomic_fetch_add(code->maps.spaces_round, 1, __ATOMIC_RELEASE);
	return 0;
}

void lt_code_forget(struct lt_code *code, uint32_t process)
{
	bpf_map_delete_elem(code->maps.process_spaces_fd, &process);
}

int lt_code_set_ranges(struct lt_code *code, uint32_t index, const struct lt_code_range *ranges,
		       size_t count)
{
	struct space *space = &code->spaces[index];
	uint32_t generation = code->maps.generations[index] + 1;
	struct lt_code_range *half;
	size_t kept = count < LT_MAX_CODE_RANGES ? count : LT_MAX_CODE_RANGES;

	if (!space->ranges)
		return -EINVAL;
	generation = index << LT_SPACE_SHIFT | (generation & ((1u << LT_SPACE_SHIFT) - 1));
	half = space->ranges + (generation & 1) * LT_MAX_CODE_RANGES;
	if (kept)
		memcpy(half, ranges, kept * sizeof(*ranges));
	memset(half + kept, 0xff, (LT_MAX_CODE_RANGES - kept) * sizeof(*ranges));
	space->range_count = kept;
	__atomic_store_n(&code->maps.generations[index], generation, __ATOMIC_RELEASE);
	return kept < count ? -E2BIG : 0;
}

void lt_code_usage(const struct lt_code *code, struct lt_code_usage *usage)
{
	*usage = (struct lt_code_usage){
		.words = code->words_used,
		.words_max = MAX_WORDS,
		.rules = code->rule_count,
		.rules_max = LT_MAX_RULES,
		.ranges_max = LT_MAX_CODE_RANGES,
		.spaces_max = LT_MAX_SPACES,
		.bytes = code->segment_count * SEGMENT_BYTES + RULES_BYTES,
	};
	for (uint32_t i = 0; i < LT_MAX_SPACES && code->spaces[i].ranges; i++) {
		usage->bytes += RANGES_BYTES;
		usage->spaces += code->spaces[i].used;
		if (code->spaces[i].range_count > usage->ranges)
			usage->ranges = code->spaces[i].range_count;
	}
}
