/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a frame is in its stack, told by its function's name. */
#ifndef LT_REPORT_ROLE_H
#define LT_REPORT_ROLE_H

#include "report/report.h"

/* A library's way to ask for a resource: who wanted it is its caller. */
bool lt_role_is_wrapper(const struct lt_report_frame *frame);
/* Where threads and processes begin: it has no caller who could have asked. */
bool lt_role_is_beginning(const struct lt_report_frame *frame);
/* Of the C library, by its file: whatever it does, somebody else asked for. */
bool lt_role_is_libc(const struct lt_report_frame *frame);
/* What runs the program's own language: below it, every site of a program has the same callers. */
bool lt_role_is_interpreter(const struct lt_report_frame *frame);

#endif
