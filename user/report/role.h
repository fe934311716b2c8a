/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a frame is in its stack, told by its function's name. */
#ifndef LT_REPORT_ROLE_H
#define LT_REPORT_ROLE_H

#include "report/report.h"

/* A library's way to ask for a resource: who wanted it is its caller. */
bool lt_role_is_wrapper(const struct lt_report_frame *frame);
/*
 * Of Go's standard library, by its import path: what a program calls, not what it is.  Its parts that
 * every wait and every allocation go through are wrappers, too.
 */
bool lt_role_is_go_library(const struct lt_report_frame *frame);
/* Where threads and processes begin: it has no caller who could have asked. */
bool lt_role_is_beginning(const struct lt_report_frame *frame);
/* Of the C library, by its file: whatever it does, somebody else asked for. */
bool lt_role_is_libc(const struct lt_report_frame *frame);
/* What runs the program's own language: below it, every site of a program has the same callers. */
bool lt_role_is_interpreter(const struct lt_report_frame *frame);
/*
 * Of so many frames, leaf first, that of whom wanted what libraries did for it.  Where Go's library has
 * no caller but itself, its outermost function: what that goroutine is for.  NULL: there is none.
 */
const struct lt_report_frame *lt_role_caller(const struct lt_report_frame *frames, uint32_t count);
/* The same, whether it is of Go's library or not. */
const struct lt_report_frame *lt_role_asker(const struct lt_report_frame *frames, uint32_t count);
/* A mark, or what only stands between the asker and what was asked for. */
bool lt_role_is_between(const struct lt_report_frame *frame);

#endif
