// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "probe/planner.h"

LT_CLEANUP(struct lt_image *, lt_image_close)

struct search { /* for one IFUNC, in the slots of one mapped file after the other */
	const struct lt_planner *planner;
	const struct lt_planner_file *file;
	const struct lt_symbol *ifunc;
	uint64_t *addresses;
	int count;
	/* of the file in hand: */
	int memory; /* /proc/PID/mem */
	uint64_t bias;
	bool own; /* it is the IFUNC's file itself */
};

/* The ELF address in the IFUNC's file of what a slot points at, or 0: another's function, or none. */
static uint64_t address_in_file(const struct search *search, uint64_t value)
{
	const struct lt_plan_file *in = &search->planner->plan->files[search->file->index];
	const struct lt_mapping *mapping = lt_maps_find(search->planner->maps, value);
	uint64_t address;

	if (!mapping || !mapping->executable || mapping->inode != in->inode ||
	    mapping->device != in->device ||
	    !lt_image_address_of(search->file->image, value - mapping->start + mapping->file_offset,
				 &address))
		return 0;
	return address;
}

/* A slot that no call has filled yet points at a stub of its own file: not at a function. */
static int look_at_slot(void *context, const struct lt_image_slot *slot)
{
	struct search *search = context;
	bool by_name = slot->name && !strcmp(slot->name, search->ifunc->name);
	uint64_t value, address;

	if (!by_name && !(search->own && slot->resolver == search->ifunc->address))
		return 0;
	if (pread(search->memory, &value, sizeof(value), (off_t)(search->bias + slot->address)) !=
	    sizeof(value))
		return 0;
	address = address_in_file(search, value);
	if (!address || address == search->ifunc->address || (search->own && !slot->resolver))
		return 0;
	for (int i = 0; i < search->count; i++)
		if (search->addresses[i] == address)
			return 0;
	search->addresses[search->count++] = address;
	return search->count == LT_MAX_CHOSEN;
}

static int look_at_file(struct search *search, const struct lt_mapping *mapping)
{
	const struct lt_plan_file *in = &search->planner->plan->files[search->file->index];
	_lt_close_ int fd = lt_maps_open_file(search->planner->process, mapping);
	_lt_cleanup_(lt_image_close_p) struct lt_image *image = NULL;
	uint64_t address;

	if (fd < 0 || lt_image_open(&image, fd) ||
	    !lt_image_code_address(image, mapping->file_offset, &address))
		return 0;
	search->bias = mapping->start - address;
	search->own = mapping->inode == in->inode && mapping->device == in->device;
	return lt_image_each_slot(image, look_at_slot, search);
}

int lt_planner_chosen(const struct lt_planner *planner, const struct lt_planner_file *file,
		      const struct lt_symbol *ifunc, uint64_t addresses[LT_MAX_CHOSEN])
{
	_lt_close_ int memory = openat(planner->process->proc_fd, "mem", O_RDONLY | O_CLOEXEC);
	struct search search = { planner, file, ifunc, addresses, .memory = memory };

	if (memory < 0)
		return -errno;
	for (size_t i = 0; i < planner->maps->count; i++) {
		const struct lt_mapping *mapping = &planner->maps->entries[i];

		if (mapping->executable && mapping->inode && look_at_file(&search, mapping))
			break;
	}
	return search.count;
}
