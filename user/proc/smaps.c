// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc/smaps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/pagemap.h"

#define READ_CHUNK 16384
#define MAX_LINE   512 /* of a longer one, whose path nobody needs whole, the beginning */

struct mapping {
	uint64_t start, end; /* 0: none yet */
	enum lt_resident use;
	bool executable;
	uint64_t rss_bytes, anonymous_bytes, swap_bytes;
};

struct parser {
	const struct lt_smaps_tracked *tracked;
	struct lt_smaps sum;
	struct mapping mapping; /* under way: the lines that follow are its own */
	char line[MAX_LINE];
	size_t len;
	int pagemap; /* fd; -1: none */
	uint64_t deadline_ns;
};

/*
 * What a mapping's name says, by its beginning; the first row that fits.  Names of files begin with
 * a slash, so none can pass for the kernel's.  show_map_vma() in fs/proc/task_mmu.c, and the names
 * given in mm/shmem.c, ipc/shm.c, mm/memfd.c, fs/anon_inodes.c.
 */
static const struct {
	const char *prefix;
	enum lt_resident use;
} uses[] = {
	{ "[heap]", LT_RESIDENT_HEAP },
	{ "[stack", LT_RESIDENT_STACK }, /* and [stack:TID], before 4.5 */
	{ "[anon:", LT_RESIDENT_ANONYMOUS },
	{ "[anon_shmem:", LT_RESIDENT_SHARED },
	{ "[", LT_RESIDENT_OTHER },
	{ "/memfd:", LT_RESIDENT_SHARED },
	{ "/dev/shm/", LT_RESIDENT_SHARED },
	{ "/dev/zero", LT_RESIDENT_SHARED }, /* shared anonymous memory, always "(deleted)" */
	{ "/SYSV", LT_RESIDENT_SHARED },
	{ "/", LT_RESIDENT_FILE },
	{ "(unreachable)", LT_RESIDENT_FILE }, /* a file outside of our root */
	{ "anon_inode:", LT_RESIDENT_OTHER },
	{ "socket:", LT_RESIDENT_OTHER },
};

static enum lt_resident use_of(const char *name)
{
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		if (!strncmp(name, uses[i].prefix, strlen(uses[i].prefix)))
			return uses[i].use;
	return name[0] ? LT_RESIDENT_FILE : LT_RESIDENT_ANONYMOUS;
}

static bool add(uint64_t *sum, uint64_t bytes)
{
	return !__builtin_add_overflow(*sum, bytes, sum);
}

/*
 * Whose the pages of a mapping are: weights by class, and *total of all.  Where it has several
 * owners, pagemap tells how many pages each of them has; without it, all parts are equally dense.
 */
static void weigh(const struct parser *parser, const struct mapping *mapping,
		  uint64_t weights[LT_SMAPS_CLASSES], uint64_t *total)
{
	uint64_t pages[LT_SMAPS_CLASSES + 1], sum = 0;
	bool whole = false;

	*total = mapping->end - mapping->start;
	parser->tracked->sizes(parser->tracked->context, mapping->start, mapping->end, weights);
	for (size_t i = 0; i < LT_SMAPS_CLASSES; i++) {
		if (weights[i] > *total)
			weights[i] = *total;
		whole |= weights[i] == *total;
		sum |= weights[i];
	}
	if (whole || !sum || !mapping->rss_bytes || parser->pagemap < 0 ||
	    lt_pagemap_count(parser->pagemap, mapping->start, mapping->end, parser->tracked,
			     parser->deadline_ns, pages))
		return;
	sum = pages[LT_SMAPS_CLASSES];
	for (size_t i = 0; i < LT_SMAPS_CLASSES; i++)
		sum += pages[i];
	if (!sum) /* gone meanwhile */
		return;
	memcpy(weights, pages, LT_SMAPS_CLASSES * sizeof(*weights));
	*total = sum;
}

/* Takes the tracked part out of *left, the resident bytes of a mapping. */
static void add_tracked(struct parser *parser, const struct mapping *mapping, uint64_t *left)
{
	uint64_t weights[LT_SMAPS_CLASSES] = { 0 }, total;

	weigh(parser, mapping, weights, &total);
	for (size_t i = 0; i < LT_SMAPS_CLASSES; i++) {
		uint64_t bytes =
			(uint64_t)((unsigned __int128)mapping->rss_bytes * weights[i] / total);

		if (bytes > *left)
			bytes = *left;
		*left -= bytes;
		parser->sum.resident[LT_RESIDENT_MAPPED + i] += bytes;
	}
}

/* The mapping under way is complete. */
static int finish_mapping(struct parser *parser)
{
	const struct mapping *mapping = &parser->mapping;
	uint64_t left = mapping->rss_bytes, copied = 0;
	enum lt_resident copies = mapping->executable ? LT_RESIDENT_OTHER : LT_RESIDENT_COPIED;

	if (!mapping->end)
		return 0;
	/* No part can exceed this sum. */
	if (!add(&parser->sum.rss_bytes, left) ||
	    !add(&parser->sum.swap_bytes, mapping->swap_bytes))
		return -EBADMSG;
	if (parser->tracked)
		add_tracked(parser, mapping, &left);
	if (mapping->use == LT_RESIDENT_FILE || mapping->use == LT_RESIDENT_SHARED)
		copied = mapping->anonymous_bytes < left ? mapping->anonymous_bytes : left;
	parser->sum.resident[copies] += copied;
	parser->sum.resident[mapping->use] += left - copied;
	parser->mapping = (struct mapping){ 0 };
	return 0;
}

/*
 * START-END rwxp OFFSET MAJOR:MINOR INODE [spaces NAME], proc_pid_maps(5).  The kernel goes on
 * behind the last end that it showed; with a mapping that begins before, if two were joined
 * meanwhile.  What was read later is right.
 */
static int parse_header(struct parser *parser)
{
	struct mapping mapping = { 0 };
	char access[5];
	int name = -1, err;

	if (sscanf(parser->line,
		   "%16" SCNx64 "-%16" SCNx64 " %4[-rwxsp] %*16x %*16x:%*16x %*20u %n",
		   &mapping.start, &mapping.end, access, &name) != 3 ||
	    name < 0 || mapping.start >= mapping.end)
		return -EBADMSG;
	mapping.use = use_of(parser->line + name);
	mapping.executable = strchr(access, 'x');
	if (mapping.start < parser->mapping.end)
		parser->mapping = (struct mapping){ 0 };
	err = finish_mapping(parser);
	parser->mapping = mapping;
	return err;
}

/* "Rss:                  20 kB"; most keys say nothing that is wanted. */
static int parse_field(struct parser *parser)
{
	struct mapping *mapping = &parser->mapping;
	const struct {
		const char *key;
		uint64_t *bytes;
	} fields[] = {
		{ "Rss:", &mapping->rss_bytes },
		{ "Anonymous:", &mapping->anonymous_bytes },
		{ "Swap:", &mapping->swap_bytes },
	};
	uint64_t kib;

	if (!mapping->end)
		return -EBADMSG;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		size_t len = strlen(fields[i].key);

		if (strncmp(parser->line, fields[i].key, len) != 0)
			continue;
		if (sscanf(parser->line + len, "%16" SCNu64, &kib) != 1)
			return -EBADMSG;
		*fields[i].bytes = kib * 1024; /* of 16 digits: does not overflow */
	}
	return 0;
}

static int parse_line(struct parser *parser)
{
	bool header;

	parser->line[parser->len] = '\0';
	parser->len = 0;
	header = strspn(parser->line, "0123456789abcdef"); /* keys are in upper case */
	return header ? parse_header(parser) : parse_field(parser);
}

static int feed(struct parser *parser, const char *text, size_t len)
{
	const char *end = text + len, *newline;
	int err = 0;

	for (; text < end && !err; text = newline + 1) {
		size_t room = sizeof(parser->line) - 1 - parser->len, more;

		newline = memchr(text, '\n', (size_t)(end - text));
		more = (size_t)((newline ? newline : end) - text);
		memcpy(parser->line + parser->len, text, more < room ? more : room);
		parser->len += more < room ? more : room;
		if (!newline)
			return 0;
		err = parse_line(parser);
	}
	return err;
}

static int finish(struct parser *parser, struct lt_smaps *smaps)
{
	int err = parser->len ? -EBADMSG : finish_mapping(parser); /* cut short */

	if (!err && !parser->sum.rss_bytes && !parser->sum.swap_bytes)
		err = -ESRCH; /* it has no memory any more */
	if (err)
		return err;
	parser->sum.resident_count = parser->tracked ? LT_RESIDENT_COUNT : LT_RESIDENT_MAPPED;
	*smaps = parser->sum;
	return 0;
}

int lt_smaps_parse(const char *text, size_t len, const struct lt_smaps_tracked *tracked,
		   struct lt_smaps *smaps)
{
	struct parser parser = { .tracked = tracked, .pagemap = -1 };
	int err = feed(&parser, text, len);

	return err ? err : finish(&parser, smaps);
}

int lt_smaps_read(const struct lt_process *process, uint64_t budget_ns,
		  const struct lt_smaps_tracked *tracked, struct lt_smaps *smaps)
{
	_lt_close_ int fd = openat(process->proc_fd, "smaps", O_RDONLY | O_CLOEXEC);
	_lt_close_ int pagemap = tracked ? openat(process->proc_fd, "pagemap", O_RDONLY | O_CLOEXEC)
					 : -1;
	struct parser parser = { .tracked = tracked,
				 .pagemap = pagemap,
				 .deadline_ns = lt_pagemap_clock() + budget_ns };
	char chunk[READ_CHUNK];
	ssize_t got;
	int err = 0;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!err && (got = read(fd, chunk, sizeof(chunk)))) {
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0)
			err = feed(&parser, chunk, (size_t)got);
		if (!err && lt_pagemap_clock() > parser.deadline_ns)
			err = -ETIME;
	}
	return err ? err : finish(&parser, smaps);
}
