// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/map_watch.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

#define RING_PAGES                                                                                 \
	64 /* a power of two; a record has about 100 bytes, and all processes make them */

struct cpu_ring {
	int fd;
	struct perf_event_mmap_page *page; /* NULL: none for this CPU */
};

struct lt_map_watch {
	int epoll_fd;
	size_t page_size, count;
	struct lt_map_change *changes; /* of the call in hand, from all rings */
	size_t change_count, change_capacity;
	struct cpu_ring rings[]; /* one a CPU: a process's threads run anywhere */
};

/* PERF_RECORD_MMAP2 up to the file's name: include/uapi/linux/perf_event.h. */
struct mmap2_record {
	struct perf_event_header header;
	uint32_t pid, tid;
	uint64_t address, length, page_offset;
	uint32_t major, minor;
	uint64_t inode, generation;
	uint32_t protection, flags;
	char name[];
};

/*
 * The kernel's trampolines for uprobes, [uprobes] and [uprobes-trampoline], mapped when a process first
 * hits one: they are no code of the process, and would show in every child that is followed.
 */
#define TRAMPOLINES "[uprobes"

/* What sample_id_all appends: PERF_SAMPLE_TIME alone. */
#define TRAILER_BYTES sizeof(uint64_t)

static int open_cpu(struct lt_map_watch *watch, int cpu)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attributes),
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TIME,
		.sample_id_all = 1,
		.mmap = 1, /* of executable memory; mmap_data would be the other */
		.mmap2 = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
		.watermark = 1,
		.wakeup_watermark = 1,
		.exclude_kernel = 1,
	};
	struct epoll_event event = { .events = EPOLLIN };
	_lt_close_ int fd = (int)syscall(SYS_perf_event_open, &attributes, -1, cpu, -1,
					 PERF_FLAG_FD_CLOEXEC);
	void *page;

	if (fd < 0)
		return -errno;
	page = mmap(NULL, (RING_PAGES + 1) * watch->page_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		    fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	if (epoll_ctl(watch->epoll_fd, EPOLL_CTL_ADD, fd, &event)) {
		munmap(page, (RING_PAGES + 1) * watch->page_size);
		return -errno;
	}
	watch->rings[cpu] = (struct cpu_ring){ lt_take_fd(&fd), page };
	return 0;
}

int lt_map_watch_open(struct lt_map_watch **result)
{
	size_t count = (size_t)sysconf(_SC_NPROCESSORS_CONF);
	struct lt_map_watch *watch = calloc(1, sizeof(*watch) + count * sizeof(watch->rings[0]));
	int err = 0;

	if (!watch)
		return -ENOMEM;
	watch->page_size = (size_t)getpagesize();
	watch->count = count;
	for (size_t i = 0; i < count; i++)
		watch->rings[i].fd = -1;
	watch->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (watch->epoll_fd < 0)
		err = -errno;
	for (size_t i = 0; i < count && !err; i++) {
		err = open_cpu(watch, (int)i);
		if (err == -ENODEV) /* a CPU that is not there */
			err = 0;
	}
	if (err) {
		lt_map_watch_close(watch);
		return err;
	}
	*result = watch;
	return 0;
}

void lt_map_watch_close(struct lt_map_watch *watch)
{
	if (!watch)
		return;
	for (size_t i = 0; i < watch->count; i++) {
		if (watch->rings[i].page)
			munmap(watch->rings[i].page, (RING_PAGES + 1) * watch->page_size);
		lt_close_p(&watch->rings[i].fd);
	}
	lt_close_p(&watch->epoll_fd);
	free(watch->changes);
	free(watch);
}

int lt_map_watch_fd(const struct lt_map_watch *watch)
{
	return watch->epoll_fd;
}

/* Out of the ring, where a record may lie across the end. */
static void copy_out(const struct cpu_ring *ring, uint64_t from, void *to, size_t size)
{
	const char *data = (const char *)ring->page + ring->page->data_offset;
	uint64_t offset = from % ring->page->data_size, left = ring->page->data_size - offset;
	size_t head = size < left ? size : left;

	memcpy(to, data + offset, head);
	memcpy((char *)to + head, data, size - head);
}

static bool is_trampoline(const struct cpu_ring *ring, uint64_t tail, size_t size)
{
	char name[sizeof(TRAMPOLINES) - 1];

	if (size < sizeof(struct mmap2_record) + sizeof(name) + TRAILER_BYTES)
		return false;
	copy_out(ring, tail + sizeof(struct mmap2_record), name, sizeof(name));
	return memcmp(name, TRAMPOLINES, sizeof(name)) == 0;
}

static int keep_change(struct lt_map_watch *watch, const struct lt_map_change *change)
{
	if (watch->change_count == watch->change_capacity) {
		size_t more = watch->change_capacity ? watch->change_capacity * 2 : 64;
		struct lt_map_change *changes = reallocarray(watch->changes, more,
							     sizeof(*changes));

		if (!changes)
			return -EOVERFLOW; /* lost, as far as the caller is concerned */
		watch->changes = changes;
		watch->change_capacity = more;
	}
	watch->changes[watch->change_count++] = *change;
	return 0;
}

static int read_ring(struct lt_map_watch *watch, struct cpu_ring *ring, uint64_t until_ns)
{
	uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->page->data_tail;
	int err = 0;

	while (tail < head) {
		struct mmap2_record record;
		struct lt_map_change change;

		copy_out(ring, tail, &record.header, sizeof(record.header));
		if (record.header.size < sizeof(record.header) + TRAILER_BYTES ||
		    record.header.size > head - tail) {
			tail = head; /* the kernel writes no such thing */
			err = -EOVERFLOW;
			break;
		}
		copy_out(ring, tail + record.header.size - TRAILER_BYTES, &change.time_ns,
			 TRAILER_BYTES);
		if (change.time_ns > until_ns)
			break;
		if (record.header.type == PERF_RECORD_LOST) {
			err = -EOVERFLOW;
		} else if (record.header.type == PERF_RECORD_MMAP2 &&
			   record.header.size >= sizeof(record) + TRAILER_BYTES &&
			   !is_trampoline(ring, tail, record.header.size)) {
			copy_out(ring, tail, &record, sizeof(record));
			change.start = record.address;
			change.end = record.address + record.length;
			change.file_offset = record.page_offset;
			change.device = makedev(record.major, record.minor);
			change.inode = record.inode;
			change.pid = record.pid;
			err = keep_change(watch, &change) ?: err;
		}
		tail += record.header.size;
	}
	__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
	return err;
}

static int by_time(const void *a, const void *b)
{
	const struct lt_map_change *one = a, *other = b;

	return (one->time_ns > other->time_ns) - (one->time_ns < other->time_ns);
}

/*
 * What one CPU tells may have come after what another one will tell a moment later: so only what is
 * older than this call is taken, all of which the rings hold by now, in the order of time.
 */
int lt_map_watch_read(struct lt_map_watch *watch,
		      void (*changed)(void *context, const struct lt_map_change *change),
		      void *context)
{
	struct timespec time;
	uint64_t now_ns;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &time);
	now_ns = (uint64_t)time.tv_sec * 1000000000ULL + (uint64_t)time.tv_nsec;
	watch->change_count = 0;
	for (size_t i = 0; i < watch->count; i++) {
		struct cpu_ring *ring = &watch->rings[i];

		if (ring->page && ring->page->data_head != ring->page->data_tail)
			err = read_ring(watch, ring, now_ns) ?: err;
	}
	if (watch->change_count)
		qsort(watch->changes, watch->change_count, sizeof(*watch->changes), by_time);
	for (size_t i = 0; i < watch->change_count; i++)
		changed(context, &watch->changes[i]);
	return err;
}
