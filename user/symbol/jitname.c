/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbol/jitname.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_LINE_DIGITS   9 /* fits in 32 bits */

/* The text behind prefix, or NULL. */
static char *behind(char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) ? NULL : text + len;
}

/* Shortens *len by the ":NUMBER" at the end of text. */
static bool drop_number(const char *text, size_t *len, uint32_t *number)
{
	size_t start = *len;

	while (start && *len - start < MAX_LINE_DIGITS && isdigit((unsigned char)text[start - 1]))
		start--;
	if (start == *len || !start || text[start - 1] != ':')
		return false;
	*number = 0;
	for (size_t i = start; i < *len; i++)
		*number = *number * 10 + (uint32_t)(text[i] - '0');
	*len = start - 1;
	return true;
}

/*
 * The blank between function and script.  Either may hold blanks ("get total", "/srv/my app.js"),
 * so the script is told by how it begins, if it is a path or a module of node's.
 */
static const char *const beginnings[] = { " /", " file:///", " node:" };

static bool is_place(const char *script)
{
	bool is = false;

	for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++)
		is |= strncmp(script, beginnings[i] + 1, strlen(beginnings[i] + 1)) == 0;
	return is;
}

static char *find_script(char *text)
{
	char *first = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++) {
		char *found = strstr(text, beginnings[i]);

		if (found && (!first || found < first))
			first = found;
	}
	return first ? first : strrchr(text, ' ');
}

/* TAG:[TIER]FUNCTION SCRIPT:LINE[:COLUMN]; V8, src/logging/log.cc.  Older V8 says LazyCompile for JS.
 */
static bool split_v8(char *name, struct lt_source_frame *frame)
{
	static const char *const tags[] = { "JS:", "LazyCompile:", "Function:", "Eval:",
					    "Script:" };
	char *function = NULL, *script, *path;
	uint32_t line, column;
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(tags) && !function; i++)
		function = behind(name, tags[i]);
	script = function ? find_script(function) : NULL;
	if (!script)
		return false;
	len = strlen(++script);
	if (!drop_number(script, &len, &column))
		return false;
	if (!drop_number(script, &len, &line)) {
		if (!is_place(script) || strchr(":0123456789", script[len - 1]))
			return false;
		line = column; /* V8 10, of Node 18, tells none */
	}
	script[-1] = script[len] = '\0';
	function += strspn(function, "~^+*"); /* CodeKindToMarker() of V8, src/objects */
	path = behind(script, "file://");
	frame->function = *function ? function : "<anonymous>";
	frame->file = path ? path : script;
	frame->line = *script ? line : 0; /* eval's text has no name to count lines in */
	return true;
}

static bool split_python(char *name, struct lt_source_frame *frame)
{
	char *function = behind(name, "py::"), *colon = function ? strchr(function, ':') : NULL;

	if (!colon)
		return false;
	*colon = '\0';
	frame->function = function;
	frame->file = colon + 1;
	return true;
}

void lt_jitname_split(char *name, struct lt_source_frame *frame)
{
	*frame = (struct lt_source_frame){ .function = name, .file = "" };
	if (!split_v8(name, frame))
		split_python(name, frame);
}
