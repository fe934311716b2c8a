// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf/unwind_table.h"

#include <errno.h>
#include <stdlib.h>

#include "base/hash.h"

#define MAX_PAGES  ((4ULL << 30) / LT_UNWIND_PAGE) /* code models up to medium stay below 2 GiB */
#define SLOT_COUNT (LT_MAX_RULES * 2)

int lt_table_writer_begin(struct lt_table_writer *writer, uint64_t origin, uint64_t end)
{
	struct lt_unwind_table *table = &writer->table;
	uint64_t pages;

	origin -= origin % LT_UNWIND_PAGE;
	pages = (end - origin - 1) / LT_UNWIND_PAGE + 1;
	if (end <= origin || pages > MAX_PAGES)
		return -E2BIG;
	*writer = (struct lt_table_writer){ .table = { .origin = origin, .rule_count = 1 } };
	table->page_count = (uint32_t)pages;
	table->word_count = table->page_count + 1;
	/* Two rows a page to begin with. */
	writer->capacity = table->word_count + 2 * table->page_count;
	table->words = malloc(writer->capacity * sizeof(*table->words));
	table->rules = calloc(LT_MAX_RULES, sizeof(*table->rules));
	writer->slots = calloc(SLOT_COUNT, sizeof(*writer->slots));
	if (!table->words || !table->rules || !writer->slots) {
		lt_table_writer_free(writer);
		return -ENOMEM;
	}
	return 0;
}

void lt_table_writer_free(struct lt_table_writer *writer)
{
	lt_unwind_table_free(&writer->table);
	free(writer->slots);
	writer->slots = NULL;
}

static int number_of(struct lt_table_writer *writer, uint64_t rule, uint16_t *number)
{
	struct lt_unwind_table *table = &writer->table;
	size_t slot = lt_mix64(rule) % SLOT_COUNT;

	if (rule == table->rules[writer->rule]) {
		*number = writer->rule;
		return 0;
	}
	if (rule == table->rules[0]) {
		*number = 0;
		return 0;
	}
	while (writer->slots[slot] && table->rules[writer->slots[slot]] != rule)
		slot = (slot + 1) % SLOT_COUNT;
	if (!writer->slots[slot]) {
		if (table->rule_count == LT_MAX_RULES)
			return -E2BIG;
		table->rules[table->rule_count] = rule;
		writer->slots[slot] = (uint16_t)table->rule_count++;
	}
	*number = writer->slots[slot];
	return 0;
}

static int push(struct lt_table_writer *writer, uint32_t offset)
{
	struct lt_unwind_table *table = &writer->table;

	if (table->row_count == LT_MAX_UNWIND_ROWS)
		return -E2BIG;
	if (table->word_count == writer->capacity) {
		uint32_t wanted = writer->capacity + writer->capacity / 2;
		uint32_t *more = reallocarray(table->words, wanted, sizeof(*more));

		if (!more)
			return -ENOMEM;
		table->words = more;
		writer->capacity = wanted;
	}
	table->words[table->word_count++] = LT_ROW(offset, writer->rule);
	table->row_count++;
	return 0;
}

/* Begins the pages that start before the offset in the table: the last rule goes on in them. */
static int begin_pages(struct lt_table_writer *writer, uint64_t before)
{
	int err = 0;

	while (!err && (uint64_t)writer->next_page * LT_UNWIND_PAGE < before) {
		writer->table.words[writer->next_page++] = writer->table.word_count;
		err = push(writer, 0);
	}
	return err;
}

int lt_table_writer_put(struct lt_table_writer *writer, uint64_t address, uint64_t rule)
{
	uint64_t offset = address - writer->table.origin;
	uint16_t number;
	int err = number_of(writer, rule, &number);

	if (err || number == writer->rule)
		return err;
	err = begin_pages(writer, offset);
	writer->rule = number;
	/* A page that starts here gets the rule when it begins. */
	if (err || offset % LT_UNWIND_PAGE == 0)
		return err;
	return push(writer, offset % LT_UNWIND_PAGE);
}

int lt_table_writer_finish(struct lt_table_writer *writer, uint64_t end,
			   struct lt_unwind_table *table)
{
	struct lt_unwind_table *made = &writer->table;
	int err = 0;

	if (end % LT_UNWIND_PAGE)
		err = lt_table_writer_put(writer, end, LT_RULE(LT_CFA_NONE, 0, 0, 0));
	if (!err)
		err = begin_pages(writer, (uint64_t)made->page_count * LT_UNWIND_PAGE);
	if (err)
		return err;
	made->words[made->page_count] = made->word_count;
	*table = *made;
	*made = (struct lt_unwind_table){ 0 };
	return 0;
}

void lt_unwind_table_free(struct lt_unwind_table *table)
{
	free(table->words);
	free(table->rules);
	table->words = NULL;
	table->rules = NULL;
}

uint64_t lt_unwind_table_rule(const struct lt_unwind_table *table, uint64_t address)
{
	uint64_t offset = address - table->origin, page = offset / LT_UNWIND_PAGE;
	uint32_t low, high;

	if (address < table->origin || page >= table->page_count)
		return LT_RULE(LT_CFA_NONE, 0, 0, 0);
	low = table->words[page];
	high = table->words[page + 1];
	while (low + 1 < high) {
		uint32_t middle = low + (high - low) / 2;

		if (table->words[middle] >> 16 <= offset % LT_UNWIND_PAGE)
			low = middle;
		else
			high = middle;
	}
	return table->rules[LT_ROW_RULE(table->words[low])];
}
