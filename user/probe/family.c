// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/family.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
/* NULL-terminated lists of names */
#define NAMES(...)                                                                                 \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}
#define SIGNATURES(...)                                                                            \
	(const char *const *const[])                                                               \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

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
 * C++ operators, as every ABI-conforming build mangles them: what deletes, what may throw, what
 * returns NULL instead.
 */
#define OPERATOR_DELETES                                                                           \
	{ "_ZdlPv", LT_OP_FREE, true }, { "_ZdaPv", LT_OP_FREE, true },                            \
		{ "_ZdlPvm", LT_OP_FREE, true }, { "_ZdaPvm", LT_OP_FREE, true },                  \
		{ "_ZdlPvRKSt9nothrow_t", LT_OP_FREE, true },                                      \
		{ "_ZdaPvRKSt9nothrow_t", LT_OP_FREE, true },                                      \
		{ "_ZdlPvSt11align_val_t", LT_OP_FREE, true },                                     \
		{ "_ZdaPvSt11align_val_t", LT_OP_FREE, true },                                     \
		{ "_ZdlPvmSt11align_val_t", LT_OP_FREE, true },                                    \
		{ "_ZdaPvmSt11align_val_t", LT_OP_FREE, true },                                    \
		{ "_ZdlPvSt11align_val_tRKSt9nothrow_t", LT_OP_FREE, true },                       \
	{                                                                                          \
		"_ZdaPvSt11align_val_tRKSt9nothrow_t", LT_OP_FREE, true                            \
	}

#define OPERATOR_NEWS                                                                              \
	{ "_ZnwmRKSt9nothrow_t", LT_OP_MALLOC, true },                                             \
		{ "_ZnamRKSt9nothrow_t", LT_OP_MALLOC, true },                                     \
		{ "_ZnwmSt11align_val_tRKSt9nothrow_t", LT_OP_MALLOC, true },                      \
		{ "_ZnamSt11align_val_tRKSt9nothrow_t", LT_OP_MALLOC, true },                      \
		{ "_Znwm", LT_OP_NEW, true }, { "_Znam", LT_OP_NEW, true },                        \
		{ "_ZnwmSt11align_val_t", LT_OP_NEW, true },                                       \
		{ "__cxa_allocate_exception", LT_OP_THROW,                                         \
		  true }, /* where libstdc++ is linked in */                                       \
	{                                                                                          \
		"_ZnamSt11align_val_t", LT_OP_NEW, true                                            \
	}

/* C23; the pointer comes first.  jemalloc has them since 5.3.1, glibc since 2.43. */
#define C23_FREES                                                                                  \
	{ "free_sized", LT_OP_FREE, true },                                                        \
	{                                                                                          \
		"free_aligned_sized", LT_OP_FREE, true                                             \
	}

/*
 * jemalloc 5: doc/jemalloc.xml.in, src/jemalloc_cpp.cpp; the signature tells it from what merely
 * defines malloc, also where a linker has thrown away what its program does not call.  Redis builds
 * it as je_, Rust programs as _rjem_.
 */
static const struct lt_family_function jemalloc_functions[] = {
	{ "free", LT_OP_FREE, false },
	C23_FREES,
	{ "dallocx", LT_OP_FREE, false },
	{ "sdallocx", LT_OP_FREE, false },
	OPERATOR_DELETES, /* builds without C++ have no operators */
	{ "realloc", LT_OP_REALLOC, false },
	{ "rallocx", LT_OP_REALLOC, false },
	{ "xallocx", LT_OP_XALLOCX, false },
	{ "malloc", LT_OP_MALLOC, false },
	{ "mallocx", LT_OP_MALLOC, false },
	{ "valloc", LT_OP_MALLOC, true },
	{ "pvalloc", LT_OP_PVALLOC, true }, /* since 5.3.1 */
	{ "calloc", LT_OP_CALLOC, false },
	{ "memalign", LT_OP_MEMALIGN, true },
	{ "aligned_alloc", LT_OP_MEMALIGN, false },
	{ "posix_memalign", LT_OP_POSIX_MEMALIGN, false },
	OPERATOR_NEWS,
};

/*
 * gperftools 2: src/tcmalloc.cc, src/libc_override_gcc_and_weak.h.  Its functions are copies of
 * each other rather than calls, and each has a name of its own, tc_..., which matters where a build
 * leaves malloc to others.
 */
static const struct lt_family_function tcmalloc_functions[] = {
	{ "free", LT_OP_FREE, true },
	{ "tc_free", LT_OP_FREE, false },
	{ "cfree", LT_OP_FREE, true },
	{ "tc_cfree", LT_OP_FREE, true },
	{ "__libc_free", LT_OP_FREE, true },
	{ "__libc_cfree", LT_OP_FREE, true },
	C23_FREES,
	OPERATOR_DELETES,
	{ "tc_free_sized", LT_OP_FREE, true }, /* this and what follows: since 2.6 */
	{ "tc_delete", LT_OP_FREE, true },
	{ "tc_deletearray", LT_OP_FREE, true },
	{ "tc_delete_sized", LT_OP_FREE, true },
	{ "tc_deletearray_sized", LT_OP_FREE, true },
	{ "tc_delete_nothrow", LT_OP_FREE, true },
	{ "tc_deletearray_nothrow", LT_OP_FREE, true },
	{ "tc_delete_aligned", LT_OP_FREE, true },
	{ "tc_deletearray_aligned", LT_OP_FREE, true },
	{ "tc_delete_sized_aligned", LT_OP_FREE, true },
	{ "tc_deletearray_sized_aligned", LT_OP_FREE, true },
	{ "tc_delete_aligned_nothrow", LT_OP_FREE, true },
	{ "tc_deletearray_aligned_nothrow", LT_OP_FREE, true },
	{ "realloc", LT_OP_REALLOC, true },
	{ "tc_realloc", LT_OP_REALLOC, false },
	{ "__libc_realloc", LT_OP_REALLOC, true },
	{ "malloc", LT_OP_MALLOC, true },
	{ "tc_malloc", LT_OP_MALLOC, false },
	{ "tc_malloc_skip_new_handler", LT_OP_MALLOC, true },
	{ "__libc_malloc", LT_OP_MALLOC, true },
	{ "calloc", LT_OP_CALLOC, true },
	{ "tc_calloc", LT_OP_CALLOC, false },
	{ "__libc_calloc", LT_OP_CALLOC, true },
	{ "memalign", LT_OP_MEMALIGN, true },
	{ "tc_memalign", LT_OP_MEMALIGN, false },
	{ "aligned_alloc", LT_OP_MEMALIGN, true },
	{ "__libc_memalign", LT_OP_MEMALIGN, true },
	{ "valloc", LT_OP_MALLOC, true },
	{ "tc_valloc", LT_OP_MALLOC, true },
	{ "__libc_valloc", LT_OP_MALLOC, true },
	{ "pvalloc", LT_OP_PVALLOC, true },
	{ "tc_pvalloc", LT_OP_PVALLOC, true },
	{ "__libc_pvalloc", LT_OP_PVALLOC, true },
	{ "posix_memalign", LT_OP_POSIX_MEMALIGN, true },
	{ "tc_posix_memalign", LT_OP_POSIX_MEMALIGN, false },
	{ "__posix_memalign", LT_OP_POSIX_MEMALIGN, true },
	OPERATOR_NEWS,
	{ "tc_new_nothrow", LT_OP_MALLOC, true },
	{ "tc_newarray_nothrow", LT_OP_MALLOC, true },
	{ "tc_new_aligned_nothrow", LT_OP_MALLOC, true },
	{ "tc_newarray_aligned_nothrow", LT_OP_MALLOC, true },
	{ "tc_new", LT_OP_NEW, true },
	{ "tc_newarray", LT_OP_NEW, true },
	{ "tc_new_aligned", LT_OP_NEW, true },
	{ "tc_newarray_aligned", LT_OP_NEW, true },
};

/*
 * mimalloc 2: include/mimalloc.h, src/alloc-override.c.  Not listed: mi_reallocf, mi_reallocarr,
 * mi_new_realloc, mi_cfree, mi_realpath, mi_wcsdup, ..., which call what is, and mi_expand, which
 * hands out nothing.
 */
static const struct lt_family_function mimalloc_functions[] = {
	{ "mi_free", LT_OP_FREE, false },
	{ "free", LT_OP_FREE, true }, /* programs can use it under its own names only */
	{ "cfree", LT_OP_FREE, true },
	{ "vfree", LT_OP_FREE, true },
	{ "__libc_free", LT_OP_FREE, true },
	{ "__libc_cfree", LT_OP_FREE, true },
	C23_FREES,
	{ "mi_free_size", LT_OP_FREE, true },
	{ "mi_free_size_aligned", LT_OP_FREE, true },
	{ "mi_free_aligned", LT_OP_FREE, true },
	OPERATOR_DELETES,
	{ "mi_heap_realloc", LT_OP_HEAP_REALLOC, true },
	{ "mi_heap_rezalloc", LT_OP_HEAP_REALLOC, true },
	{ "mi_heap_reallocn", LT_OP_HEAP_REALLOCARRAY, true },
	{ "mi_heap_recalloc", LT_OP_HEAP_REALLOCARRAY, true },
	{ "mi_heap_realloc_aligned_at", LT_OP_HEAP_REALLOC, true },
	{ "mi_heap_realloc_aligned", LT_OP_HEAP_REALLOC, true },
	{ "mi_heap_rezalloc_aligned_at", LT_OP_HEAP_REALLOC, true },
	{ "mi_heap_rezalloc_aligned", LT_OP_HEAP_REALLOC, true },
	{ "mi_heap_recalloc_aligned_at", LT_OP_HEAP_REALLOCARRAY, true },
	{ "mi_heap_recalloc_aligned", LT_OP_HEAP_REALLOCARRAY, true },
	{ "mi_realloc", LT_OP_REALLOC, false },
	{ "realloc", LT_OP_REALLOC, true },
	{ "__libc_realloc", LT_OP_REALLOC, true },
	{ "mi_rezalloc", LT_OP_REALLOC, true },
	{ "mi_realloc_aligned_at", LT_OP_REALLOC, true },
	{ "mi_realloc_aligned", LT_OP_REALLOC, true },
	{ "mi_rezalloc_aligned_at", LT_OP_REALLOC, true },
	{ "mi_rezalloc_aligned", LT_OP_REALLOC, true },
	{ "mi_reallocn", LT_OP_REALLOCARRAY, true },
	{ "mi_recalloc", LT_OP_REALLOCARRAY, true },
	{ "mi_recalloc_aligned_at", LT_OP_REALLOCARRAY, true },
	{ "mi_recalloc_aligned", LT_OP_REALLOCARRAY, true },
	{ "mi_aligned_offset_recalloc", LT_OP_REALLOCARRAY, true },
	{ "mi_aligned_recalloc", LT_OP_REALLOCARRAY, true },
	{ "mi_reallocarray", LT_OP_REALLOCARRAY, true },
	{ "reallocarray", LT_OP_REALLOCARRAY, true },
	{ "mi_malloc", LT_OP_MALLOC, false },
	{ "malloc", LT_OP_MALLOC, true },
	{ "__libc_malloc", LT_OP_MALLOC, true },
	{ "mi_zalloc", LT_OP_MALLOC, true },
	{ "mi_malloc_small", LT_OP_MALLOC, true },
	{ "mi_zalloc_small", LT_OP_MALLOC, true },
	{ "mi_heap_malloc", LT_OP_HEAP_MALLOC, true },
	{ "mi_heap_zalloc", LT_OP_HEAP_MALLOC, true },
	{ "mi_heap_malloc_small", LT_OP_HEAP_MALLOC, true },
	{ "mi_heap_strdup", LT_OP_STRDUP, true },
	{ "mi_heap_strndup", LT_OP_STRDUP, true },
	{ "mi_strdup", LT_OP_STRDUP, true },
	{ "mi_strndup", LT_OP_STRDUP, true },
	{ "mi_mbsdup", LT_OP_STRDUP, true },
	{ "mi_calloc", LT_OP_CALLOC, false },
	{ "calloc", LT_OP_CALLOC, true },
	{ "__libc_calloc", LT_OP_CALLOC, true },
	{ "mi_heap_calloc", LT_OP_HEAP_CALLOC, true },
	{ "mi_heap_mallocn", LT_OP_HEAP_CALLOC, true },
	{ "mi_mallocn", LT_OP_CALLOC, true },
	{ "mi_heap_malloc_aligned_at", LT_OP_HEAP_MALLOC, true },
	{ "mi_heap_malloc_aligned", LT_OP_HEAP_MALLOC, true },
	{ "mi_heap_zalloc_aligned_at", LT_OP_HEAP_MALLOC, true },
	{ "mi_heap_zalloc_aligned", LT_OP_HEAP_MALLOC, true },
	{ "mi_heap_calloc_aligned_at", LT_OP_HEAP_CALLOC, true },
	{ "mi_heap_calloc_aligned", LT_OP_HEAP_CALLOC, true },
	{ "mi_malloc_aligned_at", LT_OP_MALLOC, true },
	{ "mi_malloc_aligned", LT_OP_MALLOC, true },
	{ "mi_zalloc_aligned_at", LT_OP_MALLOC, true },
	{ "mi_zalloc_aligned", LT_OP_MALLOC, true },
	{ "mi_calloc_aligned_at", LT_OP_CALLOC, true },
	{ "mi_calloc_aligned", LT_OP_CALLOC, true },
	{ "mi_memalign", LT_OP_MEMALIGN, true },
	{ "memalign", LT_OP_MEMALIGN, true },
	{ "__libc_memalign", LT_OP_MEMALIGN, true },
	{ "mi_aligned_alloc", LT_OP_MEMALIGN, true },
	{ "aligned_alloc", LT_OP_MEMALIGN, true },
	{ "_aligned_malloc", LT_OP_MEMALIGN, true },
	{ "mi_valloc", LT_OP_MALLOC, true },
	{ "valloc", LT_OP_MALLOC, true },
	{ "__libc_valloc", LT_OP_MALLOC, true },
	{ "mi_pvalloc", LT_OP_PVALLOC, true },
	{ "pvalloc", LT_OP_PVALLOC, true },
	{ "__libc_pvalloc", LT_OP_PVALLOC, true },
	{ "mi_posix_memalign", LT_OP_POSIX_MEMALIGN, true },
	{ "posix_memalign", LT_OP_POSIX_MEMALIGN, true },
	{ "__posix_memalign", LT_OP_POSIX_MEMALIGN, true },
	{ "mi_new_nothrow", LT_OP_MALLOC, true },
	{ "mi_new_aligned_nothrow", LT_OP_MALLOC, true },
	{ "mi_new", LT_OP_NEW, true },
	{ "mi_new_aligned", LT_OP_NEW, true },
	{ "mi_new_n", LT_OP_NEW_ARRAY, true },
	{ "mi_heap_alloc_new", LT_OP_HEAP_NEW, true },
	{ "mi_heap_alloc_new_n", LT_OP_HEAP_NEW_ARRAY, true },
	OPERATOR_NEWS,
};

/*
 * musl, src/malloc.  Its linker's own allocations go around these functions in both directions.
 * A static program holds only what it uses; __libc_malloc_impl is there since 1.2.2.
 */
static const struct lt_family_function musl_functions[] = {
	{ "free", LT_OP_FREE, false },
	C23_FREES,
	{ "realloc", LT_OP_REALLOC, false },
	{ "reallocarray", LT_OP_REALLOCARRAY, true }, /* since 1.2.2 */
	{ "malloc", LT_OP_MALLOC, false },
	{ "calloc", LT_OP_CALLOC, false },
	{ "aligned_alloc", LT_OP_MEMALIGN, false },
	{ "memalign", LT_OP_MEMALIGN, false },
	{ "valloc", LT_OP_MALLOC, true },
	{ "posix_memalign", LT_OP_POSIX_MEMALIGN, false },
};

/*
 * glibc, malloc/malloc.c and its Versions file.  The __libc_ names are those of old allocators'
 * hooks and of programs that go around an interposed malloc; mostly they are the same code, which
 * the plan sees.  _int_malloc and _int_free are names inside of it that static programs keep.
 */
static const struct lt_family_function glibc_functions[] = {
	{ "free", LT_OP_FREE, false },
	{ "cfree", LT_OP_FREE, true }, /* until 2.26 for new programs */
	C23_FREES,
	{ "__libc_free", LT_OP_FREE, true },
	{ "realloc", LT_OP_REALLOC, false },
	{ "__libc_realloc", LT_OP_REALLOC, true },
	{ "reallocarray", LT_OP_REALLOCARRAY, true }, /* since 2.26 */
	{ "malloc", LT_OP_MALLOC, false },
	{ "valloc", LT_OP_MALLOC, false },
	{ "pvalloc", LT_OP_PVALLOC, false },
	{ "__libc_malloc", LT_OP_MALLOC, true },
	{ "__libc_valloc", LT_OP_MALLOC, true },
	{ "__libc_pvalloc", LT_OP_PVALLOC, true },
	{ "calloc", LT_OP_CALLOC, false },
	{ "__libc_calloc", LT_OP_CALLOC, true },
	{ "memalign", LT_OP_MEMALIGN, false },
	{ "aligned_alloc", LT_OP_MEMALIGN, false },
	{ "__libc_memalign", LT_OP_MEMALIGN, true },
	{ "posix_memalign", LT_OP_POSIX_MEMALIGN, false },
};

const struct lt_family lt_families[] = {
	{
		.name = "jemalloc",
		.prefixes = NAMES("", "je_", "_rjem_"),
		.signatures = SIGNATURES(
			NAMES("mallocx", "rallocx", "sdallocx"),
			NAMES("malloc", "free", "calloc", "realloc", "mallocx", "mallctl")),
		.functions = jemalloc_functions,
		.function_count = ARRAY_LEN(jemalloc_functions),
	},
	{
		.name = "tcmalloc",
		.signatures = SIGNATURES(NAMES("tc_malloc", "tc_free")),
		.functions = tcmalloc_functions,
		.function_count = ARRAY_LEN(tcmalloc_functions),
	},
	{
		.name = "mimalloc",
		.signatures = SIGNATURES(NAMES("mi_malloc", "mi_free"),
					 NAMES("mi_malloc_aligned", "mi_free")),
		.functions = mimalloc_functions,
		.function_count = ARRAY_LEN(mimalloc_functions),
	},
	{
		.name = "musl",
		.signatures = SIGNATURES(
			NAMES("malloc", "free", "calloc", "realloc", "aligned_alloc", "__dls3"),
			NAMES("malloc", "free", "__libc_malloc_impl")),
		.functions = musl_functions,
		.function_count = ARRAY_LEN(musl_functions),
	},
	{
		.name = "glibc",
		.signatures = SIGNATURES(
			NAMES("malloc", "free", "calloc", "realloc", "__libc_memalign",
			      "gnu_get_libc_version"),
			NAMES("malloc", "free", "calloc", "realloc", "_int_malloc", "_int_free")),
		.functions = glibc_functions,
		.function_count = ARRAY_LEN(glibc_functions),
	},
};

const size_t lt_family_count = ARRAY_LEN(lt_families);

static const struct lt_family_function named_functions[] = {
	{ "free", LT_OP_FREE, true },
	{ "cfree", LT_OP_FREE, true },
	C23_FREES,
	{ "dallocx", LT_OP_FREE, true },
	{ "sdallocx", LT_OP_FREE, true },
	{ "realloc", LT_OP_REALLOC, true },
	{ "rallocx", LT_OP_REALLOC, true },
	{ "reallocarray", LT_OP_REALLOCARRAY, true },
	{ "xallocx", LT_OP_XALLOCX, true },
	{ "malloc", LT_OP_MALLOC, true },
	{ "mallocx", LT_OP_MALLOC, true },
	{ "calloc", LT_OP_CALLOC, true },
	{ "memalign", LT_OP_MEMALIGN, true },
	{ "aligned_alloc", LT_OP_MEMALIGN, true },
	{ "valloc", LT_OP_MALLOC, true },
	{ "pvalloc", LT_OP_PVALLOC, true },
	{ "posix_memalign", LT_OP_POSIX_MEMALIGN, true },
};

const struct lt_family lt_family_named = {
	.name = "named allocator",
	.functions = named_functions,
	.function_count = ARRAY_LEN(named_functions),
};

void lt_family_symbol(char name[LT_MAX_FUNCTION_NAME], const char *prefix, const char *symbol)
{
	bool is_cxx = !strncmp(symbol, "_Z", 2) || !strncmp(symbol, "__cxa_", 6);

	snprintf(name, LT_MAX_FUNCTION_NAME, "%s%s", is_cxx ? "" : prefix, symbol);
}

void lt_family_names(struct lt_buf *out)
{
	for (size_t i = 0; i < lt_family_count; i++)
		lt_buf_printf(out, "%s%s",
			      i == 0                     ? ""
			      : i + 1 == lt_family_count ? " and "
							 : ", ",
			      lt_families[i].name);
}
