// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/family.h"

#include <stddef.h>

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

const struct lt_op_info lt_op_table[LT_OP_COUNT] = {
#define LT_OP(symbol, entry, exit, args, null_noop)                                                \
	[LT_OP_##symbol] = { .name = #symbol,                                                      \
			     .entry_program = (entry),                                             \
			     .return_program = sizeof(exit) > 1 ? (exit) : NULL,                   \
			     .arguments = (args),                                                  \
			     .null_is_noop = (null_noop) },
	LT_ALLOC_OPERATIONS
#undef LT_OP
};

/*
 * glibc, malloc/malloc.c and its Versions file.  The __libc_ names are those of old allocators'
 * hooks and of programs that go around an interposed malloc; mostly they are the same code, which
 * the plan sees.
 */
static const char *const glibc_signature[] = {
	"malloc", "free", "calloc", "realloc", "__libc_memalign", "gnu_get_libc_version", NULL
};
/* "libc-2.31.so" before 2.34, "libc.so.6" since; package managers append to a replaced file's name.
 */
static const char *const glibc_files[] = { "libc.so.6*", "libc-*.so*", NULL };

static const struct lt_family_function glibc_functions[] = {
	{ "free", LT_OP_FREE, false },
	{ "cfree", LT_OP_FREE, true },              /* until 2.26 for new programs */
	{ "free_sized", LT_OP_FREE, true },         /* C23; the pointer comes first */
	{ "free_aligned_sized", LT_OP_FREE, true }, /* C23 */
	{ "__libc_free", LT_OP_FREE, true },
	{ "realloc", LT_OP_REALLOC, false },
	{ "__libc_realloc", LT_OP_REALLOC, true },
	{ "reallocarray", LT_OP_REALLOCARRAY, true }, /* since 2.26 */
	{ "malloc", LT_OP_MALLOC, false },
	{ "valloc", LT_OP_MALLOC, false },
	{ "pvalloc", LT_OP_MALLOC, false },
	{ "__libc_malloc", LT_OP_MALLOC, true },
	{ "__libc_valloc", LT_OP_MALLOC, true },
	{ "__libc_pvalloc", LT_OP_MALLOC, true },
	{ "calloc", LT_OP_CALLOC, false },
	{ "__libc_calloc", LT_OP_CALLOC, true },
	{ "memalign", LT_OP_MEMALIGN, false },
	{ "aligned_alloc", LT_OP_MEMALIGN, false },
	{ "__libc_memalign", LT_OP_MEMALIGN, true },
	{ "posix_memalign", LT_OP_POSIX_MEMALIGN, false },
};

/*
 * jemalloc 5: doc/jemalloc.xml.in, src/jemalloc_cpp.cpp; the signature tells it from what merely
 * defines malloc.  An operator new or delete that is not listed does nothing but call a function
 * that is: unsized deletes free, aligned ones sdallocx or free, aligned news aligned_alloc.
 */
static const char *const jemalloc_signature[] = { "malloc",  "free",     "calloc",  "realloc",
						  "mallocx", "sdallocx", "mallctl", NULL };

static const struct lt_family_function jemalloc_functions[] = {
	{ "free", LT_OP_FREE, false },
	{ "free_sized", LT_OP_FREE, true },         /* since 5.3.1, C23 */
	{ "free_aligned_sized", LT_OP_FREE, true }, /* the same */
	{ "dallocx", LT_OP_FREE, false },
	{ "sdallocx", LT_OP_FREE, false },
	{ "_ZdlPvm", LT_OP_FREE, true }, /* builds without C++ have no operators */
	{ "_ZdaPvm", LT_OP_FREE, true },
	{ "realloc", LT_OP_REALLOC, false },
	{ "rallocx", LT_OP_REALLOC, false },
	{ "xallocx", LT_OP_XALLOCX, false },
	{ "malloc", LT_OP_MALLOC, false },
	{ "mallocx", LT_OP_MALLOC, false },
	{ "valloc", LT_OP_MALLOC, true },
	{ "pvalloc", LT_OP_MALLOC, true }, /* since 5.3.1 */
	{ "_ZnwmRKSt9nothrow_t", LT_OP_MALLOC, true },
	{ "_ZnamRKSt9nothrow_t", LT_OP_MALLOC, true },
	{ "calloc", LT_OP_CALLOC, false },
	{ "memalign", LT_OP_MEMALIGN, true },
	{ "aligned_alloc", LT_OP_MEMALIGN, false },
	{ "posix_memalign", LT_OP_POSIX_MEMALIGN, false },
	{ "_Znwm", LT_OP_NEW, true },
	{ "_Znam", LT_OP_NEW, true },
};

const struct lt_family lt_families[] = {
	{
		.name = "jemalloc",
		.signature = jemalloc_signature,
		.functions = jemalloc_functions,
		.function_count = ARRAY_LEN(jemalloc_functions),
	},
	{
		.name = "glibc",
		.signature = glibc_signature,
		.file_patterns = glibc_files,
		.functions = glibc_functions,
		.function_count = ARRAY_LEN(glibc_functions),
	},
};

const size_t lt_family_count = ARRAY_LEN(lt_families);
