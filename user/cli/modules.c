// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "elf/image.h"
#include "proc/maps.h"

/* A target that maps code all the time costs us a look at /proc this often, not more. */
#define LOOK_PERIOD_NS   20000000ULL
#define MAX_REPLACEMENTS 64
#define MAX_TENANTS      512
#define MAX_TAG          UINT64_C(0xffff)

struct module {
	/* What makes it the same mapping as before... */
	uint64_t start, end, file_offset, device, inode;
	/* ... and what was found out about it. */
	uint64_t tag;           /* which of those that were there: lt_address_plain() in event.h */
	struct lt_table *table; /* NULL: no file, or none that can be read: frame pointers */
	uint64_t code_address;  /* ELF virtual address of start */
};

#define IDENTITY_BYTES offsetof(struct module, tag)

/* Code took the place of other code; walks between these times may have taken one for the other. */
struct replacement {
	uint64_t start, end, from_ns, to_ns;
};

/* What was at some addresses from or until then: stacks of that time are still on their way. */
struct tenant {
	uint64_t start, end, tag, time_ns;
};

/* A mapping of which we ever heard. */
struct place {
	struct module module; /* its table does not count */
	bool told;            /* as a MODULE event */
};

struct lt_modules {
	const struct lt_process *process;
	struct lt_tracer *tracer;
	struct lt_symbolizer *symbolizer;
	lt_event_sink sink;
	void *context;
	struct lt_tables *tables;
	struct lt_map_watch *watch; /* NULL: the kernel refused */
	int epoll_fd;
	struct module *known; /* the executable mappings of the last look, ascending */
	size_t known_count;
	uint64_t looked_ns;
	bool stale; /* a change was told since */
	struct replacement replacements[MAX_REPLACEMENTS];
	struct tenant arrived[MAX_TENANTS], left[MAX_TENANTS];
	unsigned int replacement_count, arrived_count, left_count; /* ever */
	struct place *places;
	size_t place_count;
	uint32_t next_id;
	uint64_t heard_ns; /* of mappings before, some were not told */
	bool replaced;     /* code stands where other code was announced: ids begin anew */
	bool full, ranges_full;
	uint64_t frames[LT_MAX_FRAMES]; /* of the stack that is checked */
};

static int watch_fds(struct lt_modules *modules)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fds[] = { lt_tables_fd(modules->tables),
		      modules->watch ? lt_map_watch_fd(modules->watch) : -1 };

	modules->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (modules->epoll_fd < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0 && epoll_ctl(modules->epoll_fd, EPOLL_CTL_ADD, fds[i], &event))
			return -errno;
	return 0;
}

int lt_modules_new(struct lt_modules **result, const struct lt_process *process,
		   struct lt_tracer *tracer, struct lt_symbolizer *symbolizer, lt_event_sink sink,
		   void *context)
{
	struct lt_modules *modules = calloc(1, sizeof(*modules));
	int err;

	if (!modules)
		return -ENOMEM;
	modules->process = process;
	modules->tracer = tracer;
	modules->symbolizer = symbolizer;
	modules->sink = sink;
	modules->context = context;
	modules->epoll_fd = -1;
	err = lt_tables_new(&modules->tables, lt_tracer_code(tracer));
	if (!err) {
		/* Before the first look, so that nothing falls in between. */
		if (lt_map_watch_open(&modules->watch, (uint32_t)process->tgid_init))
			lt_debug("new mappings are found once a second only: no perf events");
		err = watch_fds(modules);
	}
	if (err) {
		lt_modules_free(modules);
		return err;
	}
	*result = modules;
	return 0;
}

void lt_modules_free(struct lt_modules *modules)
{
	if (!modules)
		return;
	lt_map_watch_close(modules->watch);
	lt_tables_free(modules->tables);
	lt_close_p(&modules->epoll_fd);
	free(modules->known);
	free(modules->places);
	free(modules);
}

int lt_modules_fd(const struct lt_modules *modules)
{
	return modules->epoll_fd;
}

/* Both lists ascend: next is where the last search in the known one ended. */
static const struct module *find_known(const struct lt_modules *modules,
				       const struct module *module, size_t *next)
{
	while (*next < modules->known_count && modules->known[*next].start < module->start)
		++*next;
	return *next < modules->known_count &&
			       memcmp(&modules->known[*next], module, IDENTITY_BYTES) == 0
		       ? &modules->known[*next]
		       : NULL;
}

/* The module's file, as far as there is one: its build-id, its unwind table. */
static int open_table(struct lt_modules *modules, struct module *module, int fd,
		      struct lt_file_identity *identity)
{
	struct lt_image *image;
	bool code;

	if (lt_image_open(&image, fd))
		return 0;
	identity->build_id_len = (uint32_t)lt_image_build_id(image, identity->build_id);
	code = lt_image_code_address(image, module->file_offset, &module->code_address);
	lt_image_close(image);
	fd = code ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	return fd < 0 ? 0 : lt_tables_get(modules->tables, identity, fd, &module->table);
}

/*
 * Finds or makes the place of a mapping, and with it the tag that its addresses carry.  The same
 * file at the same addresses means the same as before; JIT code, which has no file, means nothing
 * by its addresses.  NULL: no memory, or too many.
 */
static struct place *place_of(struct lt_modules *modules, struct module *module)
{
	size_t count = modules->place_count;
	struct place *places, *found = NULL;
	bool overlaps = false;
	uint64_t highest = 0;

	for (size_t i = 0; i < count; i++) {
		const struct module *other = &modules->places[i].module;

		if (other->start >= module->end || module->start >= other->end)
			continue;
		overlaps = true;
		if (other->tag > highest)
			highest = other->tag;
		if (memcmp(other, module, IDENTITY_BYTES) == 0 || (!other->inode && !module->inode))
			found = &modules->places[i];
	}
	modules->replaced |= overlaps && (highest > 0 || !found);
	module->tag = found ? found->module.tag : !overlaps ? 0 : highest + 1;
	if (found)
		return found;
	if (count == LT_MAX_MODULES || module->tag >= MAX_TAG) {
		module->tag = MAX_TAG;
		return NULL;
	}
	if ((count & (count - 1)) == 0) { /* a power of two: full */
		places = reallocarray(modules->places, count ? count * 2 : 1, sizeof(*places));
		if (!places)
			return NULL;
		modules->places = places;
	}
	modules->places[modules->place_count++] = (struct place){ .module = *module };
	return &modules->places[count];
}

/* Tells the rest of us: a MODULE event. */
static int announce(struct lt_modules *modules, const struct module *module,
		    const struct lt_mapping *mapping, const struct lt_file_identity *identity,
		    int *fd, uint64_t now_ns)
{
	struct lt_event event = {
		.type = LT_EVENT_MODULE,
		.tgid = (uint32_t)modules->process->tgid_init,
		.time_ns = now_ns,
		.module = {
			.module_id = modules->next_id++,
			.start = module->start | module->tag << LT_ADDRESS_BITS,
			.end = module->end | module->tag << LT_ADDRESS_BITS,
			.file_offset = module->file_offset,
			.path = mapping->path,
			.build_id = identity->build_id,
			.build_id_len = identity->build_id_len,
		},
	};
	int err = lt_symbolizer_add_module(modules->symbolizer, &event.module, lt_take_fd(fd));

	return err ? err : modules->sink(modules->context, &event);
}

/* A mapping that was not there at the last look. */
static int add_module(struct lt_modules *modules, struct module *module,
		      const struct lt_mapping *mapping, uint64_t now_ns)
{
	_lt_close_ int fd = mapping->inode ? lt_maps_open_file(modules->process, mapping) : -1;
	struct lt_file_identity identity = { .device = mapping->device, .inode = mapping->inode };
	struct place *place;
	int err = 0;

	if (fd >= 0)
		err = open_table(modules, module, fd, &identity);
	else if (strcmp(mapping->path, "[vdso]") == 0)
		err = lt_tables_get(modules->tables, &identity, -1, &module->table);
	if (err)
		return err;
	place = place_of(modules, module);
	if (!place && !modules->full)
		lt_warn("more than %d executable mappings: code in the rest stays unnamed",
			LT_MAX_MODULES);
	modules->full |= !place;
	if (!place || place->told)
		return 0;
	place->told = true;
	return announce(modules, module, mapping, &identity, &fd, now_ns);
}

/* Adds a range, or makes the last one longer if this is more of the same. */
static size_t add_range(struct lt_code_range *ranges, size_t count,
			const struct lt_code_range *range)
{
	struct lt_code_range *last = count ? &ranges[count - 1] : NULL;

	if (last && last->end == range->start && last->source == LT_CODE_FRAME_POINTER &&
	    range->source == LT_CODE_FRAME_POINTER) {
		last->end = range->end;
		return count;
	}
	ranges[count] = *range;
	return count + 1;
}

/* Tells the stack walker. */
static int set_ranges(struct lt_modules *modules)
{
	_lt_free_ struct lt_code_range *ranges = calloc(modules->known_count + 1, sizeof(*ranges));
	size_t count = 0;

	if (!ranges)
		return -ENOMEM;
	lt_tables_unmark(modules->tables);
	for (size_t i = 0; i < modules->known_count; i++) {
		const struct module *module = &modules->known[i];
		struct lt_code_range range = { module->start, module->end,
					       .source = LT_CODE_FRAME_POINTER };

		if (module->table) {
			lt_table_describe(module->table, module->code_address, &range);
			lt_table_mark(module->table);
		}
		count = add_range(ranges, count, &range);
	}
	if (lt_code_set_ranges(lt_tracer_code(modules->tracer), ranges, count, modules->replaced) &&
	    !modules->ranges_full) {
		lt_warn("more than %d executable ranges: stacks end in the rest",
			LT_MAX_CODE_RANGES);
		modules->ranges_full = true;
	}
	modules->replaced = false;
	lt_tables_sweep(modules->tables);
	return 0;
}

/* A trampoline of the kernel is no code of the target: stack.bpf.h asks the kernel instead. */
static bool is_code(const struct lt_mapping *mapping)
{
	return mapping->executable && strncmp(mapping->path, "[uprobes", strlen("[uprobes")) != 0;
}

static void note_left(struct lt_modules *modules, const struct module *module, uint64_t time_ns)
{
	modules->left[modules->left_count++ % MAX_TENANTS] =
		(struct tenant){ module->start, module->end, module->tag, time_ns };
}

/* Remembers the known modules that are not there any more. */
static void retire(struct lt_modules *modules, const struct module *seen, size_t seen_count,
		   uint64_t now_ns)
{
	size_t next = 0;

	for (size_t i = 0; i < modules->known_count; i++) {
		const struct module *module = &modules->known[i];

		while (next < seen_count && seen[next].start < module->start)
			next++;
		if (next < seen_count && memcmp(&seen[next], module, IDENTITY_BYTES) == 0)
			continue;
		note_left(modules, module, now_ns);
	}
}

int lt_modules_update(struct lt_modules *modules, uint64_t now_ns)
{
	_lt_free_ struct module *seen = NULL;
	struct lt_maps maps = { 0 };
	size_t count = 0, next = 0;
	bool changed = false;
	int err, status;

	modules->stale = false;
	modules->looked_ns = now_ns;
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
		struct module *module = &seen[count];
		const struct module *known;

		if (!is_code(mapping))
			continue;
		*module = (struct module){ .start = mapping->start,
					   .end = mapping->end,
					   .file_offset = mapping->file_offset,
					   .device = mapping->device,
					   .inode = mapping->inode };
		known = find_known(modules, module, &next);
		if (known)
			*module = *known;
		else
			err = add_module(modules, module, mapping, now_ns);
		changed |= !known;
		count++;
	}
	lt_maps_free(&maps);
	if (err || (!changed && count == modules->known_count))
		return err;
	retire(modules, seen, count, now_ns);
	free(modules->known);
	modules->known = lt_take_ptr(seen);
	modules->known_count = count;
	return set_ranges(modules);
}

int lt_modules_start(struct lt_modules *modules, uint64_t now_ns)
{
	int err = lt_modules_update(modules, now_ns);

	if (err)
		return err;
	lt_tables_wait(modules->tables);
	return lt_tables_collect(modules->tables) ? set_ranges(modules) : 0;
}

/* The known module that overlaps a range, or NULL. */
static const struct module *overlapped(const struct lt_modules *modules, uint64_t start,
				       uint64_t end)
{
	size_t low = 0, high = modules->known_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (modules->known[middle].end <= start)
			low = middle + 1;
		else
			high = middle;
	}
	return low < modules->known_count && modules->known[low].start < end ? &modules->known[low]
									     : NULL;
}

static void note_change(void *context, const struct lt_map_change *change)
{
	struct lt_modules *modules = context;
	const struct module *before = overlapped(modules, change->start, change->end);
	struct module module = { .start = change->start,
				 .end = change->end,
				 .file_offset = change->file_offset,
				 .device = change->device,
				 .inode = change->inode };

	/* JIT compilers change the rights of their pages all the time: that is nothing new. */
	if (!modules->stale && before && !before->inode && !change->inode &&
	    before->start <= change->start && before->end >= change->end)
		return;
	modules->stale = true;
	place_of(modules, &module);
	modules->arrived[modules->arrived_count++ % MAX_TENANTS] =
		(struct tenant){ module.start, module.end, module.tag, change->time_ns };
	if (!before)
		return;
	note_left(modules, before, change->time_ns);
	modules->replacements[modules->replacement_count++ % MAX_REPLACEMENTS] =
		(struct replacement){ change->start, change->end, change->time_ns, UINT64_MAX };
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000ULL + (uint64_t)time.tv_nsec;
}

static void read_watch(struct lt_modules *modules)
{
	if (!modules->watch ||
	    lt_map_watch_read(modules->watch, note_change, modules) != -EOVERFLOW)
		return;
	modules->stale = true;
	modules->heard_ns = now();
}

/* The walker knows of these now. */
static void close_replacements(struct lt_modules *modules, uint64_t told_ns)
{
	for (size_t i = 0; i < MAX_REPLACEMENTS; i++)
		if (modules->replacements[i].to_ns == UINT64_MAX &&
		    modules->replacements[i].from_ns <= told_ns)
			modules->replacements[i].to_ns = now();
}

int lt_modules_follow(struct lt_modules *modules, uint64_t now_ns)
{
	int err = 0;

	read_watch(modules);
	if (modules->stale && now_ns - modules->looked_ns >= LOOK_PERIOD_NS) {
		uint64_t told_ns = now();

		err = lt_modules_update(modules, now_ns);
		close_replacements(modules, told_ns);
	}
	if (!err && lt_tables_collect(modules->tables))
		err = set_ranges(modules);
	return err;
}

/* 0: at most one mapping was ever there. */
static uint64_t highest_tag_at(const struct lt_modules *modules, uint64_t address)
{
	uint64_t highest = 0;

	for (size_t i = 0; i < modules->place_count; i++) {
		const struct module *module = &modules->places[i].module;

		if (address - module->start < module->end - module->start && module->tag > highest)
			highest = module->tag;
	}
	return highest;
}

static size_t tenants(unsigned int count_ever)
{
	return count_ever < MAX_TENANTS ? count_ever : MAX_TENANTS;
}

/* Whose the address was at that time.  MAX_TAG, which no place has, if that is not known any more.
 */
static uint64_t tag_of(const struct lt_modules *modules, uint64_t address, uint64_t time_ns)
{
	const struct tenant *last = NULL, *next = NULL;
	const struct module *module = overlapped(modules, address, address + 1);
	uint64_t oldest_ns = modules->heard_ns;

	for (size_t i = 0; i < tenants(modules->arrived_count); i++) {
		const struct tenant *arrived = &modules->arrived[i];

		if (address - arrived->start < arrived->end - arrived->start &&
		    arrived->time_ns <= time_ns && (!last || arrived->time_ns > last->time_ns))
			last = arrived;
	}
	for (size_t i = 0; i < tenants(modules->left_count); i++) {
		const struct tenant *left = &modules->left[i];

		if (address - left->start < left->end - left->start && left->time_ns > time_ns &&
		    (!next || left->time_ns < next->time_ns))
			next = left;
	}
	if (modules->arrived_count > MAX_TENANTS) {
		const struct tenant *oldest =
			&modules->arrived[modules->arrived_count % MAX_TENANTS];

		if (oldest->time_ns > oldest_ns)
			oldest_ns = oldest->time_ns;
	}
	if (last)
		return last->tag;
	if (time_ns < oldest_ns && highest_tag_at(modules, address) > 0)
		return MAX_TAG;
	if (next)
		return next->tag;
	return module ? module->tag : highest_tag_at(modules, address) ? MAX_TAG : 0;
}

/* The first frame in code that was replaced just then, from the leaf, or the number of frames. */
static uint16_t first_in_doubt(const struct lt_modules *modules, const struct lt_event_stack *stack,
			       uint64_t time_ns)
{
	uint16_t first = stack->frame_count;

	for (size_t r = 0; r < MAX_REPLACEMENTS; r++) {
		const struct replacement *replaced = &modules->replacements[r];

		if (time_ns < replaced->from_ns || time_ns >= replaced->to_ns)
			continue;
		for (uint16_t i = 0; i < first; i++)
			if (stack->frames[i] - 1 - replaced->start <
			    replaced->end - replaced->start)
				first = i;
	}
	return first;
}

void lt_modules_place_stack(struct lt_modules *modules, struct lt_event_stack *stack,
			    uint64_t time_ns)
{
	uint16_t doubt;

	/* What was mapped before this stack was walked has been told by now. */
	read_watch(modules);
	doubt = first_in_doubt(modules, stack, time_ns);
	if (doubt < stack->frame_count) {
		stack->frame_count = doubt + 1;
		stack->end = LT_STACK_PENDING;
	}
	for (uint16_t i = 0; i < stack->frame_count; i++)
		modules->frames[i] = stack->frames[i] |
				     tag_of(modules, stack->frames[i] - 1, time_ns)
					     << LT_ADDRESS_BITS;
	stack->frames = modules->frames;
}

void lt_modules_print(const struct lt_modules *modules, struct lt_buf *out)
{
	struct lt_tables_summary tables;
	struct lt_code_usage usage;

	lt_tables_summary(modules->tables, &tables);
	lt_code_usage(lt_tracer_code(modules->tracer), &usage);
	lt_buf_printf(out,
		      "unwind tables: %" PRIu64 " rows of %zu files in %.1f MiB (%" PRIu64
		      " of %" PRIu64 " words, %u of %u rules, %zu of %zu ranges)",
		      tables.rows, tables.files, (double)usage.words * 4 / (1 << 20), usage.words,
		      usage.words_max, usage.rules, usage.rules_max, usage.ranges,
		      usage.ranges_max);
}
