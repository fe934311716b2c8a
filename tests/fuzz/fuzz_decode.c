// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clang -g -O1 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -Iinclude -Iuser
 *	tests/fuzz/fuzz_decode.c user/stream/decode.c user/base/kind.c
 */
#include <stdlib.h>
#include <string.h>

#include "stream/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lt_event event, before;
	volatile uint64_t sum = 0;
	uint8_t *aligned = malloc(size ? size : 1); /* as the ring gives it, and no byte longer */

	if (!aligned)
		return 0;
	if (size)
		memcpy(aligned, data, size);
	memset(&event, 0x5a, sizeof(event));
	memcpy(&before, &event, sizeof(event));
	if (lt_decode_wire(aligned, size, &event)) {
		if (memcmp(&event, &before, sizeof(event)))
			abort();
	} else if (event.type == LT_EVENT_STACK) {
		if (!event.stack.frame_count || event.stack.frame_count > LT_MAX_FRAMES)
			abort();
		for (size_t i = 0; i < event.stack.frame_count; i++)
			sum += event.stack.frames[i];
	}
	free(aligned);
	if (event.type == LT_EVENT_RELEASE && event.flags & LT_WIRE_F_RANGE &&
	    lt_kind_listing(event.kind) && event.release.id + event.release.size - 1 > UINT32_MAX)
		abort();
	return 0;
}
