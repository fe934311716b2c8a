/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bpf/features.h"

static const struct lt_features all = {
	.root = true,
	.syscall = true,
	.permitted = true,
	.probe_programs = true,
	.ring_buffer = true,
	.btf = true,
	.uprobes = true,
	.kernel_reads = true,
};

/* Each lack alone is named with its remedy. */
static void test_what_is_missing(void **state)
{
	static const struct {
		size_t lack;
		const char *what, *remedy;
	} cases[] = {
		{ offsetof(struct lt_features, syscall), "bpf(2)", "CONFIG_BPF_SYSCALL=y" },
		{ offsetof(struct lt_features, permitted), "not permitted", "--privileged" },
		{ offsetof(struct lt_features, probe_programs), "probes", "CONFIG_BPF_EVENTS=y" },
		{ offsetof(struct lt_features, ring_buffer), "ring buffers", "5.8" },
		{ offsetof(struct lt_features, btf), "BTF", "CONFIG_DEBUG_INFO_BTF=y" },
		{ offsetof(struct lt_features, uprobes), "uprobes", "CONFIG_UPROBE_EVENTS=y" },
		{ offsetof(struct lt_features, kernel_reads), "lockdown=confidentiality",
		  "lockdown=integrity" },
	};

	assert_null(lt_features_missing(&all));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lt_features features = all;
		const char *message;

		*((bool *)&features + cases[i].lack) = false;
		message = lt_features_missing(&features);
		assert_non_null(message);
		assert_non_null(strstr(message, cases[i].what));
		assert_non_null(strstr(message, cases[i].remedy));
		assert_null(strchr(message, '\n'));
	}
}

/* The only thing that helps whoever is not root. */
static void test_not_root(void **state)
{
	struct lt_features features = { .syscall = true };

	assert_non_null(strstr(lt_features_missing(&features), "sudo"));
}

/* Newer ways to attach are not needed: the older ones do. */
static void test_what_is_not_needed(void **state)
{
	struct lt_features features = all;

	features.uprobe_multi = features.map_on_demand = false;
	features.root = false; /* but permitted */
	assert_null(lt_features_missing(&features));
}

/* A kernel before 5.8 lacks BTF as well, and a new kernel is the remedy for both. */
static void test_an_old_kernel(void **state)
{
	struct lt_features features = all;

	features.ring_buffer = features.btf = features.kernel_reads = false;
	assert_non_null(strstr(lt_features_missing(&features), "5.8"));
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
		cmocka_unit_test(test_what_is_missing),    cmocka_unit_test(test_not_root),
		cmocka_unit_test(test_what_is_not_needed), cmocka_unit_test(test_an_old_kernel),
		cmocka_unit_test(test_this_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
