/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbol/demangle.h"

#include <ctype.h>
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "leaktrace/limits.h"

/*
 * Each back reference to a type in a D name may double the output, and libiberty's D demangler
 * builds all of it in memory; names with more of them stay mangled.
 */
#define MAX_D_BACK_REFERENCES 16

/* Parameter lists belong to the name: they tell overloads apart. */
#define STYLE (DMGL_PARAMS | DMGL_ANSI)

/*
 * What GCC and LLVM append to the names of clones and parts of a function: GCC's
 * clone_function_name() callers, LLVM's getUniqueInternalLinkageName and ThinLTO promotion.
 */
static const char *const clone_suffixes[] = {
	".constprop", ".isra",    ".part",  ".cold",       ".lto_priv",
	".llvm",      "._omp_fn", ".clone", ".localalias",
};

/* Length of name without one trailing clone suffix, with or without its number. */
static size_t without_clone_suffix(const char *name, size_t len)
{
	size_t end = len;

	while (end && isdigit((unsigned char)name[end - 1]))
		end--;
	if (end == len || !end || name[--end] != '.')
		end = len;
	for (size_t i = 0; i < sizeof(clone_suffixes) / sizeof(*clone_suffixes); i++) {
		size_t suffix_len = strlen(clone_suffixes[i]);

		if (end > suffix_len &&
		    !strncmp(name + end - suffix_len, clone_suffixes[i], suffix_len))
			return end - suffix_len;
	}
	return len;
}

static void cut_decorations(char *name)
{
	size_t len = strcspn(name, "@"), shorter;

	if (!len)
		return;
	while ((shorter = without_clone_suffix(name, len)) < len)
		len = shorter;
	name[len] = '\0';
}

struct sink {
	char *text; /* LT_MAX_NAME bytes */
	size_t len;
	jmp_buf full;
};

/*
 * A name of 4 KiB can stand for gigabytes of text, as substitutions repeat whole subtrees.  Once
 * the result is full there is no use in the rest: leave the demangler, which keeps its state on the
 * stack when it prints to a callback.
 */
static void append(const char *text, size_t len, void *context)
{
	struct sink *sink = context;
	size_t room = LT_MAX_NAME - 1 - sink->len, part = len < room ? len : room;

	memcpy(sink->text + sink->len, text, part);
	sink->len += part;
	if (part < len)
		longjmp(sink->full, 1);
}

typedef int (*demangler)(const char *mangled, int options, demangle_callbackref sink, void *opaque);

static bool run(demangler demangle, const char *name, struct sink *sink)
{
	bool done = true; /* a full sink is a result too */

	sink->len = 0;
	if (!setjmp(sink->full))
		done = demangle(name, STYLE, append, sink);
	sink->text[done ? sink->len : 0] = '\0';
	return done;
}

/*
 * "Q" and a distance in base 26, the last digit of it in lower case (D specification, "Back
 * references").  One to an identifier, which begins with its length, only repeats that.  A Q that
 * is part of something else may be taken for a reference, but none is passed over.
 */
static bool is_type_reference(const char *name, const char *q)
{
	const char *digit = q + 1;
	size_t distance = 0;

	for (; *digit >= 'A' && *digit <= 'Z' && distance < LT_MAX_NAME; digit++)
		distance = distance * 26 + (size_t)(*digit - 'A');
	if (*digit < 'a' || *digit > 'z')
		return false;
	distance = distance * 26 + (size_t)(*digit - 'a');
	return distance <= (size_t)(q - name) && !isdigit((unsigned char)*(q - distance));
}

static bool is_mangled_d(const char *name)
{
	size_t references = 0;

	for (const char *c = name; *c; c++)
		references += *c == 'Q' && is_type_reference(name, c);
	return name[0] == '_' && name[1] == 'D' &&
	       (isdigit((unsigned char)name[2]) || !strcmp(name, "_Dmain")) &&
	       references <= MAX_D_BACK_REFERENCES;
}

char *lt_symbol_demangle(const char *name)
{
	/* Rust first: its legacy names are well-formed C++ ones, with a hash behind. */
	static const demangler demanglers[] = { rust_demangle_callback,
						cplus_demangle_v3_callback };
	_lt_free_ char *plain = strndup(name, LT_MAX_NAME - 1), *text = NULL, *d = NULL;
	struct sink sink;

	if (!plain)
		return NULL;
	if (strlen(plain) == LT_MAX_NAME - 1) /* cut: no longer a mangled name */
		return lt_take_ptr(plain);
	cut_decorations(plain);
	if (plain[0] != '_')
		return lt_take_ptr(plain);
	if (is_mangled_d(plain)) {
		d = dlang_demangle(plain, STYLE);
		return strndup(d ? d : plain, LT_MAX_NAME - 1);
	}
	text = malloc(LT_MAX_NAME);
	if (!text)
		return NULL;
	sink.text = text;
	for (size_t i = 0; i < sizeof(demanglers) / sizeof(*demanglers); i++)
		if (run(demanglers[i], plain, &sink))
			return strdup(text);
	return lt_take_ptr(plain);
}
