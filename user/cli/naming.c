// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/naming.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"

#define NS_PER_S 1000000000ULL
/*
 * Half of the default interval: a first report of bare addresses helps nobody, but one on time is
 * worth more than its names, which the next one has.  Counted from when names began to be awaited,
 * so that behind one slow file not every report is late.
 */
#define PATIENCE_NS (5 * NS_PER_S)
/*
 * The final report has no next one: it gets as long as one download (DEBUGINFOD_MAXTIME in
 * symbol/debuginfod.c).  Without a bound, a file of no end would keep a cron job for ever.
 */
#define LAST_PATIENCE_NS (60 * NS_PER_S)
/* Who waits for longer wonders why. */
#define TELL_AFTER_NS (2 * NS_PER_S)

static int ask(void *context, uint64_t pc)
{
	struct lt_naming *naming = context;
	int err = lt_symbolizer_ask(naming->symbolizer, pc);

	if (err == -ENOSPC && !naming->full) {
		naming->full = true;
		lt_warn("more than %d addresses to name at once: the rest stays without names",
			LT_MAX_LOOKUPS);
	}
	return err;
}

static int ask_all(struct lt_naming *naming, struct lt_pipeline *pipeline, uint64_t now_ns,
		   bool all)
{
	int err;

	if (!lt_symbolizer_pending(naming->symbolizer)) {
		naming->since_ns = now_ns;
		naming->until_ns = now_ns + PATIENCE_NS;
		naming->told_wait = false;
	}
	err = lt_pipeline_wanted(pipeline, now_ns, all, ask, naming);
	return err == -ENOSPC ? 0 : err;
}

int lt_naming_ask(struct lt_naming *naming, struct lt_pipeline *pipeline, uint64_t now_ns)
{
	return ask_all(naming, pipeline, now_ns, false);
}

int lt_naming_ask_last(struct lt_naming *naming, struct lt_pipeline *pipeline, uint64_t now_ns,
		       bool all)
{
	int err = ask_all(naming, pipeline, now_ns, all);

	naming->until_ns = now_ns + LAST_PATIENCE_NS;
	naming->last = true;
	naming->told_wait = false;
	return err;
}

/* The file mapped at an address; NULL: none, or code made at run time. */
static const char *path_of(const struct lt_symbol_store *symbols, uint64_t pc)
{
	const struct lt_module *module = lt_symbol_store_module(symbols, pc);

	return module ? module->path : NULL;
}

struct emission {
	const struct lt_symbol_store *symbols;
	struct lt_event event;
	lt_event_sink sink;
	void *context;
};

/* Code made at run time (JIT) may get its name later: unsaid, it will be wanted again. */
static int emit(void *context, const struct lt_event_symbol *symbol)
{
	struct emission *emission = context;

	if (!symbol->frame_count && !path_of(emission->symbols, symbol->pc))
		return 0;
	emission->event.symbol = *symbol;
	return emission->sink(emission->context, &emission->event);
}

int lt_naming_emit(struct lt_naming *naming, const struct lt_event *event, lt_event_sink sink,
		   void *context)
{
	struct emission emission = { naming->symbols, *event, sink, context };

	emission.event.type = LT_EVENT_SYMBOL;
	return lt_symbolizer_fetch(naming->symbolizer, emit, &emission);
}

bool lt_naming_awaited(const struct lt_naming *naming, uint64_t now_ns)
{
	return lt_symbolizer_pending(naming->symbolizer) && now_ns < naming->until_ns;
}

void lt_naming_tell(struct lt_naming *naming, uint64_t now_ns)
{
	size_t pending = lt_symbolizer_pending(naming->symbolizer);
	const char *path;
	uint64_t pc;

	if (!pending || now_ns - naming->since_ns < TELL_AFTER_NS)
		return;
	if (!naming->told_wait)
		lt_info("looking up %zu name%s%s", pending, pending == 1 ? "" : "s",
			naming->last ? "; Ctrl-C prints the report without them" : " ...");
	naming->told_wait = true;
	if (!lt_symbolizer_current(naming->symbolizer, &pc))
		return;
	path = path_of(naming->symbols, pc);
	if (!path || (naming->told.data && !strcmp(naming->told.data, path)))
		return;
	lt_buf_clear(&naming->told);
	lt_buf_str(&naming->told, path);
	lt_info("reading debug information of %s ...", path);
}

void lt_naming_free(struct lt_naming *naming)
{
	lt_buf_free(&naming->told);
}
