// SPDX-License-Identifier: GPL-2.0-or-later
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/replay_run.h"
#include "cli/session.h"

/*
 * Each process has large tables that mostly stay empty.  glibc would move such blocks into its heap
 * once one of them was freed (M_MMAP_THRESHOLD in mallopt(3)), and touch all of them to clear them.
 */
#define OWN_MAPPING_BYTES (256 << 10)

int main(int argc, char **argv)
{
	_lt_buf_ struct lt_buf text = { 0 };
	struct lt_options options;

	mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES);
	switch (lt_options_parse(&options, argc, argv, &text)) {
	case LT_OPTIONS_RUN:
		break;
	case LT_OPTIONS_EXIT:
		fputs(text.data ? text.data : "", stdout);
		return fflush(stdout) ? LT_EXIT_FAILURE : LT_EXIT_DONE;
	default:
		lt_error("%s", text.data ? text.data : "out of memory");
		return LT_EXIT_USAGE;
	}
	lt_log_set_level(options.quiet     ? LT_LOG_WARN
			 : options.verbose ? LT_LOG_DEBUG
					   : LT_LOG_INFO);
	if (options.mode == LT_MODE_REPLAY)
		return lt_replay_run(&options);
	return options.explain ? lt_session_explain(&options) : lt_session_run(&options);
}
