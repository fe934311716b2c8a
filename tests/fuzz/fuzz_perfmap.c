/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as a perf map: the first says where the lookups are, the second how much of the rest is
 * in the file before it grows, and whether the rest stands for letters that lines are likely made
 * of.  What was read in two steps says the same as what was read at once.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "symbol/perfmap.h"

#define MAX_TEXT  4096
#define LOOKUPS   16
#define FILE_NAME "root/tmp/perf-7.map"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stands for /proc/PID. */
static struct lt_process process = { .pid = 7, .ns_pid = 7, .proc_fd = -1 };
static char dir[] = "/tmp/fuzz_perfmap.XXXXXX";

static void remove_all(void)
{
	unlinkat(process.proc_fd, FILE_NAME, 0);
	unlinkat(process.proc_fd, "status", 0);
	unlinkat(process.proc_fd, "root/tmp", AT_REMOVEDIR);
	unlinkat(process.proc_fd, "root", AT_REMOVEDIR);
	rmdir(dir);
}

static void write_file(const char *name, int flags, const void *data, size_t size)
{
	int fd = openat(process.proc_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}

static void start(void)
{
	char status[64];

	if (process.proc_fd >= 0)
		return;
	if (!mkdtemp(dir))
		abort();
	process.proc_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (process.proc_fd < 0 || mkdirat(process.proc_fd, "root", 0700) ||
	    mkdirat(process.proc_fd, "root/tmp", 0700) || atexit(remove_all))
		abort();
	snprintf(status, sizeof(status), "\nUid:\t0\t%d\t0\t0\n", (int)geteuid());
	write_file("status", 0, status, strlen(status));
}

static bool lookup(struct lt_perfmap *map, uint64_t address, struct lt_source_frame *frame)
{
	bool found = lt_perfmap_lookup(map, address, frame);

	if (found && (strlen(frame->function) >= LT_MAX_NAME || !*frame->function ||
		      strlen(frame->file) >= LT_MAX_NAME))
		abort();
	return found;
}

static size_t make_text(char *text, const uint8_t *data, size_t size, bool letters)
{
	static const char alphabet[] = "0123456789abcdef   \n\n\n10 JS:*f/xpy";

	if (size > MAX_TEXT)
		size = MAX_TEXT;
	for (size_t i = 0; i < size; i++)
		text[i] = letters ? alphabet[data[i] % (sizeof(alphabet) - 1)] : (char)data[i];
	return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lt_perfmap *grown, *whole;
	char text[MAX_TEXT];
	size_t first, len;

	start();
	if (size < 2)
		return 0;
	len = make_text(text, data + 2, size - 2, data[1] & 1);
	first = len * data[1] / UINT8_MAX;
	if (lt_perfmap_new(&grown, &process) || lt_perfmap_new(&whole, &process))
		abort();
	unlinkat(process.proc_fd, FILE_NAME, 0);
	write_file(FILE_NAME, O_EXCL, text, first);
	for (uint64_t i = 0; i < LOOKUPS; i++) {
		struct lt_source_frame frame;

		lookup(grown, data[0] * i, &frame);
	}
	write_file(FILE_NAME, O_APPEND, text + first, len - first);
	for (uint64_t i = 0; i < LOOKUPS; i++) {
		struct lt_source_frame one, other;
		bool found = lookup(grown, data[0] * i, &one);

		if (found != lookup(whole, data[0] * i, &other) ||
		    (found &&
		     (strcmp(one.function, other.function) || strcmp(one.file, other.file))))
			abort();
	}
	lt_perfmap_free(grown);
	lt_perfmap_free(whole);
	return 0;
}
