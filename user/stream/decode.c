// SPDX-License-Identifier: GPL-2.0-or-later
#include "stream/decode.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static int fill_acquire(const void *data, size_t size, struct lt_event *event)
{
	const struct lt_wire_acquire *wire = data;

	event->acquire = (struct lt_event_acquire){ wire->id, wire->size, wire->stack_id };
	return 0;
}

static int fill_release(const void *data, size_t size, struct lt_event *event)
{
	const struct lt_wire_release *wire = data;

	event->release.id = wire->id;
	return 0;
}

static int fill_stack(const void *data, size_t size, struct lt_event *event)
{
	const struct lt_wire_stack *wire = data;

	if (wire->frame_count < 1 || wire->frame_count > LT_MAX_FRAMES ||
	    size != sizeof(*wire) + wire->frame_count * sizeof(wire->frames[0]) ||
	    wire->end > LT_STACK_NO_FRAME || wire->reserved)
		return -EBADMSG;
	event->stack = (struct lt_event_stack){ .stack_id = wire->stack_id,
						.frames = (const uint64_t *)wire->frames,
						.frame_count = wire->frame_count,
						.end = wire->end };
	return 0;
}

static int fill_exec(const void *data, size_t size, struct lt_event *event)
{
	return 0;
}

static int fill_exit(const void *data, size_t size, struct lt_event *event)
{
	const struct lt_wire_exit *wire = data;
	int status = (int)wire->status;

	/* What wait(2) can give: 16 bits, and not "stopped" (low byte 0x7f, signal 127). */
	if (wire->reserved || wire->status > UINT16_MAX || WTERMSIG(status) > SIGRTMAX)
		return -EBADMSG;
	event->end.reason = WTERMSIG(status) ? LT_END_KILLED : LT_END_EXITED;
	event->end.status = WTERMSIG(status) ? WTERMSIG(status) : WEXITSTATUS(status);
	return 0;
}

static const struct {
	uint8_t event;
	uint8_t flags; /* that may be set */
	bool has_kind;
	bool has_tail; /* longer than size; the row's function checks how long */
	size_t size;
	int (*fill)(const void *data, size_t size, struct lt_event *event);
} shapes[] = {
	[LT_WIRE_ACQUIRE] = { LT_EVENT_ACQUIRE, LT_WIRE_F_REALLOC, true, false,
			      sizeof(struct lt_wire_acquire), fill_acquire },
	[LT_WIRE_RELEASE] = { LT_EVENT_RELEASE, LT_WIRE_F_REALLOC, true, false,
			      sizeof(struct lt_wire_release), fill_release },
	[LT_WIRE_RESTORE] = { LT_EVENT_RESTORE, LT_WIRE_F_REALLOC, true, false,
			      sizeof(struct lt_wire_release), fill_release },
	[LT_WIRE_STACK] = { LT_EVENT_STACK, 0, true, true, sizeof(struct lt_wire_stack),
			    fill_stack },
	[LT_WIRE_EXEC] = { LT_EVENT_EXEC, 0, false, false, sizeof(struct lt_wire_header),
			   fill_exec },
	[LT_WIRE_EXIT] = { LT_EVENT_END, 0, false, false, sizeof(struct lt_wire_exit), fill_exit },
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
	    (shape->has_kind ? !lt_decode_kind_known(header->kind)
			     : header->kind != LT_KIND_NONE) ||
	    shape->fill(data, size, event))
		return -EBADMSG;
	event->type = shape->event;
	event->kind = header->kind;
	event->flags = header->flags;
	event->tgid = header->tgid;
	event->time_ns = header->time_ns;
	return 0;
}
