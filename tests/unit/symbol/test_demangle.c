/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "leaktrace/limits.h"
#include "symbol/demangle.h"

static const struct {
	const char *name, *expected;
} vectors[] = {
	/* C: as it is */
	{ "", "" },
	{ "main", "main" },
	{ "_start", "_start" },
	{ "__libc_start_main", "__libc_start_main" },
	{ "runtime.mallocgc", "runtime.mallocgc" },
	{ "_Zounds", "_Zounds" },
	/* symbol versions */
	{ "malloc@@GLIBC_2.2.5", "malloc" },
	{ "memcpy@GLIBC_2.2.5", "memcpy" },
	{ "_ZSt9terminatev@@GLIBCXX_3.4", "std::terminate()" },
	{ "@", "@" },
	/* clones and parts */
	{ "parse.constprop.0", "parse" },
	{ "parse.isra.0.constprop.12", "parse" },
	{ "parse.part.3.cold", "parse" },
	{ "parse.lto_priv.0", "parse" },
	{ "loop._omp_fn.0", "loop" },
	{ "parse.llvm.1234567890", "parse" },
	{ "_ZN3foo3barEv.cold", "foo::bar()" },
	{ ".cold", ".cold" },
	{ "main.colder", "main.colder" },
	{ "main.1", "main.1" },
	/* Itanium C++ ABI */
	{ "_Z1fv", "f()" },
	{ "_ZN3foo3barEi", "foo::bar(int)" },
	{ "_Znwm", "operator new(unsigned long)" },
	{ "_ZdlPvm", "operator delete(void*, unsigned long)" },
	{ "_ZNSt6vectorIiSaIiEE9push_backERKi",
	  "std::vector<int, std::allocator<int> >::push_back(int const&)" },
	{ "_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()() const" },
	{ "_ZN3foo3ba", "_ZN3foo3ba" },
	/* Rust, legacy: the hash goes */
	{ "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad" },
	{ "_ZN63_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..clone..Clone$GT$5clone"
	  "17h0123456789abcdefE",
	  "<alloc::vec::Vec<T> as core::clone::Clone>::clone" },
	{ "_ZN44_$LT$r..Cart$LT$T$GT$$u20$as$u20$r..Leak$GT$4leak17h73a8f6ed6bb7a7a3E", /* 1.95 */
	  "<r::Cart<T> as r::Leak>::leak" },
	{ "_ZN4core3ptr35drop_in_place$LT$std..io..Stdin$GT$17h0123456789abcdefE.llvm.123456789",
	  "core::ptr::drop_in_place<std::io::Stdin>" },
	/* Rust, v0 (examples of RFC 2603) */
	{ "_RNvC6_123foo3bar", "123foo::bar" },
	{ "_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar" },
	{ "_RINvNtC3std3mem8align_ofdE", "std::mem::align_of::<f64>" },
	/* Rust, v0, as rustc 1.95 writes them: const generic, closure, punycode, trait, back
	   reference */
	{ "_RINvCs6GmmlP4bgsG_1r5konstKj7_EB2_", "r::konst::<7>" },
	{ "_RINvNtNtCs6GmmlP4bgsG_1r4shop5asyncu9gre_6ka8lNCNvB6_4main0EB6_",
	  "r::shop::async::gr\u00fc\u00dfe::<r::main::{closure#0}>" },
	{ "_RNvXCs6GmmlP4bgsG_1rINtB2_4CartReENtB2_4Leak4leakB2_",
	  "<r::Cart<&str> as r::Leak>::leak" },
	{ "_RNvMsa_NtCsgEmfK2I1SDS_4core3fmtNtB5_9Formatter3pad", "<core::fmt::Formatter>::pad" },
	{ "_RNvXCs6GmmlP4bgsG_1rINtB2_4CartReENtB2_4Leak4leakB2_.llvm.1234",
	  "<r::Cart<&str> as r::Leak>::leak" },
	/* D */
	{ "_Dmain", "D main" },
	{ "_D8demangle4testFZv", "demangle.test()" },
	{ "_D8demangle4testFaZv", "demangle.test(char)" },
	/* of libphobos: constructor, back references to names and to types */
	{ "_D3std5stdio4File17LockingTextWriter6__ctorMFNcNeKSQBxQBwQBtZSQCiQChQCeQCc",
	  "std.stdio.File.LockingTextWriter.this(ref std.stdio.File)" },
	{ "_D3std3uni__T10MultiArrayTSQzQx__T9BitPackedTkVmi7ZQrTSQCbQCa__TQBeTkVmi11ZQBpTSQDaQCz"
	  "__TQCdTkVmi15ZQCoTSQDzQDy__TQDcTbVmi1ZQDmZQEl__T6lengthVmi1ZQmMxFNaNbNdNiNfZm",
	  "std.uni.MultiArray!(std.uni.BitPacked!(uint, 7uL).BitPacked, std.uni.BitPacked!(uint, "
	  "11uL).BitPacked, std.uni.BitPacked!(uint, 15uL).BitPacked, std.uni.BitPacked!(bool, "
	  "1uL).BitPacked).MultiArray.length!(1uL).length() const" },
	{ "_D4core6memory11__moduleRefZ", "core.memory.__moduleRef" },
};

static void test_vectors(void **state)
{
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		char *name = lt_symbol_demangle(vectors[i].name);

		assert_non_null(name);
		assert_string_equal(name, vectors[i].expected);
		free(name);
	}
}

/* Never more than the bound, whatever comes in. */
static void check_bounded(const char *mangled, const char *prefix)
{
	char *name = lt_symbol_demangle(mangled);

	assert_non_null(name);
	assert_true(strlen(name) < LT_MAX_NAME);
	assert_memory_equal(name, prefix, strlen(prefix));
	free(name);
}

static void test_long_name_is_cut(void **state)
{
	char *name = malloc(3 * LT_MAX_NAME);

	assert_non_null(name);
	memset(name, 'a', 3 * LT_MAX_NAME - 1);
	name[3 * LT_MAX_NAME - 1] = '\0';
	check_bounded(name, "aaaa");
	memcpy(name, "_Z9000", 6);
	check_bounded(name, "_Z9000aaa");
	free(name);
}

/* Every pair repeats the one before twice: 2^n times the text. */
static void test_exponential_name_ends(void **state)
{
	char mangled[LT_MAX_NAME] = "_Z1fSt4pairIiiE";
	size_t len = strlen(mangled);

	/* St4pairI S_ S_ E: each a new substitution, made of the latest one. */
	len += (size_t)snprintf(mangled + len, sizeof(mangled) - len, "St4pairIS_S_E");
	for (int i = 0; i < 34; i++) {
		static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

		len += (size_t)snprintf(mangled + len, sizeof(mangled) - len, "S%c_", digits[i]);
		len += (size_t)snprintf(mangled + len, sizeof(mangled) - len, "St4pairIS%c_S%c_E",
					digits[i], digits[i]);
	}
	char *name = lt_symbol_demangle(mangled);

	assert_non_null(name);
	assert_int_equal(strlen(name), LT_MAX_NAME - 1); /* expanded, and cut */
	free(name);
}

/* D: each of many back references repeats the identifier. */
static void test_long_d_name_is_cut(void **state)
{
	char mangled[LT_MAX_NAME] = "_D99";
	size_t first = 2, len = strlen(mangled);

	memset(mangled + len, 'a', 99);
	len += 99;
	while (len < 1700) {
		size_t distance = len - first;

		len += (size_t)sprintf(mangled + len, "Q%c%c%c", (int)('A' + distance / 676),
				       (int)('A' + distance / 26 % 26), (int)('a' + distance % 26));
	}
	strcpy(mangled + len, "Z");
	check_bounded(mangled, "aaaa");
}

static void test_deep_name_ends(void **state)
{
	static const char *const openings[] = { "_Z1f", "_RNv", "_D1a" };
	char mangled[LT_MAX_NAME];

	for (size_t i = 0; i < sizeof(openings) / sizeof(*openings); i++) {
		memset(mangled, 'P', sizeof(mangled));
		memcpy(mangled, openings[i], strlen(openings[i]));
		mangled[sizeof(mangled) - 2] = '\0';
		check_bounded(mangled, "");
		memset(mangled + 4, 'N', sizeof(mangled) - 6);
		check_bounded(mangled, "");
		memset(mangled + 4, 'Q', sizeof(mangled) - 6);
		check_bounded(mangled, openings[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_long_name_is_cut),
		cmocka_unit_test(test_exponential_name_ends),
		cmocka_unit_test(test_long_d_name_is_cut),
		cmocka_unit_test(test_deep_name_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
