// SPDX-License-Identifier: GPL-2.0-or-later
#include "trend/verdict.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

const char *lt_verdict_name(enum lt_verdict verdict)
{
	static const char *const names[] = {
		[LT_VERDICT_INSUFFICIENT_DATA] = "insufficient-data",
		[LT_VERDICT_STABLE] = "stable",
		[LT_VERDICT_WARMING] = "warming",
		[LT_VERDICT_SUSPECT] = "suspect",
		[LT_VERDICT_LEAKING] = "leaking",
	};

	return (size_t)verdict < ARRAY_SIZE(names) ? names[verdict] : "";
}

const char *lt_reason_text(enum lt_reason reason)
{
	static const char *const texts[] = {
		[LT_REASON_NONE] = "",
		[LT_REASON_YOUNG] = "watched for less than the shortest window",
		[LT_REASON_NO_GROWTH] = "no significant growth",
		[LT_REASON_TURNOVER] = "grows, but old resources keep being released",
		[LT_REASON_STOPPED] = "grew, but no longer does",
		[LT_REASON_BURST] = "the growth came at one time, not all the time",
		[LT_REASON_FEW] = "too few survivors to say",
		[LT_REASON_PRE_ATTACH] = "resources from before the attach are released as fast",
		[LT_REASON_LOSS] = "releases may have been lost",
		[LT_REASON_REPLACED] =
			"bytes grow while blocks are replaced: a growing array or table",
		[LT_REASON_PACED] =
			"grows while connections or threads do: some for each of them, or load",
		[LT_REASON_FILLING] =
			"grows, but what is released may be old: a cache that fills, or load",
		[LT_REASON_PLATEAU] = "survivors accumulate and are not released",
	};

	return (size_t)reason < ARRAY_SIZE(texts) ? texts[reason] : "";
}
