// SPDX-License-Identifier: GPL-2.0-or-later
#include "stream/live.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "stream/decode.h"

/* Records taken from one ring before the next one has its turn. */
#define RING_BUDGET 65536
/* Returned by the record callback to leave libbpf's loop; not an errno. */
#define BUDGET_SPENT (-4096)

struct lt_live {
	struct ring_buffer *rings[LT_MAX_RINGS]; /* one object each, so that each has its budget */
	size_t ring_count;
	int epoll;
	lt_event_sink sink;
	void *context;
	uint64_t bad_events;
	unsigned int budget;
	int error; /* of the sink: ends the drain */
};

static int on_record(void *context, void *data, size_t size)
{
	struct lt_live *live = context;
	struct lt_event event;

	if (lt_decode_wire(data, size, &event)) {
		live->bad_events++;
	} else {
		live->error = live->sink(live->context, &event);
		if (live->error)
			return live->error;
	}
	return --live->budget ? 0 : BUDGET_SPENT;
}

static int add_ring(struct lt_live *live, int fd)
{
	/* Edge-triggered: a woken ring is not ready again until the next wake level is passed. */
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	struct ring_buffer *ring = ring_buffer__new(fd, on_record, live, NULL);

	if (!ring)
		return -errno;
	live->rings[live->ring_count++] = ring;
	return epoll_ctl(live->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int lt_live_new(struct lt_live **result, const int *rings, size_t count, lt_event_sink sink,
		void *context)
{
	struct lt_live *live = calloc(1, sizeof(*live));
	int err = 0;

	if (!live)
		return -ENOMEM;
	live->sink = sink;
	live->context = context;
	live->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (live->epoll < 0)
		err = -errno;
	for (size_t i = 0; i < count && i < LT_MAX_RINGS && !err; i++)
		err = add_ring(live, rings[i]);
	if (err) {
		lt_live_free(live);
		return err;
	}
	*result = live;
	return 0;
}

void lt_live_free(struct lt_live *live)
{
	if (!live)
		return;
	for (size_t i = 0; i < live->ring_count; i++)
		ring_buffer__free(live->rings[i]);
	lt_close_p(&live->epoll);
	free(live);
}

int lt_live_fd(const struct lt_live *live)
{
	return live->epoll;
}

int lt_live_drain(struct lt_live *live)
{
	struct epoll_event events[LT_MAX_RINGS];
	int more = 0;

	epoll_wait(live->epoll, events, LT_MAX_RINGS, 0); /* takes the wake-ups: all are read now */
	for (size_t i = 0; i < live->ring_count; i++) {
		int err;

		live->budget = RING_BUDGET;
		err = ring_buffer__consume(live->rings[i]);
		if (live->error)
			return live->error;
		if (err == BUDGET_SPENT)
			more = 1;
		else if (err < 0)
			return err;
	}
	return more;
}

uint64_t lt_live_bad_events(const struct lt_live *live)
{
	return live->bad_events;
}
