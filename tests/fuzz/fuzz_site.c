// SPDX-License-Identifier: GPL-2.0-or-later
/* Any bytes as code: the site lies inside of it, and is either the entry or emulated. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "probe/site.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lt_site_request request = { 0 };
	struct lt_site_choice choice;

	if (!size)
		return 0;
	request.arguments = data[0] & 7;
	request.null_is_noop = data[0] & 8;
	request.code = data + 1;
	request.code_len = size - 1;
	lt_site_choose(&request, &choice);
	if (choice.offset && (choice.offset >= request.code_len || !choice.emulated))
		abort();
	if (!memchr(choice.instruction, 0, sizeof(choice.instruction)) ||
	    !memchr(choice.reason, 0, sizeof(choice.reason)) || !choice.reason[0])
		abort();
	return 0;
}
