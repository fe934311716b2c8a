// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/caller.h"

#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"
#include "report/role.h"

const struct lt_report_frame *lt_caller_find(const struct lt_report_site *site)
{
	const struct lt_report_frame *asker = lt_role_caller(site->frames, site->frame_count);

	for (uint32_t i = 0; !asker && i < site->frame_count; i++)
		if (!site->frames[i].mark)
			asker = &site->frames[i];
	return asker;
}

const char *lt_caller_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

void lt_caller_address(struct lt_buf *out, const struct lt_report_frame *frame, bool wide)
{
	lt_utf8_clean(out, wide ? frame->module : lt_caller_base_name(frame->module));
	lt_buf_printf(out, "%s0x%" PRIx64, frame->module[0] ? "+" : "", frame->offset);
}
