// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/allgs.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leaktrace/limits.h"
#include "unit/go/fake.h"

static struct fake fake;
static struct lt_go_program *program;

static void start(void)
{
	_lt_buf_ struct lt_buf error = { 0 };

	fake_new(&fake, 24);
	for (uint64_t id = 1; id < 40; id++)
		fake_goroutine(&fake, id, LT_GO_WAITING, 0);
	assert_int_equal(fake_open(&fake, &program, &error), 0);
}

static void stop(void)
{
	lt_go_program_free(program);
	fake_free(&fake);
}

static int find(uint64_t *address)
{
	return lt_go_allgs_find(program, &program->modules[0], &fake.maps, address);
}

/* Where the variables are is what the file says, which may say anything: the search ends. */
static void test_spans(void **state)
{
	struct lt_go_span *bss, good;
	uint64_t address = 7;

	start();
	bss = (struct lt_go_span *)&lt_gofile_info(program->modules[0].file)->module.bss;
	good = *bss;
	bss->end = bss->start - 8;
	assert_int_equal(find(&address), -EBADMSG);
	bss->end = UINT64_MAX - FAKE_BIAS;
	assert_int_equal(find(&address), -EBADMSG);
	bss->start = UINT64_MAX - FAKE_BIAS - 100;
	assert_int_equal(find(&address), -EBADMSG);
	/* Nothing can be read there, up to the last address of a process. */
	bss->start = (1ULL << 47) - FAKE_BIAS - (1 << 10);
	bss->end = (1ULL << 47) - FAKE_BIAS;
	assert_int_equal(find(&address), -EAGAIN);
	bss->start = 0x10000 - FAKE_BIAS;
	bss->end = 0x10000 + (40 << 20) - FAKE_BIAS;
	assert_int_equal(find(&address), -EAGAIN);
	assert_int_equal(address, 7);
	*bss = good;
	assert_int_equal(find(&address), 0);
	assert_int_equal(address, FAKE_ALLGS + FAKE_BIAS);
	stop();
}

/* A large array may lie in several mappings: its first elements tell. */
static void test_long_array(void **state)
{
	uint64_t address = 0;

	start();
	fake.allgs->len = fake.allgs->cap = LT_MAX_GOROUTINES;
	assert_int_equal(find(&address), 0);
	assert_int_equal(address, FAKE_ALLGS + FAKE_BIAS);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_long_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
