// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/program.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unit/go/fake.h"

static struct fake fake;

static int open_it(struct lt_buf *error)
{
	struct lt_go_program *program = NULL;
	int err = fake_open(&fake, &program, error);

	assert_int_equal(program != NULL, !err);
	assert_int_equal(error->len != 0, err == -ENOTSUP);
	lt_go_program_free(program);
	return err;
}

static int try_it(void)
{
	_lt_buf_ struct lt_buf error = { 0 };

	return open_it(&error);
}

static void test_found(void **state)
{
	for (unsigned int minor = 15; minor <= 27; minor++) {
		_lt_buf_ struct lt_buf error = { 0 };
		struct lt_go_program *program = NULL;
		struct lt_go_function function;
		char version[16];

		if (!lt_go_layout_of(minor))
			continue;
		fake_new(&fake, minor);
		for (uint64_t id = 1; id < 40; id++)
			fake_goroutine(&fake, id, LT_GO_WAITING, 2);
		assert_int_equal(fake_open(&fake, &program, &error), 0);
		snprintf(version, sizeof(version), "go1.%u.3", minor);
		assert_string_equal(program->version, version);
		assert_int_equal(program->allgs, FAKE_ALLGS + FAKE_BIAS);
		assert_ptr_equal(program->layout, fake.layout);
		assert_int_equal(program->module_count, 1);
		assert_int_equal(program->modules[0].bias, FAKE_BIAS);
		assert_ptr_equal(lt_go_program_module(program, GO_TEXT + FAKE_BIAS),
				 &program->modules[0]);
		assert_null(lt_go_program_module(program, GO_TEXT));
		assert_true(lt_go_program_function(program, FAKE_EXIT + FAKE_BIAS, &function));
		assert_string_equal(function.name, "runtime.goexit");
		assert_false(lt_go_program_function(program, FAKE_BIAS, &function));
		assert_int_equal(lt_go_program_update(program, &fake.maps), 0);
		assert_int_equal(program->module_count, 1);
		assert_true(lt_go_present(&fake.process, &fake.maps));
		lt_go_program_free(program);
		fake_free(&fake);
	}
}

static void test_none(void **state)
{
	_lt_buf_ struct lt_buf error = { 0 };
	struct lt_process process;
	struct lt_maps maps;
	struct lt_go_program *program = NULL;

	assert_int_equal(lt_process_open(getpid(), &process), 0);
	assert_int_equal(lt_maps_read(&process, &maps), 0);
	assert_int_equal(lt_go_program_open(&process, &maps, &program, &error), -ENOENT);
	assert_int_equal(error.len, 0);
	assert_false(lt_go_present(&process, &maps));
	lt_maps_free(&maps);
	lt_process_close(&process);
}

/* Not relocated, or relocated but without a goroutine. */
static void test_not_started(void **state)
{
	uint64_t *word;

	fake_new(&fake, 22);
	word = (uint64_t *)(fake.data + (GO_MODULE - GO_DATA));
	assert_int_equal(try_it(), -EAGAIN);
	fake_goroutine(&fake, 1, LT_GO_RUNNABLE, 0);
	*word -= FAKE_BIAS;
	assert_int_equal(try_it(), -EAGAIN);
	*word = 0;
	assert_int_equal(try_it(), -EAGAIN);
	*word = GO_TABLE + FAKE_BIAS;
	assert_int_equal(try_it(), 0);
	*word = 77;
	assert_int_equal(try_it(), -ENOTSUP);
	fake_free(&fake);
}

static void test_unknown_version(void **state)
{
	static const unsigned int minors[] = { 17, 18, 28, 29 };

	for (size_t i = 0; i < 4; i++) {
		_lt_buf_ struct lt_buf error = { 0 };
		char version[16];

		fake_new(&fake, minors[i]);
		fake_goroutine(&fake, 1, LT_GO_WAITING, 0);
		assert_int_equal(open_it(&error), -ENOTSUP);
		snprintf(version, sizeof(version), "go1.%u.3 ", minors[i]);
		assert_non_null(strstr(error.data, version));
		assert_non_null(strstr(error.data, "newer leaktrace"));
		fake_free(&fake);
	}
}

/* Goroutines are there, but not as the version that the file tells of has them. */
static void test_other_layout(void **state)
{
	_lt_buf_ struct lt_buf error = { 0 };

	fake_new(&fake, 22);
	fake.layout = lt_go_layout_of(23);
	fake_goroutine(&fake, 1, LT_GO_WAITING, 0);
	fake_goroutine(&fake, 2, LT_GO_WAITING, 0);
	assert_int_equal(open_it(&error), -ENOTSUP);
	assert_non_null(strstr(error.data, "go1.22.3"));
	fake_free(&fake);
}

/* The GC's copy of the slice is not taken for it; where the two are equal, neither is. */
static void test_copy_of_the_gc(void **state)
{
	_lt_buf_ struct lt_buf error = { 0 };
	struct lt_go_program *program = NULL;
	struct lt_go_slice *copy;

	fake_new(&fake, 22);
	copy = (struct lt_go_slice *)(uintptr_t)(FAKE_ALLGS + FAKE_BIAS + 0x40);
	for (uint64_t id = 1; id < 20; id++)
		fake_goroutine(&fake, id, LT_GO_WAITING, 0);
	*copy = *fake.allgs;
	copy->cap = copy->len;
	assert_int_equal(fake_open(&fake, &program, &error), 0);
	assert_int_equal(program->allgs, FAKE_ALLGS + FAKE_BIAS);
	lt_go_program_free(program);
	copy->len = copy->cap = 5;
	assert_int_equal(fake_open(&fake, &program, &error), 0);
	assert_int_equal(program->allgs, FAKE_ALLGS + FAKE_BIAS);
	lt_go_program_free(program);
	*copy = *fake.allgs;
	assert_int_equal(try_it(), -EAGAIN);
	fake_free(&fake);
}

/* Each of these alone makes the slice one of something else. */
static void test_hostile(void **state)
{
	const struct lt_go_slice good_slice = { 0 };
	struct lt_go_slice slice;
	uint8_t *g;

	fake_new(&fake, 22);
	for (uint64_t id = 1; id < 8; id++)
		g = fake_goroutine(&fake, id, LT_GO_WAITING, 0);
	slice = *fake.allgs;
	fake.allgs->len = 5000;
	assert_int_equal(try_it(), -EAGAIN);
	fake.allgs->len = fake.allgs->cap = UINT64_MAX;
	assert_int_equal(try_it(), -EAGAIN);
	*fake.allgs = slice;
	fake.allgs->data = GO_TEXT + FAKE_BIAS;
	assert_int_equal(try_it(), -EAGAIN);
	fake.allgs->data = 8;
	assert_int_equal(try_it(), -EAGAIN);
	*fake.allgs = slice;
	fake.elements[6] = 0;
	assert_int_equal(try_it(), -EAGAIN);
	fake.elements[6] = UINT64_MAX - 7; /* may have been mapped since */
	assert_int_equal(try_it(), -EAGAIN);
	fake.elements[6] = (uintptr_t)g;
	assert_int_equal(try_it(), 0);
	fake_word(g, fake.layout->g_startpc, GO_TEXT + FAKE_BIAS + 4);
	assert_int_equal(try_it(), -ENOTSUP);
	*fake.allgs = good_slice;
	assert_int_equal(try_it(), -EAGAIN);
	fake_free(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),        cmocka_unit_test(test_none),
		cmocka_unit_test(test_not_started),  cmocka_unit_test(test_unknown_version),
		cmocka_unit_test(test_other_layout), cmocka_unit_test(test_copy_of_the_gc),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
