// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/heap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "go/buckets.h"
#include "go/globals.h"
#include "go/remote.h"

#define COUNTS_ONLY_FROM 27           /* runtime/mprof.go: memRecordCycle has no bytes any more */
#define TRIED            32           /* buckets of what may be the list */
#define MAX_RATE         (1ULL << 40) /* beyond this it is no such variable */

static int read_word(const struct lt_go_program *program, uint64_t address, uint64_t *word)
{
	return lt_remote_read(program->process->pid, address, word, sizeof(*word));
}

/* What both functions refer to of the module's variables; 0: nothing, or more than one. */
static uint64_t common_global(const struct lt_go_module *module, const char *one, const char *other)
{
	struct lt_go_references a = {}, b = {};
	uint64_t found = 0;
	size_t count = 0;

	if (!lt_go_references_of(module, one, &a) && !lt_go_references_of(module, other, &b))
		for (size_t i = 0; i < a.count; i++) {
			if (!lt_go_global(module, a.addresses[i]) ||
			    !lt_go_references_have(&b, a.addresses[i]))
				continue;
			found = a.addresses[i];
			count++;
		}
	lt_go_references_free(&a);
	lt_go_references_free(&b);
	return count == 1 ? found : 0;
}

/*
 * Both take the next moment to sample from it, by nextSample(), which is part of them (runtime/malloc.go,
 * mcache.go), unless the program was built without inlining.
 */
static uint64_t find_rate(const struct lt_go_module *module)
{
	uint64_t rate = common_global(module, "runtime.profilealloc", "runtime.allocmcache");

	return rate ? rate : common_global(module, "runtime.nextSample", "runtime.nextSample");
}

/* New buckets are put at the head of their list there (runtime/mprof.go). */
static void find_heads(const struct lt_go_module *module, struct lt_go_heap_places *places)
{
	struct lt_go_references references = {};

	if (!lt_go_references_of(module, "runtime.stkbucket", &references))
		for (size_t i = 0; i < references.count && places->head_count < LT_MAX_GO_HEADS;
		     i++)
			if (references.addresses[i] % 8 == 0 &&
			    lt_go_global(module, references.addresses[i]))
				places->heads[places->head_count++] = references.addresses[i];
	lt_go_references_free(&references);
}

static int read_list(const struct lt_go_program *program, uint64_t variable, size_t max,
		     struct lt_go_heap *heap)
{
	struct lt_go_bucket_list list = {
		.pid = program->process->pid,
		.counts_only = program->heap->counts_only,
		.max = max,
	};
	int rc = read_word(program, variable, &list.head);

	if (!rc)
		rc = read_word(program, program->heap->rate, &list.rate);
	if (!rc && (!list.head || list.rate > MAX_RATE))
		rc = -ENOENT;
	return rc ? rc : lt_go_buckets_read(&list, heap);
}

/* Is there a list of the heap's buckets, all with stacks of Go code? */
static bool is_head(const struct lt_go_program *program, uint64_t variable)
{
	struct lt_go_heap heap;
	bool code = true;

	if (read_list(program, variable, TRIED, &heap))
		return false;
	for (size_t i = 0; i < heap.count; i++)
		for (size_t j = 0; j < heap.buckets[i].frame_count; j++)
			code &= lt_go_program_module(program, heap.buckets[i].frames[j]) != NULL;
	lt_go_heap_free(&heap);
	return code;
}

/* As soon as a bucket is there, one variable shows itself as the head. */
static void settle_head(const struct lt_go_program *program)
{
	struct lt_go_heap_places *places = program->heap;
	uint64_t found = 0;
	size_t count = 0;

	for (size_t i = 0; i < places->head_count; i++)
		if (is_head(program, places->heads[i])) {
			found = places->heads[i];
			count++;
		}
	if (count == 1) {
		places->heads[0] = found;
		places->head_count = 1;
	}
}

static enum lt_go_heap_state state_of(const struct lt_go_program *program)
{
	uint64_t rate;

	if (!program->heap->rate || !program->heap->head_count ||
	    read_word(program, program->heap->rate, &rate) || rate > MAX_RATE)
		return LT_GO_HEAP_UNKNOWN;
	return rate ? LT_GO_HEAP_OK : LT_GO_HEAP_OFF;
}

enum lt_go_heap_state lt_go_heap_find(struct lt_go_program *program)
{
	if (!program->heap) {
		struct lt_go_heap_places *places = calloc(1, sizeof(*places));

		if (!places)
			return LT_GO_HEAP_UNKNOWN;
		places->rate = find_rate(&program->modules[0]);
		find_heads(&program->modules[0], places);
		places->counts_only = lt_gofile_info(program->modules[0].file)->minor >=
				      COUNTS_ONLY_FROM;
		program->heap = places;
	}
	return state_of(program);
}

void lt_go_heap_places_free(struct lt_go_heap_places *places)
{
	free(places);
}

int lt_go_heap_read(struct lt_go_program *program, struct lt_go_heap *heap)
{
	struct lt_go_heap_places *places = program->heap;

	if (lt_process_check(program->process))
		return -ESRCH;
	if (!places || !places->rate)
		return -ENOENT;
	if (places->head_count > 1)
		settle_head(program);
	if (places->head_count != 1)
		return -ENOENT;
	return read_list(program, places->heads[0], LT_MAX_GO_BUCKETS, heap);
}

int lt_go_heap_set_rate(struct lt_go_program *program, uint64_t expected, uint64_t rate)
{
	uint64_t before, address = program->heap ? program->heap->rate : 0;
	struct iovec from = { &rate, sizeof(rate) };
	struct iovec to = { (void *)(uintptr_t)address, sizeof(rate) }; // NOLINT: the target's
	int rc;

	if (!address || rate > MAX_RATE || address % sizeof(rate))
		return address ? -EINVAL : -ENOENT;
	if (lt_process_check(program->process))
		return -ESRCH;
	rc = read_word(program, address, &before);
	if (rc)
		return rc;
	if (before != expected)
		return -EEXIST;
	if (process_vm_writev(program->process->pid, &from, 1, &to, 1, 0) != sizeof(rate))
		return errno ? -errno : -EFAULT;
	return 0;
}
