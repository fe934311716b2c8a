/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"

/* Vectors of draft-eastlake-fnv, appendix C. */
static void test_fnv1a(void **state)
{
	assert_true(lt_fnv1a(LT_FNV_SEED, "", 0) == 0xcbf29ce484222325ULL);
	assert_true(lt_fnv1a(LT_FNV_SEED, "a", 1) == 0xaf63dc4c8601ec8cULL);
	assert_true(lt_fnv1a(LT_FNV_SEED, "foobar", 6) == 0x85944171f73967e8ULL);
	assert_true(lt_fnv1a(lt_fnv1a(LT_FNV_SEED, "foo", 3), "bar", 3) == 0x85944171f73967e8ULL);
}

static uint64_t unshift33(uint64_t x)
{
	return x ^ x >> 33;
}

/* The inverse of an odd number modulo 2^64, by Newton: each step doubles the right bits. */
static uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd;

	for (int i = 0; i < 6; i++)
		x *= 2 - odd * x;
	return x;
}

static void test_mix64_is_a_bijection(void **state)
{
	uint64_t x = 1;

	assert_true(lt_mix64(0) == 0);
	assert_true(lt_mix64(1) == 0xb456bcfc34c2cb2cULL); /* fmix64(1) of MurmurHash3.cpp */
	for (int i = 0; i < 10000; i++, x = x * 6364136223846793005ULL + 1442695040888963407ULL) {
		uint64_t y = unshift33(lt_mix64(x));

		y = unshift33(y * inverse(0xc4ceb9fe1a85ec53ULL));
		y = unshift33(y * inverse(0xff51afd7ed558ccdULL));
		assert_true(y == x);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fnv1a),
		cmocka_unit_test(test_mix64_is_a_bijection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
