// SPDX-License-Identifier: GPL-2.0-or-later
/* Any text as a link of /proc/PID/fd: it is something, and its name lies in the text. */
#include <stdlib.h>
#include <string.h>

#include "proc/descriptors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lt_descriptor descriptor = { .fd = 7, .type = NULL, .name = NULL };
	char *link = malloc(size + 1); /* and no byte longer */
	size_t len;

	memcpy(link, data, size);
	link[size] = '\0';
	len = strlen(link);
	lt_descriptor_parse(link, &descriptor);
	if (descriptor.fd != 7 || !descriptor.type || !*descriptor.type || !descriptor.name)
		abort();
	if (*descriptor.name && (descriptor.name < link || descriptor.name >= link + len))
		abort();
	if (descriptor.socket_inode && (strcmp(descriptor.type, "socket") || *descriptor.name))
		abort();
	free(link);
	return 0;
}
