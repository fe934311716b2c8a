// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "go/buckets.h"

#define RATE 524288

/* runtime/mprof.go's bucket, its stack of two and its memRecord, in this process. */
struct bucket {
	uint64_t next, allnext, type, hash, size, depth, stack[2];
	uint64_t cycles[4][4]; /* active, future: allocs, frees, alloc_bytes, free_bytes */
};

struct counts_only_bucket { /* as in 1.27 */
	uint64_t next, allnext, type, hash, size, depth, stack[2], cycles[4][2];
};

static struct lt_go_bucket_list list_of(const void *head)
{
	return (struct lt_go_bucket_list){
		.pid = getpid(),
		.head = (uintptr_t)head,
		.rate = RATE,
		.max = LT_MAX_GO_BUCKETS,
	};
}

static struct bucket bucket_of(uint64_t leaf, uint64_t size, uint64_t allocs, uint64_t frees)
{
	return (struct bucket){
		.type = 1,
		.size = size,
		.depth = 2,
		.stack = { leaf, 0x402000 },
		.cycles = { { allocs, frees, allocs * size, frees * size } },
	};
}

static void assert_near(double value, double expected, double tolerance)
{
	assert_true(fabs(value - expected) <= tolerance);
}

static const struct lt_go_bucket *find(const struct lt_go_heap *heap, uint64_t leaf)
{
	for (size_t i = 0; i < heap->count; i++)
		if (heap->buckets[i].frames[0] == leaf)
			return &heap->buckets[i];
	return NULL;
}

static void puts_sizes_of_one_stack_together(void **state)
{
	struct bucket buckets[] = { bucket_of(0x401000, 512, 10, 4), bucket_of(0x401008, 64, 1, 1),
				    bucket_of(0x401000, 1 << 20, 3, 1) };
	struct lt_go_bucket_list list = list_of(buckets);
	const struct lt_go_bucket *bucket;
	struct lt_go_heap heap;
	double small = 1 / (1 - exp(-512.0 / RATE)), large = 1 / (1 - exp(-2.0));

	buckets[0].allnext = (uintptr_t)&buckets[1];
	buckets[1].allnext = (uintptr_t)&buckets[2];
	buckets[0].cycles[2][0] = 1000; /* not published */
	assert_int_equal(lt_go_buckets_read(&list, &heap), 0);
	assert_int_equal(heap.count, 2);
	assert_int_equal(heap.rate, RATE);
	assert_false(heap.cut);
	bucket = find(&heap, 0x401000);
	assert_non_null(bucket);
	assert_int_equal(bucket->frame_count, 2);
	assert_int_equal(bucket->frames[1], 0x402000);
	assert_int_equal(bucket->sampled_allocs, 13);
	assert_int_equal(bucket->sampled_frees, 5);
	assert_near(bucket->allocs, 10 * small + 3 * large, 1e-6);
	assert_near(bucket->frees, 4 * small + large, 1e-6);
	assert_near(bucket->alloc_bytes, 5120 * small + 3 * 1048576.0 * large, 1e-3);
	assert_near(bucket->free_bytes, 2048 * small + 1048576.0 * large, 1e-3);
	assert_true(bucket->hash != find(&heap, 0x401008)->hash);
	lt_go_heap_free(&heap);
	assert_null(heap.buckets);
}

static void gives_a_stack_the_same_hash_each_time(void **state)
{
	struct bucket buckets[] = { bucket_of(0x401000, 512, 1, 0),
				    bucket_of(0x401008, 512, 1, 0) };
	struct lt_go_bucket_list list = list_of(buckets);
	struct lt_go_heap first, second;

	buckets[0].allnext = (uintptr_t)&buckets[1];
	assert_int_equal(lt_go_buckets_read(&list, &first), 0);
	list = list_of(&buckets[1]);
	assert_int_equal(lt_go_buckets_read(&list, &second), 0);
	assert_int_equal(first.count, 2);
	assert_int_equal(second.count, 1);
	assert_int_equal(find(&first, 0x401008)->hash, second.buckets[0].hash);
	lt_go_heap_free(&first);
	lt_go_heap_free(&second);
}

static void multiplies_where_no_bytes_are_counted(void **state)
{
	struct counts_only_bucket bucket = { .type = 1,
					     .size = 96,
					     .depth = 2,
					     .stack = { 0x401000, 0x402000 },
					     .cycles = { { 7, 2 }, { 50, 50 } } };
	struct lt_go_bucket_list list = list_of(&bucket);
	struct lt_go_heap heap;

	list.counts_only = true;
	list.rate = 1;
	assert_int_equal(lt_go_buckets_read(&list, &heap), 0);
	assert_int_equal(heap.buckets[0].sampled_allocs, 7);
	assert_near(heap.buckets[0].alloc_bytes, 7 * 96, 0);
	assert_near(heap.buckets[0].free_bytes, 2 * 96, 0);
	lt_go_heap_free(&heap);
}

static void tells_all_before_a_collection(void **state)
{
	struct bucket buckets[] = { bucket_of(0x401000, 100, 0, 0),
				    bucket_of(0x401008, 100, 0, 0) };
	struct lt_go_bucket_list list = list_of(buckets);
	struct lt_go_heap heap;

	buckets[0].allnext = (uintptr_t)&buckets[1];
	buckets[0].cycles[1][0] = 2;
	buckets[0].cycles[1][2] = 200;
	buckets[0].cycles[3][0] = 1;
	buckets[0].cycles[3][2] = 100;
	list.rate = 1;
	assert_int_equal(lt_go_buckets_read(&list, &heap), 0);
	assert_int_equal(find(&heap, 0x401000)->sampled_allocs, 3);
	assert_near(find(&heap, 0x401000)->alloc_bytes, 300, 0);
	assert_int_equal(find(&heap, 0x401008)->sampled_allocs, 0);
	lt_go_heap_free(&heap);
}

static void grows_with_the_list(void **state)
{
	enum { COUNT = 5000 };
	static struct bucket buckets[COUNT];
	struct lt_go_bucket_list list = list_of(buckets);
	struct lt_go_heap heap;

	for (size_t i = 0; i < COUNT; i++) {
		buckets[i] = bucket_of(0x401000 + i / 2, 8 + i % 2, 1, 0);
		buckets[i].allnext = i + 1 < COUNT ? (uintptr_t)&buckets[i + 1] : 0;
	}
	assert_int_equal(lt_go_buckets_read(&list, &heap), 0);
	assert_int_equal(heap.count, COUNT / 2);
	assert_false(heap.cut);
	for (size_t i = 0; i < heap.count; i++) {
		assert_int_equal(heap.buckets[i].frames[0], 0x401000 + i);
		assert_int_equal(heap.buckets[i].sampled_allocs, 2);
	}
	lt_go_heap_free(&heap);
	list.max = 10;
	assert_int_equal(lt_go_buckets_read(&list, &heap), 0);
	assert_int_equal(heap.count, 5);
	assert_true(heap.cut);
	lt_go_heap_free(&heap);
}

static void ends_a_list_that_goes_in_a_circle(void **state)
{
	struct bucket buckets[3];

	for (size_t back = 0; back < 3; back++) {
		struct lt_go_bucket_list list = list_of(buckets);
		struct lt_go_heap heap;

		for (size_t i = 0; i < 3; i++) {
			buckets[i] = bucket_of(0x401000 + i, 8, 1, 0);
			buckets[i].allnext = (uintptr_t)&buckets[i < 2 ? i + 1 : back];
		}
		assert_int_equal(lt_go_buckets_read(&list, &heap), 0);
		assert_int_equal(heap.count, 3);
		assert_true(heap.cut);
		assert_true(heap.buckets[2].sampled_allocs < 10);
		lt_go_heap_free(&heap);
	}
}

static void ends_where_the_list_does_not_hold_up(void **state)
{
	const struct bucket bad[] = {
		{ .type = 2, .depth = 2 },          /* of another profile */
		{ .type = 1, .depth = 0 },          /* no stack */
		{ .type = 1, .depth = 1025 },       /* deeper than any */
		{ .type = 1, .depth = UINT64_MAX }, /* so that sums overflow */
	};
	const uint64_t nowhere[] = { 8, 1, UINT64_MAX - 7, 1ULL << 63, (uintptr_t)&bad[0] + 4 };
	struct bucket buckets[2] = { bucket_of(0x401000, 8, 1, 0) };
	struct lt_go_bucket_list list = list_of(buckets);
	struct lt_go_heap heap;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad) + sizeof(nowhere) / 8; i++) {
		bool broken = i < sizeof(bad) / sizeof(*bad);

		buckets[1] = broken ? bad[i] : buckets[0];
		buckets[0].allnext = broken ? (uintptr_t)&buckets[1]
					    : nowhere[i - sizeof(bad) / sizeof(*bad)];
		list.head = (uintptr_t)buckets;
		assert_int_equal(lt_go_buckets_read(&list, &heap), 0);
		assert_int_equal(heap.count, 1);
		assert_true(heap.cut);
		lt_go_heap_free(&heap);
		list.head = buckets[0].allnext;
		assert_int_equal(lt_go_buckets_read(&list, &heap), -ENOENT);
	}
}

/* No sum is more than an integer holds, whatever the target counts. */
static void clamps_what_cannot_be(void **state)
{
	struct bucket buckets[] = { bucket_of(0x401000, 1, UINT64_MAX, UINT64_MAX),
				    bucket_of(0x401000, UINT64_MAX, 1, UINT64_MAX) };
	struct lt_go_bucket_list list = list_of(buckets);
	struct lt_go_heap heap;

	buckets[0].allnext = (uintptr_t)&buckets[1];
	list.rate = 1ULL << 40;
	assert_int_equal(lt_go_buckets_read(&list, &heap), 0);
	assert_int_equal(heap.count, 1);
	assert_near(heap.buckets[0].allocs, 0x1p62, 0);
	assert_near(heap.buckets[0].frees, 0x1p62, 0);
	assert_near(heap.buckets[0].alloc_bytes, 0x1p62, 0);
	assert_near(heap.buckets[0].free_bytes, 0x1p62, 0);
	lt_go_heap_free(&heap);
}

/* Stacks chosen so that their hashes meet in a table of this size: no time is lost on them. */
static void ends_where_hashes_are_made_to_meet(void **state)
{
	enum { COUNT = 400 };
	static struct bucket buckets[COUNT];
	struct lt_go_bucket_list list = list_of(buckets);
	struct lt_go_heap heap;
	uint64_t leaf = 0x401000;

	for (size_t i = 0; i < COUNT; leaf++) {
		buckets[i] = bucket_of(leaf, 8, 1, 0);
		if (lt_mix64(lt_fnv1a(LT_FNV_SEED, buckets[i].stack, 16)) % 1024)
			continue;
		buckets[i].allnext = i + 1 < COUNT ? (uintptr_t)&buckets[i + 1] : 0;
		i++;
	}
	assert_int_equal(lt_go_buckets_read(&list, &heap), 0);
	assert_int_equal(heap.count, 256);
	assert_true(heap.cut);
	lt_go_heap_free(&heap);
}

static void scales_as_pprof_does(void **state)
{
	assert_near(lt_go_sample_scale(64, 1), 1, 0);
	assert_near(lt_go_sample_scale(64, 0), 1, 0);
	assert_near(lt_go_sample_scale(0, RATE), 1, 0);
	assert_near(lt_go_sample_scale(RATE, RATE), 1.5819767068693265, 1e-12);
	assert_near(lt_go_sample_scale(16, RATE), 32768.5, 0.01);
	assert_near(lt_go_sample_scale(1 << 30, RATE), 1, 1e-12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_sizes_of_one_stack_together),
		cmocka_unit_test(gives_a_stack_the_same_hash_each_time),
		cmocka_unit_test(multiplies_where_no_bytes_are_counted),
		cmocka_unit_test(tells_all_before_a_collection),
		cmocka_unit_test(grows_with_the_list),
		cmocka_unit_test(ends_a_list_that_goes_in_a_circle),
		cmocka_unit_test(ends_where_the_list_does_not_hold_up),
		cmocka_unit_test(clamps_what_cannot_be),
		cmocka_unit_test(ends_where_hashes_are_made_to_meet),
		cmocka_unit_test(scales_as_pprof_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
