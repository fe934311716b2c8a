/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ownership by scope: __attribute__((cleanup)) helpers.
 *
 *	_lt_free_ char *s = strdup(x);       freed at the end of the scope
 *	return lt_take_ptr(s);               ... unless handed on
 *
 * A module declares its own with LT_CLEANUP(type *, lt_thing_free): _lt_cleanup_(lt_thing_free_p).
 */
#ifndef LT_BASE_CLEANUP_H
#define LT_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _lt_cleanup_(function) __attribute__((cleanup(function)))

/* Defines function##_p, for use with _lt_cleanup_, from a function that takes the value. */
#define LT_CLEANUP(type, function)                                                                 \
	static inline void function##_p(type *value)                                               \
	{                                                                                          \
		if (*value)                                                                        \
			function(*value);                                                          \
	}

static inline void lt_free_p(void *pointer)
{
	free(*(void **)pointer);
}

static inline void lt_close_p(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void lt_fclose_p(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define _lt_free_   _lt_cleanup_(lt_free_p)
#define _lt_close_  _lt_cleanup_(lt_close_p)
#define _lt_fclose_ _lt_cleanup_(lt_fclose_p)

static inline void *lt_take_voidp(void *pointer)
{
	void **slot = pointer, *value = *slot;

	*slot = NULL;
	return value;
}

/* Hands the value on and leaves NULL behind, so that the scope's cleanup finds nothing. */
#define lt_take_ptr(pointer) ((__typeof__(pointer))lt_take_voidp(&(pointer)))

static inline int lt_take_fd(int *fd)
{
	int value = *fd;

	*fd = -1;
	return value;
}

#endif
