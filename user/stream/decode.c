// SPDX-License-Identifier: GPL-2.0-or-later
#include "stream/decode.h"

#include <errno.h>
#include <string.h>

static int fill_acquire(const void *data, size_t size, struct lt_event *event)
{
	const struct lt_wire_acquire *wire = data;

	if (!lt_decode_acquire_flags(wire->header.kind, wire->header.flags))
		return -EBADMSG;
	event->acquire = (struct lt_event_acquire){ wire->id, wire->size, wire->stack_id };
	return 0;
}

static int fill_release(const void *data, size_t size, struct lt_event *event)
{
	const struct lt_wire_release *wire = data;

	event->release = (struct lt_event_release){ .id = wire->id };
	return 0;
}

static int fill_range(const void *data, size_t size, struct lt_event *event)
{
	const struct lt_wire_range *wire = data;

	const struct lt_wire_header *header = &wire->header;
	struct lt_event_release range = { wire->id, wire->size, wire->target };
	uint8_t type = header->type == LT_WIRE_RANGE_RESTORE ? LT_EVENT_RESTORE : LT_EVENT_RELEASE;

	if (!(header->flags & LT_WIRE_F_RANGE) ||
	    !lt_decode_range(type, header->kind, header->flags, &range))
		return -EBADMSG;
	event->release = range;
	return 0;
}

static int fill_stack(const void *data, size_t size, struct lt_event *event)
{
	const struct lt_wire_stack *wire = data;

	if (wire->frame_count < 1 || wire->frame_count > LT_MAX_FRAMES ||
	    size != sizeof(*wire) + wire->frame_count * sizeof(wire->frames[0]) ||
	    wire->end >= LT_STACK_END_COUNT || wire->reserved)
		return -EBADMSG;
	event->stack = (struct lt_event_stack){ .stack_id = wire->stack_id,
						.frames = (const uint64_t *)wire->frames,
						.frame_count = wire->frame_count,
						.end = wire->end };
	return 0;
}

static int fill_life(const void *data, size_t size, struct lt_event *event)
{
	const struct lt_wire_life *wire = data;
	uint8_t type = wire->header.type;

	if (wire->reserved || !wire->header.process ||
	    !memchr(wire->comm, '\0', sizeof(wire->comm)) ||
	    (type == LT_WIRE_FORK && !wire->process))
		return -EBADMSG;
	event->life = (struct lt_event_life){ .what = type,
					      .process = wire->process,
					      .pid = wire->pid,
					      .status = wire->status,
					      .comm = wire->comm };
	return 0;
}

static const struct {
	uint8_t event;
	uint8_t flags; /* that may be set */
	bool has_tail; /* longer than size; the row's function checks how long */
	size_t size;
	int (*fill)(const void *data, size_t size, struct lt_event *event);
} shapes[] = {
	[LT_WIRE_ACQUIRE] = { LT_EVENT_ACQUIRE, UINT8_MAX, false, sizeof(struct lt_wire_acquire),
			      fill_acquire },
	[LT_WIRE_RELEASE] = { LT_EVENT_RELEASE, LT_WIRE_F_REALLOC, false,
			      sizeof(struct lt_wire_release), fill_release },
	[LT_WIRE_RESTORE] = { LT_EVENT_RESTORE, LT_WIRE_F_REALLOC, false,
			      sizeof(struct lt_wire_release), fill_release },
	[LT_WIRE_EXEC] = { LT_EVENT_LIFE, 0, false, sizeof(struct lt_wire_life), fill_life },
	[LT_WIRE_EXIT] = { LT_EVENT_LIFE, 0, false, sizeof(struct lt_wire_life), fill_life },
	[LT_WIRE_FORK] = { LT_EVENT_LIFE, 0, false, sizeof(struct lt_wire_life), fill_life },
	[LT_WIRE_RANGE_RELEASE] = { LT_EVENT_RELEASE, LT_WIRE_F_RANGE | LT_WIRE_F_REALLOC, false,
				    sizeof(struct lt_wire_range), fill_range },
	[LT_WIRE_RANGE_RESTORE] = { LT_EVENT_RESTORE, LT_WIRE_F_RANGE | LT_WIRE_F_REALLOC, false,
				    sizeof(struct lt_wire_range), fill_range },
	[LT_WIRE_STACK] = { LT_EVENT_STACK, 0, true, sizeof(struct lt_wire_stack), fill_stack },
};

int lt_decode_wire(const void *data, size_t size, struct lt_event *event)
{
	const struct lt_wire_header *header = data;
	__typeof__(&shapes[0]) shape;

	if (size < sizeof(*header) || header->version != LT_WIRE_VERSION ||
	    header->type >= sizeof(shapes) / sizeof(shapes[0]))
		return -EBADMSG;
	shape = &shapes[header->type];
	if (!shape->fill || size < shape->size || (size > shape->size && !shape->has_tail) ||
	    (header->flags & ~shape->flags) ||
	    (shape->event == LT_EVENT_LIFE ? header->kind != LT_KIND_NONE
					   : !lt_decode_kind_known(header->kind)) ||
	    shape->fill(data, size, event))
		return -EBADMSG;
	event->type = shape->event;
	event->kind = header->kind;
	event->flags = header->flags;
	event->tgid = header->process;
	event->time_ns = header->time_ns;
	return 0;
}
