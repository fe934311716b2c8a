// SPDX-License-Identifier: GPL-2.0-or-later
#include "go/logical.h"

#include "leaktrace/limits.h"

/* How many functions of the source are behind a return address; 1 if that is not known. */
static size_t depth_of(const struct lt_go_program *program, uint64_t frame)
{
	const struct lt_go_module *module = lt_go_program_module(program, frame - 1);
	struct lt_source_frame frames[LT_MAX_INLINE_DEPTH];
	size_t count = 0;

	if (!module || !lt_gopclntab_frames(lt_gofile_pclntab(module->file),
					    frame - 1 - module->bias, frames, &count))
		return 1;
	return count ? count : 1;
}

uint16_t lt_go_physical(const struct lt_go_program *program, const uint64_t *frames, uint16_t count,
			uint64_t *to)
{
	uint16_t kept = 0;
	size_t skip = 0;

	for (uint16_t i = 0; i < count && kept < LT_MAX_FRAMES; i++) {
		if (skip) {
			skip--;
			continue;
		}
		to[kept++] = frames[i];
		skip = depth_of(program, frames[i]) - 1;
	}
	return kept;
}
