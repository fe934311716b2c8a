// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/go/fake.h"

#define HOUR_NS (3600ULL * 1000000000)

static struct fake fake;
static struct lt_go_program *program;
static struct lt_go_pcs pcs;
static struct lt_go_batch *batch;

static void start(size_t goroutines)
{
	_lt_buf_ struct lt_buf error = { 0 };

	fake_new(&fake, 22);
	for (uint64_t id = 1; id <= goroutines; id++)
		fake_goroutine(&fake, id, LT_GO_WAITING, 2);
	assert_int_equal(fake_open(&fake, &program, &error), 0);
	batch = calloc(1, sizeof(*batch));
	assert_non_null(batch);
	pcs = (struct lt_go_pcs){ .program = program };
	batch->program = program;
	batch->pcs = &pcs;
}

static void stop(void)
{
	free(batch);
	lt_go_pcs_free(&pcs);
	lt_go_program_free(program);
	fake_free(&fake);
}

/* Once the time is over, goroutines are known, but no stack is read any more. */
static void test_late(void **state)
{
	start(10);
	lt_go_batch_allow(batch, HOUR_NS);
	assert_false(lt_go_batch_late(batch));
	assert_int_equal(lt_go_batch_look(batch, fake.elements, 10), 0);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(batch->looks[i].unwind.state, LT_GO_UNWIND_WHOLE);
	lt_go_batch_allow(batch, 0);
	assert_true(lt_go_batch_late(batch));
	batch->calls = 0;
	assert_int_equal(lt_go_batch_look(batch, fake.elements, 10), 0);
	for (size_t i = 0; i < 10; i++) {
		assert_true(batch->looks[i].valid);
		assert_int_equal(batch->looks[i].g.goid, i + 1);
		assert_int_equal(batch->looks[i].unwind.state, LT_GO_UNWIND_LOST);
		assert_int_equal(batch->looks[i].unwind.count, 0);
	}
	assert_int_equal(batch->calls, 2); /* the structs, twice */
	stop();
}

/* Structs that cannot be read end it after few calls; those before them are right. */
static void test_holes(void **state)
{
	uint64_t addresses[LT_GO_BATCH];

	start(10);
	for (size_t i = 0; i < LT_GO_BATCH; i++)
		addresses[i] = i < 10 ? fake.elements[i] : 1ULL << 46 | i << 12;
	lt_go_batch_allow(batch, HOUR_NS);
	assert_int_equal(lt_go_batch_look(batch, addresses, LT_GO_BATCH), 0);
	for (size_t i = 0; i < LT_GO_BATCH; i++)
		assert_int_equal(batch->looks[i].valid, i < 10);
	assert_true(batch->calls < 100);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
