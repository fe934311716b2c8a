/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How much of what a kind grows by fills the memory, which are resident pages.  Pure. */
#ifndef LT_REPORT_RESIDENT_H
#define LT_REPORT_RESIDENT_H

#include <stddef.h>

#include "stream/event.h"

/*
 * From 0 to 1, for the kind of that index: what is live of it is resident to this part, and so is
 * what comes, it is taken.  1 for blocks; 0 for kinds that are not measured in bytes; NaN: unknown.
 * process: the latest look, or NULL; live_size: of the kind.
 */
double lt_resident_share(const struct lt_event_process *process, size_t kind, uint64_t live_size);

#endif
