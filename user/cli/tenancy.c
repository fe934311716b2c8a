// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/tenancy.h"

#define OPEN       UINT64_MAX
#define UNRESOLVED (LT_TAG_UNKNOWN + 1)

static bool inside(uint64_t address, uint64_t start, uint64_t end)
{
	return address - start < end - start;
}

/* The array is a ring: what falls out of it is not remembered any more. */
static struct lt_tenant *next_tenant(struct lt_tenancy *tenancy, struct lt_tenant *ring,
				     unsigned int *count)
{
	struct lt_tenant *slot = &ring[*count % LT_TENANTS];

	if (*count >= LT_TENANTS && slot->time_ns > tenancy->heard_ns)
		tenancy->heard_ns = slot->time_ns;
	++*count;
	return slot;
}

static size_t filled(unsigned int count, size_t size)
{
	return count < size ? count : size;
}

static void open_window(struct lt_tenancy *tenancy, uint64_t start, uint64_t end, uint64_t from_ns)
{
	struct lt_window *slot = &tenancy->windows[tenancy->window_count % LT_WINDOWS];

	/* Too many at once: one over everything takes the place of the one that is lost. */
	if (tenancy->window_count >= LT_WINDOWS && slot->to_ns == OPEN) {
		start = 0;
		end = OPEN;
		if (slot->from_ns < from_ns)
			from_ns = slot->from_ns;
	}
	if (tenancy->window_count >= LT_WINDOWS && slot->to_ns != OPEN &&
	    slot->to_ns > tenancy->forgotten_ns)
		tenancy->forgotten_ns = slot->to_ns;
	*slot = (struct lt_window){ start, end, from_ns, OPEN };
	tenancy->quiet_ns = OPEN;
	tenancy->window_count++;
}

void lt_tenancy_arrive(struct lt_tenancy *tenancy, uint64_t start, uint64_t end, uint64_t file,
		       uint64_t time_ns)
{
	*next_tenant(tenancy, tenancy->arrived, &tenancy->arrived_count) =
		(struct lt_tenant){ start, end, UNRESOLVED, time_ns, file };
	open_window(tenancy, start, end, time_ns);
}

void lt_tenancy_leave(struct lt_tenancy *tenancy, uint64_t start, uint64_t end, uint64_t tag,
		      uint64_t time_ns)
{
	*next_tenant(tenancy, tenancy->left,
		     &tenancy->left_count) = (struct lt_tenant){ start, end, tag, time_ns, 0 };
}

void lt_tenancy_doubt(struct lt_tenancy *tenancy, uint64_t start, uint64_t end, uint64_t from_ns,
		      uint64_t ended_ns)
{
	for (size_t i = 0; i < filled(tenancy->window_count, LT_WINDOWS); i++) {
		const struct lt_window *window = &tenancy->windows[i];

		if (window->to_ns == OPEN && window->start < end && start < window->end)
			return;
	}
	open_window(tenancy, start, end, from_ns);
	if (tenancy->heard_ns < ended_ns)
		tenancy->heard_ns = ended_ns;
}

void lt_tenancy_resolve(struct lt_tenancy *tenancy, uint64_t looked_ns,
			uint64_t (*tag_at)(void *context, uint64_t address, uint64_t file),
			void *context)
{
	for (size_t i = 0; i < filled(tenancy->arrived_count, LT_TENANTS); i++) {
		struct lt_tenant *arrived = &tenancy->arrived[i];

		if (arrived->tag == UNRESOLVED && arrived->time_ns <= looked_ns)
			arrived->tag = tag_at(context, arrived->start, arrived->file);
	}
}

bool lt_tenancy_close(struct lt_tenancy *tenancy, uint64_t looked_ns, uint64_t now_ns)
{
	bool closed = false, cut;

	tenancy->quiet_ns = 0;
	for (size_t i = 0; i < filled(tenancy->window_count, LT_WINDOWS); i++) {
		struct lt_window *window = &tenancy->windows[i];

		if (window->to_ns == OPEN && window->from_ns <= looked_ns) {
			window->to_ns = now_ns;
			closed = true;
		}
		if (window->to_ns > tenancy->quiet_ns)
			tenancy->quiet_ns = window->to_ns;
	}
	if (tenancy->forgotten_ns > tenancy->quiet_ns)
		tenancy->quiet_ns = tenancy->forgotten_ns;
	cut = closed && tenancy->cut;
	if (closed)
		tenancy->cut = 0;
	return cut;
}

static const struct lt_tenant *last_arrival(const struct lt_tenancy *tenancy, uint64_t address,
					    uint64_t time_ns)
{
	const struct lt_tenant *last = NULL;

	for (size_t i = 0; i < filled(tenancy->arrived_count, LT_TENANTS); i++) {
		const struct lt_tenant *arrived = &tenancy->arrived[i];

		if (inside(address, arrived->start, arrived->end) && arrived->time_ns <= time_ns &&
		    (!last || arrived->time_ns > last->time_ns))
			last = arrived;
	}
	return last;
}

uint64_t lt_tenancy_tag(const struct lt_tenancy *tenancy, uint64_t address, uint64_t time_ns,
			bool known, uint64_t now)
{
	const struct lt_tenant *last = last_arrival(tenancy, address, time_ns), *next = NULL;

	if (last && time_ns >= tenancy->heard_ns)
		return last->tag == UNRESOLVED ? LT_TAG_UNKNOWN : last->tag;
	for (size_t i = 0; i < filled(tenancy->left_count, LT_TENANTS); i++) {
		const struct lt_tenant *left = &tenancy->left[i];

		if (inside(address, left->start, left->end) && left->time_ns > time_ns &&
		    (!next || left->time_ns < next->time_ns))
			next = left;
	}
	if (time_ns < tenancy->heard_ns && (last || next || (known && now)))
		return LT_TAG_UNKNOWN;
	return next ? next->tag : known ? now : 0;
}

bool lt_tenancy_unresolved(const struct lt_tenancy *tenancy, const struct lt_event_stack *stack,
			   uint64_t time_ns)
{
	if (!tenancy->arrived_count)
		return false;
	for (uint16_t i = 0; i < stack->frame_count; i++) {
		const struct lt_tenant *last = last_arrival(tenancy, stack->frames[i] - 1, time_ns);

		if (last && last->tag == UNRESOLVED)
			return true;
	}
	return false;
}

/* *closed: the window that it is in is. */
static uint16_t first_in_window(const struct lt_tenancy *tenancy,
				const struct lt_event_stack *stack, uint64_t time_ns, bool *closed)
{
	uint16_t first = stack->frame_count;

	/* Of that time nothing better is known than where code ever changed. */
	for (size_t i = 0;
	     time_ns < tenancy->forgotten_ns && i < filled(tenancy->arrived_count, LT_TENANTS); i++)
		for (uint16_t j = 0; j < first; j++)
			if (inside(stack->frames[j] - 1, tenancy->arrived[i].start,
				   tenancy->arrived[i].end)) {
				first = j;
				*closed = true;
			}

	for (size_t w = 0; w < filled(tenancy->window_count, LT_WINDOWS); w++) {
		const struct lt_window *window = &tenancy->windows[w];

		if (time_ns < window->from_ns || time_ns >= window->to_ns)
			continue;
		for (uint16_t i = 0; i < first; i++) {
			if (!inside(stack->frames[i] - 1, window->start, window->end))
				continue;
			first = i;
			*closed = window->to_ns != OPEN;
		}
	}
	return first;
}

uint16_t lt_tenancy_first(const struct lt_tenancy *tenancy, const struct lt_event_stack *stack,
			  uint64_t time_ns)
{
	bool closed;

	return first_in_window(tenancy, stack, time_ns, &closed);
}

bool lt_tenancy_cut(struct lt_tenancy *tenancy, struct lt_event_stack *stack, uint64_t time_ns,
		    bool *closed)
{
	uint16_t first;

	*closed = false;
	first = first_in_window(tenancy, stack, time_ns, closed);
	if (first == stack->frame_count)
		return false;
	stack->frame_count = first + 1;
	stack->end = LT_STACK_PENDING;
	tenancy->cut += !*closed;
	return true;
}
