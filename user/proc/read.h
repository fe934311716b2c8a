/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole small files, as /proc and cgroupfs have them: their size is not known before the end, and
 * what another process controls may be long.  Internal to the room.
 */
#ifndef LT_PROC_READ_H
#define LT_PROC_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Appends the file to *text, at most limit bytes (else -EFBIG).  0 or -errno. */
int lt_proc_read_at(int dir_fd, const char *name, size_t limit, struct lt_buf *text);

/* The unsigned number behind "\nKEY:" in a text like /proc/PID/status.  False when absent. */
bool lt_proc_field(const char *text, const char *key, uint64_t *value);

#endif
