/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names come from hostile files, and opening a device or FIFO can block or do harm: look first,
 * through O_PATH, then open that very inode.
 */
#ifndef LT_SYMBOL_REGULAR_H
#define LT_SYMBOL_REGULAR_H

/* The regular file behind an O_PATH fd, for reading: a new fd, or -errno (-ENOENT: not regular). */
int lt_regular_reopen(int inode_fd);

#endif
