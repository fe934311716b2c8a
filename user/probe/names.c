// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_name(struct lt_names *names, const char *prefix, const char *symbol)
{
	void *grown = reallocarray(names->list, names->count + 1, sizeof(*names->list));

	if (!grown)
		return -ENOMEM;
	names->list = grown;
	lt_family_symbol(names->list[names->count++], prefix, symbol);
	return 0;
}

int lt_names_add(struct lt_names *names, const struct lt_family *family, const char *prefix)
{
	int err = 0;

	for (size_t i = 0; !err && i < family->function_count; i++)
		err = add_name(names, prefix, family->functions[i].symbol);
	for (const char *const *const *list = family->signatures; !err && list && *list; list++)
		for (const char *const *name = *list; !err && *name; name++)
			err = add_name(names, prefix, *name);
	return err;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

void lt_names_sort(struct lt_names *names)
{
	if (names->count)
		qsort(names->list, names->count, sizeof(*names->list), compare_names);
}

void lt_names_free(struct lt_names *names)
{
	free(names->list);
	*names = (struct lt_names){ 0 };
}

struct search {
	const struct lt_names *names;
	struct lt_symbols *symbols;
};

static int collect(void *context, const struct lt_image_symbol *symbol)
{
	struct search *search = context;
	struct lt_symbols *symbols = search->symbols;

	if (!bsearch(symbol->name, search->names->list, search->names->count,
		     sizeof(*search->names->list), compare_names))
		return 0;
	symbols->cut = symbols->count == LT_MAX_SYMBOLS;
	if (symbols->cut)
		return 1;
	symbols->list[symbols->count++] = (struct lt_symbol){
		.name = symbol->name,
		.address = symbol->address,
		.size = symbol->size,
		.file_offset = symbol->file_offset,
		.ifunc = symbol->ifunc,
		.local = symbol->local,
	};
	return 0;
}

/* Local ones come last. */
static int compare_symbols(const void *a, const void *b)
{
	const struct lt_symbol *left = a, *right = b;
	int order = strcmp(left->name, right->name);

	if (!order)
		order = left->local - right->local;
	return order ? order : (left->address > right->address) - (left->address < right->address);
}

/* Usually a symbol is in .dynsym and in .symtab. */
static void drop_twins(struct lt_symbols *symbols)
{
	size_t kept = 0;

	for (size_t i = 0; i < symbols->count; i++) {
		const struct lt_symbol *last = kept ? &symbols->list[kept - 1] : NULL;

		if (last && last->address == symbols->list[i].address &&
		    !strcmp(last->name, symbols->list[i].name))
			continue;
		symbols->list[kept++] = symbols->list[i];
	}
	symbols->count = kept;
}

int lt_symbols_find(const struct lt_image *image, const struct lt_names *names,
		    struct lt_symbols *symbols)
{
	struct lt_symbols found = { .list = calloc(LT_MAX_SYMBOLS, sizeof(*found.list)) };
	struct search search = { names, &found };

	if (!found.list)
		return -ENOMEM;
	lt_image_each_function(image, collect, &search);
	qsort(found.list, found.count, sizeof(*found.list), compare_symbols);
	drop_twins(&found);
	*symbols = found;
	return 0;
}

void lt_symbols_free(struct lt_symbols *symbols)
{
	free(symbols->list);
	*symbols = (struct lt_symbols){ 0 };
}

const struct lt_symbol *lt_symbols_named(const struct lt_symbols *symbols, const char *name,
					 size_t *count)
{
	size_t low = 0, high = symbols->count;
	const struct lt_symbol *first;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(symbols->list[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*count = 0;
	first = &symbols->list[low];
	while (low + *count < symbols->count && !strcmp(first[*count].name, name) &&
	       first[*count].local == first->local)
		++*count;
	return *count ? first : NULL;
}

bool lt_symbols_match(const struct lt_symbols *symbols, const struct lt_family *family,
		      const char *prefix)
{
	for (const char *const *const *list = family->signatures; list && *list; list++) {
		const char *const *missing = *list;
		char name[LT_MAX_FUNCTION_NAME];
		size_t count = 1;

		for (; *missing && count; missing += count != 0) {
			lt_family_symbol(name, prefix, *missing);
			lt_symbols_named(symbols, name, &count);
		}
		if (!*missing)
			return true;
	}
	return false;
}
