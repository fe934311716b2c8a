// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/text_look.h"

#include <time.h>

const struct lt_look lt_looks[LT_VERDICT_LEAKING + 1] = {
	[LT_VERDICT_INSUFFICIENT_DATA] = { "too early", "2", false },
	[LT_VERDICT_STABLE] = { "stable", "32", false },
	[LT_VERDICT_WARMING] = { "WARMING", "36", true },
	[LT_VERDICT_SUSPECT] = { "SUSPECT", "1;33", true },
	[LT_VERDICT_LEAKING] = { "LEAKING", "1;31", true },
};

const char *lt_look_plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

const char *lt_look_plus(double value)
{
	return value > 0 ? "+" : "";
}

void lt_look_clock(double realtime_s, bool with_date, char text[40])
{
	time_t seconds = (time_t)realtime_s;
	struct tm parts;

	text[0] = '\0';
	if (gmtime_r(&seconds, &parts))
		strftime(text, 40, with_date ? "%FT%TZ" : "%TZ", &parts);
}
