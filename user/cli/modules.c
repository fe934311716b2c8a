// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
#include "cli/places.h"
#include "cli/tenancy.h"
#include "elf/image.h"
#include "proc/maps.h"

/*
 * A target that maps code all the time costs us a look at /proc this often, and no more than a
 * tenth of our time.
 */
#define LOOK_PERIOD_NS 20000000ULL
#define LOOK_SHARE     10

struct module {
	/* What makes it the same mapping as before... */
	uint64_t start, end, file_offset, device, inode;
	/* ... and what was found out about it. */
	uint64_t version; /* hash of what tells a file from one written over it; 0: JIT code */
	uint64_t tag;     /* which of those that were there: lt_address_plain() in event.h */
	struct lt_table *table; /* NULL: frame pointers, or nothing at all if unreadable */
	uint64_t code_address;  /* ELF virtual address of start */
	bool unreadable;        /* there is a file, but we cannot have it */
	bool doubtful;          /* something was mapped there since the last look */
};

#define IDENTITY_BYTES offsetof(struct module, version)

struct lt_modules {
	const struct lt_process *process;
	uint32_t number; /* of that process, in events */
	const struct lt_modules_shared *shared;
	struct lt_symbolizer *symbolizer;
	uint32_t space;       /* in BPF; 0: there was none left */
	struct module *known; /* the executable mappings of the last look, ascending */
	size_t known_count;
	uint64_t looked_ns, next_look_ns;
	uint64_t heard_ns; /* what was mapped before has been told */
	bool stale;        /* a change was told since */
	struct lt_places places;
	uint32_t next_id;
	bool full, ranges_full;
	unsigned int changes; /* of the list of files, ever */
	struct lt_tenancy tenancy;
	uint64_t frames[LT_MAX_FRAMES]; /* of the stack that is placed */
};

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000ULL + (uint64_t)time.tv_nsec;
}

int lt_modules_new(struct lt_modules **result, const struct lt_process *process, uint32_t number,
		   struct lt_modules_shared *shared, struct lt_symbolizer *symbolizer)
{
	struct lt_modules *modules = calloc(1, sizeof(*modules));
	int err;

	if (!modules)
		return -ENOMEM;
	modules->process = process;
	modules->number = number;
	modules->shared = shared;
	modules->symbolizer = symbolizer;
	err = lt_code_add_space(lt_tracer_code(shared->tracer), &modules->space);
	if (err == -E2BIG) {
		if (!shared->told_full)
			lt_warn("more than %d programs at a time: stacks of the others end in the "
				"first frame",
				LT_MAX_SPACES);
		shared->told_full = true;
		err = 0;
	}
	if (err) {
		free(modules);
		return err;
	}
	*result = modules;
	return 0;
}

int lt_modules_serve(struct lt_modules *modules, uint32_t number)
{
	return lt_code_assign(lt_tracer_code(modules->shared->tracer), number, modules->space);
}

void lt_modules_move(struct lt_modules *modules, const struct lt_process *process, uint32_t number)
{
	modules->process = process;
	modules->number = number;
	modules->stale = true;
}

void lt_modules_free(struct lt_modules *modules)
{
	if (!modules)
		return;
	if (modules->space) {
		lt_code_drop_space(lt_tracer_code(modules->shared->tracer), modules->space);
		lt_tables_unmark(modules->shared->tables, modules->space);
		lt_tables_sweep(modules->shared->tables);
	}
	free(modules->known);
	lt_places_free(&modules->places);
	free(modules);
}

/* The module's file, as far as there is one: its build-id, its unwind table. */
static int open_file(struct lt_modules *modules, struct module *module, int fd,
		     struct lt_file_identity *identity)
{
	struct lt_image *image;
	struct stat status;
	bool code;

	if (fstat(fd, &status))
		return 0;
	module->version = lt_fnv1a(LT_FNV_SEED, &status.st_mtim, sizeof(status.st_mtim));
	module->version = lt_fnv1a(module->version, &status.st_size, sizeof(status.st_size)) | 1;
	if (lt_image_open(&image, fd))
		return 0;
	identity->build_id_len = (uint32_t)lt_image_build_id(image, identity->build_id);
	identity->version = module->version;
	code = lt_image_code_address(image, module->file_offset, &module->code_address);
	lt_image_close(image);
	fd = code ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	module->unreadable = code && fd < 0; /* out of descriptors: that is not "no CFI" */
	return fd < 0 ? 0 : lt_tables_get(modules->shared->tables, identity, fd, &module->table);
}

static void say_full(struct lt_modules *modules)
{
	if (!modules->full)
		lt_warn("more than %d executable mappings: code in the rest stays unnamed",
			LT_MAX_MODULES);
	modules->full = true;
}

/* The tag that the addresses of a mapping carry.  *told: this needs no MODULE event. */
static int choose_place(struct lt_modules *modules, struct module *module, bool *told)
{
	struct lt_place made = {
		.start = module->start,
		.end = module->end,
		.bias = module->start - module->file_offset,
		.device = module->device,
		.inode = module->inode,
		.version = module->version,
	};
	int err = lt_places_choose(&modules->places, &made, told);

	module->tag = err == -E2BIG ? LT_TAG_UNKNOWN : made.tag;
	if (err != -E2BIG)
		return err;
	say_full(modules);
	*told = true;
	return 0;
}

static int announce(struct lt_modules *modules, const struct module *module,
		    const struct lt_mapping *mapping, const struct lt_file_identity *identity,
		    int *fd, uint64_t now_ns)
{
	struct lt_event event = {
		.type = LT_EVENT_MODULE,
		.tgid = modules->number,
		.time_ns = now_ns,
		.module = {
			.module_id = modules->next_id,
			.start = module->start | module->tag << LT_ADDRESS_BITS,
			.end = module->end | module->tag << LT_ADDRESS_BITS,
			.file_offset = module->file_offset,
			.path = mapping->path,
			.build_id = identity->build_id,
			.build_id_len = identity->build_id_len,
		},
	};
	int err;

	/* Parts of one file are told apart: there can be more of them than places. */
	if (modules->next_id == LT_MAX_MODULES) {
		say_full(modules);
		return 0;
	}
	modules->next_id++;
	err = lt_symbolizer_add_module(modules->symbolizer, &event.module, lt_take_fd(fd));
	return err ? err : modules->shared->sink(modules->shared->context, &event);
}

/* A mapping that was not there at the last look, or may be another one. */
static int add_module(struct lt_modules *modules, struct module *module,
		      const struct lt_mapping *mapping, uint64_t now_ns)
{
	_lt_close_ int fd = mapping->inode ? lt_maps_open_file(modules->process, mapping) : -1;
	struct lt_file_identity identity = { .device = mapping->device, .inode = mapping->inode };
	bool told;
	int err = 0;

	module->unreadable = mapping->inode && fd < 0;
	module->version = mapping->inode != 0;
	if (fd >= 0) {
		err = open_file(modules, module, fd, &identity);
	} else if (strcmp(mapping->path, "[vdso]") == 0) {
		module->version = 1;
		err = lt_tables_get(modules->shared->tables, &identity, -1, &module->table);
	}
	if (!err)
		err = choose_place(modules, module, &told);
	if (err || told)
		return err;
	return announce(modules, module, mapping, &identity, &fd, now_ns);
}

/* Adds a range, or makes the last one longer if this is more of the same. */
static size_t add_range(struct lt_code_range *ranges, size_t count,
			const struct lt_code_range *range)
{
	struct lt_code_range *last = count ? &ranges[count - 1] : NULL;

	if (last && last->end == range->start && last->source == LT_CODE_FRAME_POINTER &&
	    range->source == LT_CODE_FRAME_POINTER && last->tag == range->tag) {
		last->end = range->end;
		return count;
	}
	ranges[count] = *range;
	return count + 1;
}

static struct lt_code_range describe(const struct module *module, uint32_t space)
{
	struct lt_code_range range = {
		.start = module->start,
		.end = module->end,
		.source = module->unreadable ? LT_CODE_PENDING : LT_CODE_FRAME_POINTER,
		.tag = (uint32_t)module->tag,
	};

	if (module->table) {
		lt_table_describe(module->table, module->code_address, &range);
		lt_table_mark(module->table, space);
	}
	return range;
}

/* Tells the stack walker.  Of too many ranges those of JIT code are left out first. */
static int set_ranges(struct lt_modules *modules)
{
	_lt_free_ struct lt_code_range *ranges = calloc(modules->known_count + 1, sizeof(*ranges));
	size_t count = 0, files = 0, room;

	if (!ranges)
		return -ENOMEM;
	if (!modules->space)
		return 0;
	for (size_t i = 0; i < modules->known_count; i++)
		files += modules->known[i].inode != 0;
	room = files < LT_MAX_CODE_RANGES ? LT_MAX_CODE_RANGES - files : 0;
	lt_tables_unmark(modules->shared->tables, modules->space);
	for (size_t i = 0; i < modules->known_count; i++) {
		const struct module *module = &modules->known[i];
		struct lt_code_range range = describe(module, modules->space);

		if (!module->inode && !module->table && !room)
			continue;
		room -= !module->inode && room;
		count = add_range(ranges, count, &range);
	}
	if ((lt_code_set_ranges(lt_tracer_code(modules->shared->tracer), modules->space, ranges,
				count) ||
	     !room) &&
	    !modules->ranges_full) {
		lt_warn("more than %d executable ranges: stacks end in some of the code without a "
			"file",
			LT_MAX_CODE_RANGES);
		modules->ranges_full = true;
	}
	lt_tables_sweep(modules->shared->tables);
	return 0;
}

/* A trampoline of the kernel is no code of the target: unwind.bpf.h asks the kernel instead. */
static bool is_code(const struct lt_mapping *mapping)
{
	return mapping->executable && strncmp(mapping->path, "[uprobes", strlen("[uprobes")) != 0;
}

/* The known module that overlaps a range, or NULL. */
static struct module *overlapped(const struct lt_modules *modules, uint64_t start, uint64_t end)
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

/* Both lists ascend: next is where the last search in the known one ended. */
static const struct module *find_known(const struct lt_modules *modules,
				       const struct module *module, size_t *next)
{
	const struct module *known;

	while (*next < modules->known_count && modules->known[*next].start < module->start)
		++*next;
	known = *next < modules->known_count ? &modules->known[*next] : NULL;
	return known && !known->doubtful && memcmp(known, module, IDENTITY_BYTES) == 0 ? known
										       : NULL;
}

/* Remembers what is not there any more, or has become something else. */
static void retire(struct lt_modules *modules, const struct module *seen, size_t count,
		   uint64_t ended_ns)
{
	size_t next = 0;

	for (size_t i = 0; i < modules->known_count; i++) {
		const struct module *module = &modules->known[i];

		while (next < count && seen[next].end <= module->start)
			next++;
		if (next < count && seen[next].start <= module->start &&
		    seen[next].end >= module->end && seen[next].tag == module->tag &&
		    seen[next].version == module->version)
			continue;
		lt_tenancy_leave(&modules->tenancy, module->start, module->end, module->tag,
				 ended_ns);
		/* Something else stands there: since when, nobody told. */
		if (next < count && seen[next].start < module->end && seen[next].tag != module->tag)
			lt_tenancy_doubt(&modules->tenancy, module->start, module->end,
					 modules->looked_ns, ended_ns);
	}
}

/* Names a part of a file, as a mapping or the news of one tells it. */
static uint64_t file_key(uint64_t device, uint64_t inode, uint64_t bias)
{
	return inode ? lt_mix64(device ^ lt_mix64(inode ^ lt_mix64(bias))) : 0;
}

static uint64_t tag_at(void *context, uint64_t address, uint64_t file)
{
	const struct lt_modules *modules = context;
	const struct module *module = overlapped(modules, address, address + 1);

	return module && file == file_key(module->device, module->inode,
					  module->start - module->file_offset)
		       ? module->tag
		       : LT_TAG_UNKNOWN;
}

/* What /proc/PID/maps says, with what is known already.  0 modules, if it cannot be read. */
static int look(struct lt_modules *modules, uint64_t now_ns, struct module **result, size_t *count,
		bool *changed)
{
	_lt_free_ struct module *seen = NULL;
	struct lt_maps maps = { 0 };
	size_t next = 0;
	int err = lt_maps_read(modules->process, &maps);

	if (err)
		return err;
	seen = calloc(maps.count + 1, sizeof(*seen));
	err = seen ? 0 : -ENOMEM;
	*count = 0;
	for (size_t i = 0; i < maps.count && !err; i++) {
		const struct lt_mapping *mapping = &maps.entries[i];
		struct module *module = &seen[*count];
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
		*changed |= !known;
		++*count;
	}
	lt_maps_free(&maps);
	if (!err)
		*result = lt_take_ptr(seen);
	return err;
}

void lt_modules_note(struct lt_modules *modules, const struct lt_map_change *change)
{
	struct module *before = overlapped(modules, change->start, change->end);

	/* JIT compilers change the rights of their pages all the time: that is nothing new. */
	if (!modules->stale && before && !before->inode && !change->inode &&
	    before->start <= change->start && before->end >= change->end)
		return;
	modules->stale = true;
	for (; before < modules->known + modules->known_count && before &&
	       before->start < change->end;
	     before++) {
		lt_tenancy_leave(&modules->tenancy, before->start, before->end, before->tag,
				 change->time_ns);
		before->doubtful = true;
	}
	lt_tenancy_arrive(
		&modules->tenancy, change->start, change->end,
		file_key(change->device, change->inode, change->start - change->file_offset),
		change->time_ns);
}

void lt_modules_doubt(struct lt_modules *modules)
{
	modules->stale = true;
	for (size_t i = 0; i < modules->known_count; i++)
		modules->known[i].doubtful = true;
	lt_tenancy_doubt(&modules->tenancy, 0, UINT64_MAX, modules->looked_ns, now());
}

/* What was mapped until now is told, to whom it concerns. */
static void read_watch(const struct lt_modules *modules)
{
	modules->shared->listen(modules->shared->context);
}

int lt_modules_update(struct lt_modules *modules, uint64_t now_ns)
{
	uint64_t began_ns = now(), ended_ns;
	_lt_free_ struct module *seen = NULL;
	bool changed = false;
	size_t count = 0;
	int err;

	/* After an exec these are another image's, whose names must not be given to the old stacks.
	 */
	if (!lt_tracer_has_image(modules->shared->tracer, (uint32_t)modules->process->tgid_init,
				 modules->number))
		return 0;
	read_watch(modules);
	modules->stale = false;
	err = look(modules, now_ns, &seen, &count, &changed);
	modules->next_look_ns = now() + (now() - began_ns) * LOOK_SHARE;
	if (modules->next_look_ns < began_ns + LOOK_PERIOD_NS)
		modules->next_look_ns = began_ns + LOOK_PERIOD_NS;
	if (err)
		return err == -ENOMEM ? err : 0; /* else the target is gone */
	ended_ns = now();
	if (changed || count != modules->known_count) {
		retire(modules, seen, count, ended_ns);
		free(modules->known);
		modules->known = lt_take_ptr(seen);
		modules->known_count = count;
		modules->changes++;
		err = set_ranges(modules);
	}
	modules->looked_ns = began_ns;
	lt_tenancy_resolve(&modules->tenancy, began_ns, tag_at, modules);
	/* What was cut may be told whole from now on. */
	if (lt_tenancy_close(&modules->tenancy, began_ns, now()))
		lt_tracer_resend_stacks(modules->shared->tracer);
	return err;
}

int lt_modules_start(struct lt_modules *modules, uint64_t now_ns)
{
	int err = lt_modules_update(modules, now_ns);

	if (err)
		return err;
	lt_tables_wait(modules->shared->tables);
	lt_tables_collect(modules->shared->tables);
	return set_ranges(modules);
}

int lt_modules_follow(struct lt_modules *modules, uint64_t now_ns, bool tables_changed)
{
	int err = 0;

	if (modules->stale && now_ns >= modules->next_look_ns)
		err = lt_modules_update(modules, now_ns);
	if (!err && tables_changed)
		err = set_ranges(modules);
	return err;
}

unsigned int lt_modules_changes(const struct lt_modules *modules)
{
	return modules->changes;
}

int lt_modules_place_stack(struct lt_modules *modules, struct lt_event_stack *stack,
			   uint64_t time_ns)
{
	bool cut, closed;
	int err = 0;

	/* What was mapped before this stack was walked has been told by now. */
	read_watch(modules);
	if (modules->stale && lt_tenancy_unresolved(&modules->tenancy, stack, time_ns))
		err = lt_modules_update(modules, time_ns);
	cut = lt_tenancy_cut(&modules->tenancy, stack, time_ns, &closed);
	if (closed)
		lt_tracer_resend_stacks(modules->shared->tracer);
	for (uint16_t i = 0; i < stack->frame_count; i++) {
		uint64_t address = stack->frames[i] - 1;
		const struct module *module = overlapped(modules, address, address + 1);

		modules->frames[i] = stack->frames[i] | lt_tenancy_tag(&modules->tenancy, address,
								       time_ns, module != NULL,
								       module ? module->tag : 0)
								<< LT_ADDRESS_BITS;
	}
	stack->frames = modules->frames;
	return err ? err : cut;
}

bool lt_modules_doubtful(struct lt_modules *modules, uint64_t time_ns)
{
	/* What was mapped before that time is to be known first. */
	if (time_ns >= modules->heard_ns) {
		uint64_t began_ns = now();

		read_watch(modules);
		modules->heard_ns = began_ns;
	}
	return lt_tenancy_doubtful(&modules->tenancy, time_ns);
}

uint16_t lt_modules_in_doubt(const struct lt_modules *modules, const struct lt_event_stack *stack,
			     uint64_t time_ns)
{
	return lt_tenancy_first(&modules->tenancy, stack, time_ns);
}

void lt_modules_print(const struct lt_modules *modules, struct lt_buf *out)
{
	struct lt_tables_summary tables;
	struct lt_code_usage usage;

	lt_tables_summary(modules->shared->tables, &tables);
	lt_code_usage(lt_tracer_code(modules->shared->tracer), &usage);
	lt_buf_printf(out,
		      "unwind tables: %" PRIu64 " rows of %zu files in %.1f MiB (%" PRIu64
		      " of %" PRIu64 " words, %u of %u rules, %zu of %zu ranges)",
		      tables.rows, tables.files, (double)usage.words * 4 / (1 << 20), usage.words,
		      usage.words_max, usage.rules, usage.rules_max, usage.ranges,
		      usage.ranges_max);
}
