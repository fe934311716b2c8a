// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/gobirths.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include <bpf/bpf.h>

#include "base/cleanup.h"

/* An entry is written within nanoseconds, unless the writer is not let run. */
#define TRIES 100

/* Read at once.  The kernel gives whole buckets, of which none has nearly that many. */
#define BATCH 1024

uint64_t lt_gobirths_look(const struct lt_gobirths *births)
{
	return __atomic_add_fetch(births->looks, 1, __ATOMIC_SEQ_CST);
}

bool lt_gobirths_find(const struct lt_gobirths *births, uint32_t process, uint64_t g,
		      struct lt_go_birth *birth)
{
	struct lt_go_birth_key key = { .g = g, .process = process };

	for (int i = 0; i < TRIES; i++) {
		if (bpf_map_lookup_elem(births->births_fd, &key, birth))
			return false;
		if (birth->check == lt_go_birth_check(birth))
			return true;
	}
	return false;
}

int lt_gobirths_each_made(const struct lt_gobirths *births, uint32_t process,
			  int (*tell)(void *context, uint64_t stack_id, uint64_t count),
			  void *context)
{
	_lt_free_ struct lt_go_made_key *keys = calloc(BATCH, sizeof(*keys));
	_lt_free_ __u64 *counts = calloc(BATCH, sizeof(*counts));
	bool first = true, more = true;
	__u32 position;

	if (!keys || !counts)
		return -ENOMEM;
	while (more) {
		__u32 count = BATCH;
		int err = bpf_map_lookup_batch(births->made_fd, first ? NULL : &position, &position,
					       keys, counts, &count, NULL);

		if (err && errno != ENOENT)
			return -errno;
		more = !err;
		first = false;
		for (__u32 i = 0; i < count; i++) {
			err = keys[i].process == process
				      ? tell(context, keys[i].stack_id, counts[i])
				      : 0;
			if (err)
				return err;
		}
	}
	return 0;
}

/* Keys of both tables have the process at the same place. */
_Static_assert(sizeof(struct lt_go_birth_key) == sizeof(struct lt_go_made_key) &&
		       offsetof(struct lt_go_birth_key, process) ==
			       offsetof(struct lt_go_made_key, process),
	       "one loop does for both");

static void forget(int fd, uint32_t process)
{
	struct lt_go_birth_key key, next;
	bool more = !bpf_map_get_next_key(fd, NULL, &next);

	while (more) {
		key = next;
		more = !bpf_map_get_next_key(fd, &key, &next);
		if (key.process == process)
			bpf_map_delete_elem(fd, &key);
	}
}

void lt_gobirths_forget(const struct lt_gobirths *births, uint32_t process)
{
	forget(births->births_fd, process);
	forget(births->made_fd, process);
}
