/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LT_BPF_CLOSE_ALL_H
#define LT_BPF_CLOSE_ALL_H

#include <stddef.h>

/*
 * Closes links and perf events.  Each close waits for the kernel's grace periods (20-80 ms); waiting
 * for many of them at once makes a detach as short as the longest.
 */
void lt_close_all(int *fds, size_t count);

#endif
