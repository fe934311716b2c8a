// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "elf/bounds.h"
#include "probe/leads.h"
#include "probe/planner.h"
#include "probe/returns.h"

/* Of a function without a size and unwind tables.  Its neighbours' code does no harm. */
#define UNSIZED_CODE_BYTES 4096

struct function { /* in hand */
	const struct lt_planner_file *file;
	enum lt_alloc_op op;
	const char *name; /* in this build */
	const struct lt_symbol *symbol;
};

static bool is_mapped_executable(const struct lt_maps *maps, const struct lt_plan_file *file,
				 uint64_t file_offset)
{
	for (size_t i = 0; i < maps->count; i++) {
		const struct lt_mapping *m = &maps->entries[i];

		if (m->executable && m->inode == file->inode && m->device == file->device &&
		    file_offset - m->file_offset < m->end - m->start)
			return true;
	}
	return false;
}

/*
 * The probe that is already at this place, or that sees what is called here, else NULL.  A file may
 * hold several families.
 */
static struct lt_plan_probe *probe_at(struct lt_planner *planner, uint32_t file,
				      uint64_t entry_offset)
{
	struct lt_plan *plan = planner->plan;
	const struct lt_plan_file *wanted = &plan->files[file];

	for (size_t i = 0; i < plan->probe_count; i++) {
		const struct lt_plan_file *in = &plan->files[plan->probes[i].file];

		if (plan->probes[i].entry_offset == entry_offset && in->inode == wanted->inode &&
		    in->device == wanted->device)
			return &plan->probes[i];
	}
	for (size_t i = 0; i < planner->led_count; i++) {
		const struct lt_led *led = &planner->led[i];

		if (led->entry_offset == entry_offset && led->inode == wanted->inode &&
		    led->device == wanted->device)
			return &plan->probes[led->probe];
	}
	return NULL;
}

/* The same by ELF virtual address. */
static struct lt_plan_probe *probe_of(struct lt_planner *planner,
				      const struct lt_planner_file *file, uint64_t address)
{
	uint64_t file_offset;

	return lt_image_offset_of(file->image, address, &file_offset)
		       ? probe_at(planner, file->index, file_offset)
		       : NULL;
}

static int add_alias(struct lt_plan_probe *probe, const char *name)
{
	char *aliases;

	if (!strcmp(probe->symbol, name))
		return 0;
	if (asprintf(&aliases, "%s%s%s", probe->aliases, *probe->aliases ? "," : "", name) < 0)
		return -ENOMEM;
	free((char *)probe->aliases);
	probe->aliases = aliases;
	return 0;
}

static struct lt_plan_probe *new_probe(struct lt_plan *plan, uint32_t file, const char *name)
{
	_lt_free_ char *symbol = strdup(name);
	_lt_free_ char *aliases = strdup("");
	struct lt_plan_probe *probe = NULL;

	if (symbol && aliases)
		probe = lt_planner_append(&plan->probes, &plan->probe_count, sizeof(*probe));
	if (!probe)
		return NULL;
	probe->file = file;
	probe->symbol = lt_take_ptr(symbol);
	probe->aliases = lt_take_ptr(aliases);
	return probe;
}

static size_t length_of(const struct lt_planner *planner, const struct function *function)
{
	uint64_t address = function->symbol->address, start, end;
	const struct lt_plan_file *in = &planner->plan->files[function->file->index];

	if (function->symbol->size)
		return function->symbol->size;
	return lt_bounds_find(function->file->image, in->fd, address, &start, &end) ||
			       start != address
		       ? UNSIZED_CODE_BYTES
		       : end - start;
}

/* 1: it is in planner->code; 0: it cannot be read, which the plan says. */
static int read_code(struct lt_planner *planner, const struct function *function)
{
	size_t len = length_of(planner, function);
	long got = lt_image_read(function->file->image, function->symbol->address, planner->code,
				 len < sizeof(planner->code) ? len : sizeof(planner->code));
	int err;

	planner->code_len = got > 0 ? (size_t)got : 0;
	if (got > 0)
		return 1;
	err = lt_planner_skip(planner->plan, function->name, "its code cannot be read: %s",
			      got ? strerror((int)-got) : "beyond the end of the file");
	return err;
}

static int add_probe(struct lt_planner *planner, const struct function *function)
{
	const struct lt_op_info *op = &lt_op_table[function->op];
	const struct lt_site_request request = {
		.code = planner->code,
		.code_len = planner->code_len,
		.arguments = op->arguments,
		.null_is_noop = op->null_is_noop,
	};
	struct lt_plan_probe *probe = new_probe(planner->plan, function->file->index,
						function->name);

	if (!probe)
		return -ENOMEM;
	probe->op = function->op;
	probe->entry_offset = function->symbol->file_offset;
	lt_site_choose(&request, &probe->choice);
	probe->file_offset = probe->entry_offset + probe->choice.offset;
	return 0;
}

/*
 * Probes at the returns of a function that may throw.  Two functions may share one, if both end in
 * a jump to a third.
 */
static int add_returns(struct lt_planner *planner, const struct function *function,
		       const struct lt_returns *returns)
{
	for (size_t i = 0; i < returns->count; i++) {
		struct lt_plan_probe *probe;
		uint64_t file_offset;

		if (!lt_image_offset_of(function->file->image, returns->addresses[i],
					&file_offset) ||
		    probe_at(planner, function->file->index, file_offset))
			continue;
		probe = new_probe(planner->plan, function->file->index, function->name);
		if (!probe)
			return -ENOMEM;
		probe->op = LT_OP_RETURN;
		probe->entry_offset = file_offset;
		probe->file_offset = file_offset;
		probe->choice = (struct lt_site_choice){
			.instruction = "ret",
			.reason = "one of its returns: it may throw, and no exception passes a "
				  "return probe",
		};
	}
	return 0;
}

static int add_throwing(struct lt_planner *planner, const struct function *function)
{
	_lt_free_ struct lt_returns *returns = calloc(1, sizeof(*returns));
	const struct lt_plan_file *in = &planner->plan->files[function->file->index];
	int err;

	if (!returns)
		return -ENOMEM;
	err = lt_returns_find(function->file->image, in->fd, function->symbol->address, returns);
	if (err == -ENOTSUP)
		return lt_planner_skip(planner->plan, function->name, "may throw, but %s",
				       returns->why);
	if (!err)
		err = add_probe(planner, function);
	return err ? err : add_returns(planner, function, returns);
}

struct stop_context {
	struct lt_planner *planner;
	const struct lt_planner_file *file;
};

static bool is_probed(void *context, uint64_t address)
{
	const struct stop_context *stop = context;

	return probe_of(stop->planner, stop->file, address);
}

/* How a function is led: by which of its ends another one's probe is reached. */
enum led {
	LED_NOT = 0,
	LED_PARTLY = 1, /* a release, by some */
	LED_WHOLLY = 2, /* by all, so that it needs no probe */
};

static bool leads_to(const struct lt_leads *leads, const struct lt_symbol *symbol)
{
	for (size_t i = 0; symbol && i < leads->jump_count; i++)
		if (leads->jumps[i] == symbol->address)
			return true;
	for (size_t i = 0; symbol && i < leads->call_count; i++)
		if (leads->calls[i] == symbol->address)
			return true;
	return false;
}

/*
 * An operator may be libstdc++'s, linked in: over another family's malloc and free, whose probes
 * see it.
 */
static bool is_operator_of_others(struct lt_planner *planner, const struct function *function,
				  const struct lt_leads *leads)
{
	bool frees = lt_op_releases(function->op);
	size_t count;
	const struct lt_symbol *plain = lt_symbols_named(function->file->symbols,
							 frees ? "free" : "malloc", &count);

	if (strncmp(function->name, "_Z", 2))
		return false;
	if (plain && probe_of(planner, function->file, plain->address))
		return false;
	return (frees ? leads->calls_free : leads->calls_malloc) || leads_to(leads, plain);
}

/* A release that calls or jumps to another one is seen there, and would be seen twice. */
static enum led release_is_led(struct lt_planner *planner, const struct function *function,
			       const struct lt_leads *leads, struct lt_plan_probe **to)
{
	for (size_t i = 0; i < leads->jump_count + leads->call_count; i++) {
		bool jump = i < leads->jump_count;
		uint64_t target = jump ? leads->jumps[i] : leads->calls[i - leads->jump_count];

		*to = probe_of(planner, function->file, target);
		if (*to && lt_op_releases((*to)->op))
			return jump && leads->returns ? LED_PARTLY : LED_WHOLLY;
	}
	return LED_NOT;
}

static enum led acquire_is_led(struct lt_planner *planner, const struct function *function,
			       const struct lt_leads *leads, struct lt_plan_probe **to)
{
	if (leads->returns)
		return LED_NOT;
	for (size_t i = 0; i < leads->jump_count; i++) {
		*to = probe_of(planner, function->file, leads->jumps[i]);
		if (!*to || !lt_op_acquires((*to)->op))
			return LED_NOT;
		/* memalign would see whole pages, not what was asked for. */
		if (function->op == LT_OP_PVALLOC && (*to)->op != LT_OP_PVALLOC)
			return LED_NOT;
	}
	return leads->jump_count ? LED_WHOLLY : LED_NOT;
}

/* *to: the probe that sees it, NULL if that is another file's. */
static enum led is_led(struct lt_planner *planner, const struct function *function,
		       struct lt_plan_probe **to)
{
	struct stop_context context = { planner, function->file };
	const struct lt_leads_stop stop = { is_probed, &context };
	struct lt_leads leads;

	lt_leads_find(function->file->image, function->symbol->address, planner->code,
		      planner->code_len, &stop, &leads);
	/* A pool that the user names may free some block of its own by another one's function. */
	if (function->file->family == &lt_family_named && leads.returns)
		return LED_NOT;
	*to = NULL;
	if (is_operator_of_others(planner, function, &leads))
		return LED_WHOLLY;
	return (lt_op_releases(function->op) ? release_is_led : acquire_is_led)(planner, function,
										&leads, to);
}

/* It is seen at that probe from now on: what leads to it is, too. */
static int add_led(struct lt_planner *planner, const struct function *function,
		   struct lt_plan_probe *to)
{
	const struct lt_plan_file *in = &planner->plan->files[function->file->index];
	struct lt_led *led = lt_planner_append(&planner->led, &planner->led_count, sizeof(*led));

	if (!led)
		return -ENOMEM;
	*led = (struct lt_led){ in->device, in->inode, function->symbol->file_offset,
				(size_t)(to - planner->plan->probes) };
	return add_alias(to, function->name);
}

/* Functions at one address do the same, as far as their probes go. */
static bool do_the_same(enum lt_alloc_op one, enum lt_alloc_op other)
{
	return (lt_op_releases(one) && lt_op_releases(other)) ||
	       !strcmp(lt_op_table[one].entry_program, lt_op_table[other].entry_program);
}

static int add_new_code(struct lt_planner *planner, struct function *function)
{
	struct lt_plan_probe *to;
	int read = read_code(planner, function);
	enum led led;

	if (read <= 0)
		return read;
	led = function->op == LT_OP_THROW ? LED_NOT : is_led(planner, function, &to);
	if (led == LED_WHOLLY)
		return to ? add_led(planner, function, to) : 0;
	if (led == LED_PARTLY)
		function->op = LT_OP_FREE_LEADING;
	return (lt_op_throws(function->op) ? add_throwing : add_probe)(planner, function);
}

static int add_code(struct lt_planner *planner, struct function *function)
{
	const struct lt_plan_file *in = &planner->plan->files[function->file->index];
	uint64_t file_offset = function->symbol->file_offset;
	struct lt_plan_probe *same = probe_at(planner, function->file->index, file_offset);

	if (!is_mapped_executable(planner->maps, in, file_offset))
		return lt_planner_skip(planner->plan, function->name,
				       "lies outside of what the process maps executable of %s",
				       in->path);
	if (!same)
		return add_new_code(planner, function);
	if (same->entry_offset == file_offset && !do_the_same(same->op, function->op))
		return lt_planner_skip(planner->plan, function->name,
				       "shares its code with %s, which does something else",
				       same->symbol);
	return add_alias(same, function->name);
}

static int add_chosen(struct lt_planner *planner, struct function *function)
{
	const char *path = planner->plan->files[function->file->index].path;
	struct lt_symbol chosen = *function->symbol;
	struct function code = { function->file, function->op, function->name, &chosen };
	uint64_t addresses[LT_MAX_CHOSEN];
	int count = lt_planner_chosen(planner, function->file, function->symbol, addresses),
	    err = 0;

	if (count <= 0)
		return lt_planner_skip(planner->plan, function->name,
				       "is an IFUNC in %s: which code it stands for was not to be "
				       "found out",
				       path);
	for (int i = 0; i < count && !err; i++) {
		chosen.address = addresses[i];
		chosen.size = 0;
		if (lt_image_offset_of(function->file->image, chosen.address, &chosen.file_offset))
			err = add_code(planner, &code);
	}
	return err;
}

int lt_planner_add_functions(struct lt_planner *planner, const struct lt_planner_file *file)
{
	int err = 0;

	for (size_t row = 0; !err && row < file->family->function_count; row++) {
		const struct lt_family_function *entry = &file->family->functions[row];
		char name[LT_MAX_FUNCTION_NAME];
		const struct lt_symbol *symbols;
		size_t count;

		lt_family_symbol(name, file->prefix, entry->symbol);
		symbols = lt_symbols_named(file->symbols, name, &count);
		if (!symbols && !entry->optional && !file->is_executable)
			err = lt_planner_skip(planner->plan, name, "is not defined in %s",
					      planner->plan->files[file->index].path);
		for (size_t i = 0; !err && symbols && i < count; i++) {
			struct function function = { file, entry->op, name, &symbols[i] };

			err = (symbols[i].ifunc ? add_chosen : add_code)(planner, &function);
		}
	}
	return err;
}
