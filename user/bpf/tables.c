// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/tables.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "elf/gounwind.h"

/* Tables of files that nobody maps now but may map again: plug-ins that come and go. */
#define MAX_IDLE_TABLES 64
#define VDSO_MAX_BYTES  65536

enum state {
	AWAITED, /* from the builder */
	PLACED,  /* in the maps */
	ABSENT,  /* there is no CFI */
	REFUSED, /* there is, but not for us */
};

struct lt_table {
	struct lt_table *next;
	struct lt_file_identity identity;
	enum state state;
	uint8_t spaces[LT_MAX_SPACES / 8]; /* that use it, a bit each */
	uint32_t word;
	bool done; /* under the lock; the builder's until it is set: */
	int fd;
	int error;
	struct lt_unwind_table built; /* its words and rules are freed once placed */
};

struct lt_tables {
	struct lt_code *code;
	struct lt_table *first;
	int event_fd;
	bool full; /* said so */
	/* The builder reads the list under the lock, and the caller changes it so. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t builder;
	bool stop;
};

static bool is_used(const struct lt_table *table)
{
	static const uint8_t none[sizeof(table->spaces)];

	return memcmp(table->spaces, none, sizeof(none)) != 0;
}

/* One vDSO serves every 64-bit process: ours is as good as the target's, and nearer. */
static int build_vdso(struct lt_unwind_table *table)
{
	const char *image = (const char *)getauxval(AT_SYSINFO_EHDR);
	size_t page = (size_t)getpagesize(), size = 0;
	unsigned char present;

	if (!image)
		return -ENODATA;
	/* Its pages are the last of the mapping; how many there are nobody says. */
	while (size < VDSO_MAX_BYTES && mincore((void *)(image + size), page, &present) == 0)
		size += page;
	return lt_ehframe_build_memory((void *)image, size, table);
}

static void build(struct lt_table *table)
{
	_lt_close_ int fd = lt_take_fd(&table->fd);

	if (fd < 0) {
		table->error = build_vdso(&table->built);
		return;
	}
	table->error = lt_gounwind_build(fd, &table->built);
	if (table->error == -ENODATA)
		table->error = lt_ehframe_build(fd, &table->built);
}

static struct lt_table *next_to_build(const struct lt_tables *tables)
{
	struct lt_table *table = tables->first;

	while (table && table->done)
		table = table->next;
	return table;
}

static void *run_builder(void *argument)
{
	struct lt_tables *tables = argument;
	struct lt_table *table;
	uint64_t one = 1;

	pthread_mutex_lock(&tables->lock);
	while (!tables->stop) {
		table = next_to_build(tables);
		if (!table) {
			pthread_cond_wait(&tables->changed, &tables->lock);
			continue;
		}
		pthread_mutex_unlock(&tables->lock);
		build(table);
		pthread_mutex_lock(&tables->lock);
		table->done = true;
		pthread_cond_broadcast(&tables->changed);
		if (write(tables->event_fd, &one, sizeof(one)) < 0)
			lt_debug("eventfd: %s", strerror(errno)); /* only when it is full of ones */
	}
	pthread_mutex_unlock(&tables->lock);
	return NULL;
}

int lt_tables_new(struct lt_tables **result, struct lt_code *code)
{
	struct lt_tables *tables = calloc(1, sizeof(*tables));
	int err;

	if (!tables)
		return -ENOMEM;
	tables->code = code;
	tables->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = tables->event_fd < 0 ? -errno : 0;
	pthread_mutex_init(&tables->lock, NULL);
	pthread_cond_init(&tables->changed, NULL);
	if (!err)
		err = -pthread_create(&tables->builder, NULL, run_builder, tables);
	if (err) {
		lt_close_p(&tables->event_fd);
		free(tables);
		return err;
	}
	*result = tables;
	return 0;
}

static void free_table(struct lt_table *table)
{
	lt_unwind_table_free(&table->built);
	lt_close_p(&table->fd);
	free(table);
}

void lt_tables_free(struct lt_tables *tables)
{
	if (!tables)
		return;
	pthread_mutex_lock(&tables->lock);
	tables->stop = true;
	pthread_cond_broadcast(&tables->changed);
	pthread_mutex_unlock(&tables->lock);
	pthread_join(tables->builder, NULL);
	while (tables->first) {
		struct lt_table *table = tables->first;

		tables->first = table->next;
		free_table(table);
	}
	pthread_mutex_destroy(&tables->lock);
	pthread_cond_destroy(&tables->changed);
	lt_close_p(&tables->event_fd);
	free(tables);
}

static bool same_file(const struct lt_file_identity *a, const struct lt_file_identity *b)
{
	return a->device == b->device && a->inode == b->inode && a->version == b->version &&
	       a->build_id_len == b->build_id_len &&
	       memcmp(a->build_id, b->build_id, a->build_id_len) == 0;
}

int lt_tables_get(struct lt_tables *tables, const struct lt_file_identity *identity, int fd,
		  struct lt_table **result)
{
	_lt_close_ int owned = fd;
	struct lt_table *table = tables->first;

	while (table && !same_file(&table->identity, identity))
		table = table->next;
	if (!table) {
		table = calloc(1, sizeof(*table));
		if (!table)
			return -ENOMEM;
		table->identity = *identity;
		table->fd = lt_take_fd(&owned);
		pthread_mutex_lock(&tables->lock);
		table->next = tables->first;
		tables->first = table;
		pthread_cond_broadcast(&tables->changed);
		pthread_mutex_unlock(&tables->lock);
	}
	*result = table;
	return 0;
}

int lt_tables_fd(const struct lt_tables *tables)
{
	return tables->event_fd;
}

static void drop(struct lt_tables *tables, struct lt_table *table)
{
	struct lt_table **link = &tables->first;

	if (table->state == PLACED)
		lt_code_drop(tables->code, table->word, table->built.word_count);
	pthread_mutex_lock(&tables->lock);
	while (*link != table)
		link = &(*link)->next;
	*link = table->next;
	pthread_mutex_unlock(&tables->lock);
	free_table(table);
}

/* What nobody maps, but for the `kept` latest. */
static void drop_idle(struct lt_tables *tables, size_t kept)
{
	struct lt_table *table = tables->first, *next;

	for (; table; table = next) {
		next = table->next;
		if (is_used(table) || table->state == AWAITED)
			continue;
		if (kept)
			kept--;
		else
			drop(tables, table);
	}
}

static void place(struct lt_tables *tables, struct lt_table *table)
{
	int err = table->error;

	if (!err)
		err = lt_code_place(tables->code, &table->built, &table->word);
	if (err == -E2BIG && !table->error) {
		drop_idle(tables, 0);
		err = lt_code_place(tables->code, &table->built, &table->word);
	}
	table->state = !err ? PLACED : err == -ENODATA || err == -ENOEXEC ? ABSENT : REFUSED;
	if (table->state == REFUSED && !tables->full)
		lt_warn("an unwind table could not be made (%s): stacks end in the code of that "
			"file (%u of %u words in use)",
			strerror(-err), table->built.word_count,
			LT_MAX_SEGMENTS * LT_UNWIND_SEGMENT);
	tables->full |= table->state == REFUSED;
	free(table->built.words);
	free(table->built.rules);
	table->built.words = NULL;
	table->built.rules = NULL;
}

/* A table that the builder is done with. */
static struct lt_table *next_built(struct lt_tables *tables)
{
	struct lt_table *table;

	pthread_mutex_lock(&tables->lock);
	table = tables->first;
	while (table && !(table->done && table->state == AWAITED))
		table = table->next;
	pthread_mutex_unlock(&tables->lock);
	return table;
}

bool lt_tables_collect(struct lt_tables *tables)
{
	struct lt_table *table;
	bool changed = false;
	uint64_t count;

	while (read(tables->event_fd, &count, sizeof(count)) == sizeof(count))
		;
	while ((table = next_built(tables))) {
		place(tables, table);
		changed = true;
	}
	return changed;
}

void lt_tables_wait(struct lt_tables *tables)
{
	pthread_mutex_lock(&tables->lock);
	while (next_to_build(tables))
		pthread_cond_wait(&tables->changed, &tables->lock);
	pthread_mutex_unlock(&tables->lock);
}

void lt_table_describe(const struct lt_table *table, uint64_t address, struct lt_code_range *range)
{
	switch (table->state) {
	case PLACED:
		range->source = LT_CODE_TABLE;
		range->word = table->word;
		range->page_count = table->built.page_count;
		range->origin = range->start - address + table->built.origin;
		return;
	case ABSENT:
		range->source = LT_CODE_FRAME_POINTER;
		return;
	case AWAITED:
	case REFUSED:
		range->source = LT_CODE_PENDING;
	}
}

void lt_tables_unmark(struct lt_tables *tables, uint32_t space)
{
	for (struct lt_table *table = tables->first; table; table = table->next)
		table->spaces[space / 8] &= (uint8_t) ~(1u << space % 8);
}

void lt_table_mark(struct lt_table *table, uint32_t space)
{
	table->spaces[space / 8] |= (uint8_t)(1u << space % 8);
}

void lt_tables_sweep(struct lt_tables *tables)
{
	drop_idle(tables, MAX_IDLE_TABLES);
}

void lt_tables_summary(const struct lt_tables *tables, struct lt_tables_summary *summary)
{
	*summary = (struct lt_tables_summary){ 0 };
	for (const struct lt_table *table = tables->first; table; table = table->next) {
		summary->files += table->state == PLACED;
		summary->rows += table->built.row_count;
	}
}
