// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/modules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "elf/image.h"
#include "proc/maps.h"

struct known {
	uint64_t start, end, file_offset, device, inode;
};

struct lt_modules {
	const struct lt_process *process;
	struct lt_tracer *tracer;
	struct lt_resolver *resolver;
	lt_event_sink sink;
	void *context;
	struct known *known; /* the executable mappings of the last look */
	size_t known_count;
	uint32_t next_id;
	bool full;
};

int lt_modules_new(struct lt_modules **result, const struct lt_process *process,
		   struct lt_tracer *tracer, struct lt_resolver *resolver, lt_event_sink sink,
		   void *context)
{
	struct lt_modules *modules = calloc(1, sizeof(*modules));

	if (!modules)
		return -ENOMEM;
	modules->process = process;
	modules->tracer = tracer;
	modules->resolver = resolver;
	modules->sink = sink;
	modules->context = context;
	*result = modules;
	return 0;
}

void lt_modules_free(struct lt_modules *modules)
{
	if (!modules)
		return;
	free(modules->known);
	free(modules);
}

/* Both lists ascend: next is where the last search in the known one ended. */
static bool is_known(const struct lt_modules *modules, const struct known *entry, size_t *next)
{
	while (*next < modules->known_count && modules->known[*next].start < entry->start)
		++*next;
	return *next < modules->known_count &&
	       memcmp(&modules->known[*next], entry, sizeof(*entry)) == 0;
}

static int announce(struct lt_modules *modules, const struct lt_mapping *mapping, uint64_t now_ns)
{
	int fd = mapping->inode ? lt_maps_open_file(modules->process, mapping) : -1;
	struct lt_event event = {
		.type = LT_EVENT_MODULE,
		.tgid = (uint32_t)modules->process->tgid_init,
		.time_ns = now_ns,
		.module = {
			.module_id = modules->next_id,
			.start = mapping->start,
			.end = mapping->end,
			.file_offset = mapping->file_offset,
			.path = mapping->path,
		},
	};
	uint8_t build_id[LT_MAX_BUILD_ID];
	struct lt_image *image;
	int err;

	if (fd >= 0 && lt_image_open(&image, fd) == 0) {
		event.module.build_id_len = (uint32_t)lt_image_build_id(image, build_id);
		event.module.build_id = build_id;
		lt_image_close(image);
	}
	if (modules->next_id == LT_MAX_MODULES) {
		if (!modules->full)
			lt_warn("more than %d executable mappings: code in the rest stays unnamed",
				LT_MAX_MODULES);
		modules->full = true;
		if (fd >= 0)
			close(fd);
		return 0;
	}
	modules->next_id++;
	err = lt_resolver_add_module(modules->resolver, &event.module, fd < 0 ? -1 : fd);
	return err ? err : modules->sink(modules->context, &event);
}

int lt_modules_update(struct lt_modules *modules, uint64_t now_ns)
{
	_lt_free_ struct known *seen = NULL;
	struct lt_maps maps = { 0 };
	size_t count = 0, next = 0;
	bool changed = false;
	int err, status;

	if (lt_maps_read(modules->process, &maps))
		return 0;
	/* After an exec these are another image's, whose names must not be given to the old stacks.
	 */
	if (lt_tracer_ended(modules->tracer, &status) != LT_TRACER_RUNNING) {
		lt_maps_free(&maps);
		return 0;
	}
	seen = calloc(maps.count + 1, sizeof(*seen));
	err = seen ? 0 : -ENOMEM;
	for (size_t i = 0; i < maps.count && !err; i++) {
		const struct lt_mapping *mapping = &maps.entries[i];

		if (!mapping->executable)
			continue;
		seen[count] = (struct known){ mapping->start, mapping->end, mapping->file_offset,
					      mapping->device, mapping->inode };
		if (!is_known(modules, &seen[count], &next)) {
			err = announce(modules, mapping, now_ns);
			changed = true;
		}
		count++;
	}
	if (!err && (changed || count != modules->known_count)) {
		if (lt_tracer_set_code(modules->tracer, &maps))
			lt_debug("more than %d executable ranges: stacks end early in the rest",
				 LT_MAX_EXEC_RANGES);
		free(modules->known);
		modules->known = lt_take_ptr(seen);
		modules->known_count = count;
	}
	lt_maps_free(&maps);
	return err;
}
