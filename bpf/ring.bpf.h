/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rings: sharded by a hash of the resource id, so that the records of one id keep their order
 * without sorting across CPUs.  A share of each ring is kept for releases: a lost release makes a
 * false leak, a lost acquire only an unknown release.
 */
#ifndef LT_RING_BPF_H
#define LT_RING_BPF_H

#include "common.bpf.h"

struct lt_ring_template {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); /* the real ones are made and sized by user space */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, LT_MAX_RINGS);
	__type(key, __u32);
	__array(values, struct lt_ring_template);
} lt_rings __weak SEC(".maps");

/* Wide enough that several of the records around the wake level fall into it. */
#define WAKE_BAND 2048

struct ring_ref {
	void *ring;
	__u64 used; /* bytes not read yet; known after ring_takes_acquire() */
};

static __always_inline bool ring_of(__u64 id, struct ring_ref *ref)
{
	/*
	 * By region rather than by address: a glibc arena lies in aligned regions of 64 MiB
	 * (HEAP_MAX_SIZE), and threads keep to their arenas, so their CPUs do not fight for the
	 * same ring.  Fibonacci hashing: the high bits of x * 2^64/phi (Knuth, TAOCP 3, 6.4).
	 */
	__u32 shard = ((id >> 26) * 0x9e3779b97f4a7c15ULL) >> 40 & lt_config.ring_mask;

	ref->ring = bpf_map_lookup_elem(&lt_rings, &shard);
	return ref->ring;
}

/* For what must keep its order over all ids of a process. */
static __always_inline bool ring_of_process(__u32 process, struct ring_ref *ref)
{
	return ring_of((__u64)process << 26, ref); /* a region of its own */
}

/*
 * The reader looks every 50 ms by itself; it is woken early as an acquire finds a ring about at its
 * wake level.
 */
static __always_inline __u64 ring_flags(const struct ring_ref *ref)
{
	return ref->used - lt_config.wake_level < WAKE_BAND ? BPF_RB_FORCE_WAKEUP
							    : BPF_RB_NO_WAKEUP;
}

static __always_inline bool ring_takes_acquire(struct ring_ref *ref)
{
	ref->used = bpf_ringbuf_query(ref->ring, BPF_RB_AVAIL_DATA);
	return ref->used <= lt_config.acquire_limit;
}

static __always_inline void put_release(const struct ring_ref *ref, __u32 process, __u8 type,
					__u8 kind, __u8 flags, __u64 id)
{
	struct lt_wire_release *record = bpf_ringbuf_reserve(ref->ring, sizeof(*record), 0);

	if (!record) {
		count(LT_COUNTER_RELEASE_RING_FULL);
		return;
	}
	fill_header(&record->header, type, kind, flags, process);
	record->id = id;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

static __always_inline void send_release(__u32 process, __u8 type, __u8 kind, __u8 flags, __u64 id)
{
	struct ring_ref ref;

	if (ring_of(id, &ref))
		put_release(&ref, process, type, kind, flags, id);
	else
		count(LT_COUNTER_RELEASE_RING_FULL);
}

#endif
