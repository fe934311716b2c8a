/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exit codes, as documented in the man page. */
#ifndef LT_CLI_EXIT_CODE_H
#define LT_CLI_EXIT_CODE_H

enum lt_exit_code {
	LT_EXIT_DONE = 0,
	LT_EXIT_FAILURE = 1,
	LT_EXIT_USAGE = 2,
	LT_EXIT_LEAK = 3,       /* only with --fail-on-leak */
	LT_EXIT_PERMISSION = 4, /* or a kernel that lacks something */
	LT_EXIT_NO_TARGET = 5,
};

#endif
