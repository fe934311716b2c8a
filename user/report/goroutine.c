// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/goroutine.h"

#include <string.h>

#include "report/known.h"
#include "report/role.h"

static uint32_t next_chain(const struct lt_report_site *site, uint32_t from)
{
	while (from < site->frame_count &&
	       !(site->frames[from].mark && site->frames[from].mark->class == LT_MARK_CLASS_CHAIN))
		from++;
	return from;
}

/* Whatever the module is called, this package is the program's own. */
static bool is_main(const struct lt_report_frame *frame)
{
	static const char package[] = "main.";

	return frame && !strncmp(frame->function, package, sizeof(package) - 1);
}

static const struct lt_report_frame *find_main(const struct lt_report_site *site, uint32_t from)
{
	for (uint32_t i = from; i < site->frame_count; i++)
		if (is_main(&site->frames[i]) && !lt_role_is_between(&site->frames[i]))
			return &site->frames[i];
	return NULL;
}

void lt_goroutine_read(const struct lt_report_site *site, struct lt_goroutine *goroutine)
{
	uint32_t end = next_chain(site, 0);

	*goroutine = (struct lt_goroutine){ 0 };
	if (end && site->frames[0].mark)
		goroutine->state = site->frames[0].mark;
	goroutine->at = lt_role_caller(site->frames, end);
	goroutine->within = lt_role_asker(site->frames, end);
	if (goroutine->within == goroutine->at)
		goroutine->within = NULL;
	if (goroutine->state)
		goroutine->shape = lt_known_shape(goroutine->state->value, site->frames, end);
	if (end == site->frame_count)
		return;
	goroutine->created = lt_role_caller(&site->frames[end + 1],
					    next_chain(site, end + 1) - (end + 1));
	if (!is_main(goroutine->at) && !is_main(goroutine->created))
		goroutine->own = find_main(site, end + 1);
}
