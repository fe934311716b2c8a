/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Goroutines that are the same thing in every program: what their stack says for sure. */
#ifndef LT_REPORT_KNOWN_H
#define LT_REPORT_KNOWN_H

#include <stdint.h>

#include "report/report.h"

/* state: enum lt_mark.  The first frames, so many, are those where they are.  NULL: nothing is known. */
const char *lt_known_shape(uint64_t state, const struct lt_report_frame *frames, uint32_t count);

#endif
