/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/features.h"

/* Each lack is named with its remedy, the one that hides the others first. */
static void test_what_is_missing(void **state)
{
	struct lt_features features = { .permitted = true, .btf = true, .ring_buffer = true };

	assert_null(lt_features_missing(&features));
	features.ring_buffer = false;
	assert_non_null(strstr(lt_features_missing(&features), "5.8"));
	features.btf = false;
	assert_non_null(strstr(lt_features_missing(&features), "CONFIG_DEBUG_INFO_BTF"));
	features.permitted = false;
	assert_non_null(strstr(lt_features_missing(&features), "root"));
}

/* This machine runs the end-to-end tests: it has what leaktrace needs. */
static void test_this_kernel(void **state)
{
	struct lt_features features;

	lt_features_detect(&features);
	assert_null(lt_features_missing(&features));
	assert_true(features.release[0] >= '0' && features.release[0] <= '9');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_missing),
		cmocka_unit_test(test_this_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
