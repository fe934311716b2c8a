// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every operator new and delete of C++17, each delete with the news that it fits, for matrix.c.
 */
#include <new>

#include "matrix.h"

static void *new_after_failure(size_t size)
{
	try {
		must_fail(::operator new(beyond_memory));
	} catch (const std::bad_alloc &) {
	}
	try {
		must_fail(::operator new[](beyond_memory, std::align_val_t(ALIGNMENT)));
	} catch (const std::bad_alloc &) {
	}
	return ::operator new(size);
}

/* Deeper in the stack than the call that never came back. */
SITE static void *new_from_the_deep(size_t size)
{
	char space[4096];
	char *deep = space;

	KEEP(deep);
	return ::operator new(size);
}

static void *new_deep_after_failure(size_t size)
{
	try {
		must_fail(::operator new(beyond_memory));
	} catch (const std::bad_alloc &) {
	}
	return new_from_the_deep(size);
}

static void *nothrow_after_failure(size_t size)
{
	must_fail(::operator new(beyond_memory, std::nothrow));
	must_fail(::operator new[](beyond_memory, std::align_val_t(ALIGNMENT), std::nothrow));
	return ::operator new(size, std::nothrow);
}

#define ALIGNED std::align_val_t(ALIGNMENT)

#define CXX_CASES(X)                                                                               \
	X(new_plain, say, 0, ::operator new(size), ::operator delete(p))                           \
	X(new_array, say, 0, ::operator new[](size), ::operator delete[](p))                       \
	X(new_nothrow, say, 0, ::operator new(size, std::nothrow),                                 \
	  ::operator delete(p, std::nothrow))                                                      \
	X(new_array_nothrow, say, 0, ::operator new[](size, std::nothrow),                         \
	  ::operator delete[](p, std::nothrow))                                                    \
	X(new_aligned, say, 0, ::operator new(size, ALIGNED), ::operator delete(p, ALIGNED))       \
	X(new_array_aligned, say, 0, ::operator new[](size, ALIGNED),                              \
	  ::operator delete[](p, ALIGNED))                                                         \
	X(new_aligned_nothrow, say, 0, ::operator new(size, ALIGNED, std::nothrow),                \
	  ::operator delete(p, ALIGNED, std::nothrow))                                             \
	X(new_array_aligned_nothrow, say, 0, ::operator new[](size, ALIGNED, std::nothrow),        \
	  ::operator delete[](p, ALIGNED, std::nothrow))                                           \
	X(new_expression, say, 0, new char[size], delete[] static_cast<char *>(p))                 \
	X(new_fails, say, 0, new_after_failure(size), ::operator delete(p))                        \
	X(new_fails_deep, say, 0, new_deep_after_failure(size), ::operator delete(p))              \
	X(new_nothrow_fails, say, 0, nothrow_after_failure(size), ::operator delete(p))            \
	X(sized_new, say, 0, ::operator new(size), ::operator delete(p, size))                     \
	X(sized_new_array, say, 0, ::operator new[](size), ::operator delete[](p, size))           \
	X(sized_new_nothrow, say, 0, ::operator new(size, std::nothrow),                           \
	  ::operator delete(p, size))                                                              \
	X(sized_new_aligned, say, 0, ::operator new(size, ALIGNED),                                \
	  ::operator delete(p, size, ALIGNED))                                                     \
	X(sized_new_array_aligned, say, 0, ::operator new[](size, ALIGNED),                        \
	  ::operator delete[](p, size, ALIGNED))

CXX_CASES(CASE_FUNCTIONS)

/* clang-format off */
const struct matrix_case matrix_cxx_cases[] = {
	CXX_CASES(CASE_ROW)
	{},
};

