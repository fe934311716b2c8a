/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing files as root where others may write too: no symlink is followed in the
 * last component, nothing that is not a regular file of ours (same owner, one link) is replaced or
 * truncated.
 */
#ifndef LT_EXPORT_OUTPUT_H
#define LT_EXPORT_OUTPUT_H

#include <stddef.h>
#include <stdio.h>

/*
 * Replaces path by the data in one step: temporary name in the same directory that does not end in
 * .prom, mode 0644, rename.  0 or -errno; on failure the old file stays and no temporary remains.
 */
int lt_output_replace(const char *path, const void *data, size_t len);
/* Checks early, at start-up, that lt_output_replace will work. */
int lt_output_check(const char *path);
/* Opens for writing from the start (--json, --record): creates 0644 or truncates our own regular
 * file; O_NOFOLLOW, O_CLOEXEC.  Character devices (/dev/null), pipes and FIFOs of ours or of root
 * are allowed. */
int lt_output_open(const char *path, FILE **file);
/* One line with the remedy for an error of the above, e.g. for "is a symbolic link". */
const char *lt_output_error(int error);

#endif
