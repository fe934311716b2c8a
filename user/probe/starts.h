/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a thread runs: its start function, as glibc keeps it in the thread's control block (struct
 * pthread).  Where in there differs from version to version; glibc tells debuggers by a variable
 * (nptl_db/structs.def, db_info.c).
 */
#ifndef LT_PROBE_STARTS_H
#define LT_PROBE_STARTS_H

#include <stdint.h>

#include "proc/process.h"

/* The offset in the control block; 0: not known, as with other C libraries.  Reads its maps and a file. */
uint32_t lt_start_offset(const struct lt_process *process);
/* The start function of a thread, whose control block that is; 0: not known.  Foreign memory. */
uint64_t lt_start_function(pid_t tid, uint64_t block, uint32_t offset);

#endif
