/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The BPF side's unwinder as native functions: stack_identify(), stack_walk(), stack_recall().
 *
 * What libbpf's headers and the kernel give to it is given here: maps are plain memory, user memory
 * is a list of regions, the kernel's list of return probes is a list of the test.  So sanitizers
 * and fuzzers see the very source that the kernel runs.  Include in one file of a program.
 */
#ifndef LT_BPF_NATIVE_H
#define LT_BPF_NATIVE_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Instead of <bpf/bpf_helpers.h>, <bpf/bpf_tracing.h> and <bpf/bpf_core_read.h>. */
#define __BPF_HELPERS__
#define __BPF_TRACING_H__
#define __BPF_CORE_READ_H__

#define SEC(name)
#define __uint(name, value)   int(*name)[value]
#define __type(name, value)   __typeof__(value) *name
#define __array(name, value)  __typeof__(value) *name[]
#define __weak                __attribute__((weak))
#define preserve_access_index /* an attribute of the BPF target alone */
/* BPF may read words at any address, as x86 may: LT_STACK_CHUNK is read so. */
#undef __always_inline
#define __always_inline inline __attribute__((no_sanitize("alignment")))

#define PT_REGS_IP(regs) ((regs)->rip)
#define PT_REGS_SP(regs) ((regs)->rsp)
#define PT_REGS_FP(regs) ((regs)->rbp)

/* A read through NULL gives 0, as the kernel's does. */
#define CORE_READ_2(from, a)    ((from) ? (from)->a : 0)
#define CORE_READ_3(from, a, b) ((from) && (from)->a ? (from)->a->b : 0)
#define BPF_CORE_READ(from, ...)                                                                   \
	CORE_READ_PICK(from, __VA_ARGS__, CORE_READ_3, CORE_READ_2)(from, __VA_ARGS__)
#define CORE_READ_PICK(from, a, b, pick, ...) pick

static void *bpf_map_lookup_elem(void *map, const void *key);
static long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags);
static long bpf_probe_read_user(void *to, __u32 size, const void *from);
static __u64 bpf_get_current_task(void);

/* Never made: common.bpf.h says what it is there for. */
static inline void bpf_tail_call(void *ctx, const void *map, __u32 index)
{
}

#define NATIVE_TID 7

static inline __u64 bpf_get_current_pid_tgid(void)
{
	return (__u64)NATIVE_TID << 32 | NATIVE_TID;
}

static inline __u64 bpf_ktime_get_ns(void)
{
	return 0;
}

/* lt_rings holds nothing, so that these are never called. */
static inline __u64 bpf_ringbuf_query(void *ring, __u64 flags)
{
	abort();
}

static inline void *bpf_ringbuf_reserve(void *ring, __u64 size, __u64 flags)
{
	abort();
}

static inline void bpf_ringbuf_submit(void *record, __u64 flags)
{
	abort();
}

static inline long bpf_ringbuf_output(void *ring, void *data, __u64 size, __u64 flags)
{
	abort();
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* BPF's global functions */
#ifdef __clang__
#pragma GCC diagnostic ignored "-Wgnu-variable-sized-type-not-at-end"
#endif
/* Read-only there, but here for each test to set. */
#define lt_config lt_config_unused
#include "../../bpf/common.bpf.h"
#undef lt_config
static struct lt_bpf_config lt_config;
#include "../../bpf/stack.bpf.h"
/* Of the one space that there is. */
#define lt_code_generation lt_code_generations[0]
#pragma GCC diagnostic pop

/* Readable memory of the target. */
struct native_region {
	__u64 address, size;
	const void *bytes;
};

#define NATIVE_REGIONS 16
#define NATIVE_BIRTHS  8

static struct {
	struct lt_thread *thread; /* on the heap: what overruns it is seen */
	struct lt_code_range ranges[2 * LT_MAX_CODE_RANGES];
	struct lt_word_block *segments[LT_MAX_SEGMENTS];
	__u64 rules[LT_MAX_RULES];
	struct lt_slot rule_cache[LT_RULE_SLOTS];
	struct lt_slot memo[LT_MEMO_SLOTS];
	__u64 sent[LT_STACK_SLOTS];
	struct lt_go_birth_key born[NATIVE_BIRTHS];
	struct lt_go_birth births[NATIVE_BIRTHS];
	__u32 birth_count;
	struct native_region regions[NATIVE_REGIONS];
	__u32 region_count;
	bool live;             /* this process is the target: its own memory is read */
	void (*on_read)(void); /* called before each read of user memory */
	__u64 faults;          /* reads that failed */
	struct task_struct task;
	struct uprobe_task utask;
} native;

static inline __u64 bpf_get_current_task(void)
{
	return (__u64)(uintptr_t)&native.task;
}

static inline void *native_element(void *elements, size_t size, __u32 count, __u32 index)
{
	return index < count ? (char *)elements + (size_t)index * size : NULL;
}

#define NATIVE_ARRAY(map, array)                                                                   \
	{                                                                                          \
		&(map), (array), sizeof((array)[0]), sizeof(array) / sizeof((array)[0])            \
	}

static void *native_birth(const void *key)
{
	for (__u32 i = 0; i < native.birth_count; i++)
		if (!memcmp(&native.born[i], key, sizeof(native.born[i])))
			return &native.births[i];
	return NULL;
}

static void *bpf_map_lookup_elem(void *map, const void *key)
{
	const struct {
		void *map, *elements;
		size_t size;
		__u32 count;
	} arrays[] = {
		NATIVE_ARRAY(lt_unwind_rules, native.rules),
		NATIVE_ARRAY(lt_rule_cache, native.rule_cache),
		NATIVE_ARRAY(lt_memo, native.memo),
		NATIVE_ARRAY(lt_stacks_sent, native.sent),
	};
	__u32 index;

	if (map == &lt_go_births)
		return native_birth(key);
	memcpy(&index, key, sizeof(index));
	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
		if (map == arrays[i].map)
			return native_element(arrays[i].elements, arrays[i].size, arrays[i].count,
					      index);
	if (map == &lt_threads)
		return index == NATIVE_TID ? native.thread : NULL;
	if (map == &lt_code_spaces) /* there is one space, by whatever number */
		return native.ranges;
	if (map == native.ranges)
		return native_element(map, sizeof(native.ranges[0]), 2 * LT_MAX_CODE_RANGES, index);
	if (map == &lt_unwind_segments) /* an inner map is the memory of its blocks */
		return index < LT_MAX_SEGMENTS ? native.segments[index] : NULL;
	for (__u32 i = 0; i < LT_MAX_SEGMENTS; i++)
		if (map == native.segments[i])
			return native_element(map, sizeof(struct lt_word_block),
					      LT_UNWIND_SEGMENT / BLOCK_WORDS, index);
	return NULL;
}

static inline long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags)
{
	return -1;
}

/* Fills with zeros what it cannot read, as the kernel does. */
static long bpf_probe_read_user(void *to, __u32 size, const void *from)
{
	struct iovec local = { to, size }, remote = { (void *)from, size };
	__u64 address = (uintptr_t)from;

	if (native.on_read)
		native.on_read();
	/* Not memcpy(): a stack under AddressSanitizer has bytes that no program may touch. */
	if (native.live && process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size)
		return 0;
	for (__u32 i = 0; i < native.region_count; i++) {
		const struct native_region *region = &native.regions[i];
		__u64 offset = address - region->address;

		if (offset < region->size && size <= region->size - offset) {
			memcpy(to, (const char *)region->bytes + offset, size);
			return 0;
		}
	}
	native.faults++;
	memset(to, 0, size);
	return -1;
}

/* No code, no memory, nothing remembered. */
static inline void native_reset(void)
{
	free(native.thread);
	native.thread = calloc(1, sizeof(*native.thread));
	if (!native.thread)
		abort();
	memset(native.rule_cache, 0, sizeof(native.rule_cache));
	memset(native.memo, 0, sizeof(native.memo));
	memset(native.sent, 0, sizeof(native.sent));
	memset(lt_walk_ends, 0, sizeof(lt_walk_ends));
	for (size_t i = 0; i < 2 * LT_MAX_CODE_RANGES; i++)
		native.ranges[i] = (struct lt_code_range){ .start = ~0ULL, .end = ~0ULL };
	native.region_count = 0;
	native.birth_count = 0;
	native.on_read = NULL;
	native.live = false;
	native.faults = 0;
	native.task.utask = NULL;
	native.utask.return_instances = NULL;
	lt_code_generation = 0;
	lt_config = (struct lt_bpf_config){ .max_frames = LT_MAX_FRAMES };
}

static inline void native_free(void)
{
	free(native.thread);
	native.thread = NULL;
	for (size_t i = 0; i < LT_MAX_SEGMENTS; i++) {
		free(native.segments[i]);
		native.segments[i] = NULL;
	}
}

static inline void native_region(__u64 address, __u64 size, const void *bytes)
{
	if (native.region_count == NATIVE_REGIONS)
		abort();
	native.regions[native.region_count++] = (struct native_region){ address, size, bytes };
}

static inline void native_set_word(__u32 number, __u32 word)
{
	struct lt_word_block **segment = &native.segments[number / LT_UNWIND_SEGMENT];
	__u32 rest = number % LT_UNWIND_SEGMENT;

	if (!*segment)
		*segment = calloc(LT_UNWIND_SEGMENT / BLOCK_WORDS, sizeof(**segment));
	if (!*segment)
		abort();
	(*segment)[rest / BLOCK_WORDS].words[rest % BLOCK_WORDS] = word;
}

#endif
