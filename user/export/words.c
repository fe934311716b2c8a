// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/types.h>

#include "export/words.h"

#include <string.h>

static const struct lt_word words[] = {
	{ "heap", "block", "blocks", "heap", "acquired", "released", "alive", "allocations survive",
	  "" },
	{ "mmap", "mapping", "mappings", "mappings", "mapped", "unmapped", "mapped",
	  "mappings survive", "" },
	{ "socket", "socket", "sockets", "", "opened", "closed", "open", "sockets stay open", "" },
	{ "fd", "descriptor", "descriptors", "", "opened", "closed", "open",
	  "descriptors stay open", "" },
	{ "thread", "thread", "threads", "", "started", "ended", "running", "threads run on", "" },
	{ "stack", "thread stack", "thread stacks", "thread stacks", "mapped", "unmapped", "mapped",
	  "thread stacks survive",
	  "thread stacks: of threads that run, are kept for reuse, or were never joined" },
	{ "goroutine", "goroutine", "goroutines", "", "came", "left", "there", "goroutines stay",
	  "" },
	{ "go-heap", "object", "objects", "Go heap", "allocated", "freed", "alive",
	  "allocations survive", "" },
	{ "http-body", "response body", "response bodies", "", "received", "closed", "open",
	  "response bodies stay open", "" },
	{ "ticker", "ticker", "tickers", "", "made", "stopped", "running", "tickers run on", "" },
	{ "context", "context", "contexts", "", "made", "cancelled", "live",
	  "contexts are not cancelled", "" },
};

static const struct lt_word any = { "",      "resource",          "resources",
				    "bytes", "acquired",          "released",
				    "alive", "resources survive", "" };

const char *const lt_listing_names[LT_LISTINGS] = {
	[LT_LISTING_NOWHERE] = "",
	[LT_LISTING_DESCRIPTORS] = "descriptors",
	[LT_LISTING_THREADS] = "threads",
	[LT_LISTING_GOROUTINES] = "goroutines",
};

const struct lt_word *lt_word_of(const char *kind)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strcmp(kind, words[i].kind))
			return &words[i];
	return &any;
}

const char *lt_word_count(const struct lt_word *word, uint64_t count)
{
	return count == 1 ? word->one : word->many;
}

bool lt_word_in_bytes(const char *unit)
{
	return !strcmp(unit, "bytes");
}
