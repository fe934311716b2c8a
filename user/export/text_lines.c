// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/text_lines.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/utf8.h"
#include "export/caller.h"
#include "leaktrace/events.h"

#define WIDE_COLUMNS     120 /* from here on there is room for whole paths */
#define SHORT_BUILD_ID   12  /* hex digits; enough to find it, the JSON has all */
#define FRAME_INDENT     5
#define CALLER_MIN_WIDTH 12 /* a shorter name says nothing */

void lt_lines_free(struct lt_lines *lines)
{
	if (lines->line.error)
		lines->out->error = lines->line.error;
	lt_buf_free(&lines->line);
}

static void append_formatted(struct lt_buf *out, const char *format, va_list args)
{
	char text[512]; /* our own words are short */

	vsnprintf(text, sizeof(text), format, args);
	lt_buf_str(out, text);
}

void lt_lines_printf(struct lt_lines *lines, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append_formatted(&lines->line, format, args);
	va_end(args);
}

void lt_lines_color(struct lt_lines *lines, const char *color, const char *format, ...)
{
	bool colored = lines->color && color[0];
	va_list args;

	if (colored)
		lt_buf_printf(&lines->line, "\x1b[%sm", color);
	va_start(args, format);
	append_formatted(&lines->line, format, args);
	va_end(args);
	if (colored)
		lt_buf_str(&lines->line, "\x1b[0m");
}

void lt_lines_foreign(struct lt_lines *lines, const char *text)
{
	lt_utf8_clean(&lines->line, text);
}

void lt_lines_name(struct lt_lines *lines, const char *text, size_t columns)
{
	_lt_buf_ struct lt_buf clean = { 0 };

	lt_utf8_clean(&clean, text);
	if (clean.error)
		lines->line.error = clean.error;
	else if (clean.len)
		lt_utf8_shorten(&lines->line, clean.data, columns);
}

void lt_lines_indent(struct lt_lines *lines, size_t columns)
{
	lt_buf_printf(&lines->line, "%*s", (int)columns, "");
}

bool lt_lines_fit(const struct lt_lines *lines)
{
	return !lines->line.data || lt_utf8_width(lines->line.data) <= lines->columns;
}

void lt_lines_drop(struct lt_lines *lines)
{
	lt_buf_clear(&lines->line);
}

void lt_lines_trim(struct lt_lines *lines, const char *suffix)
{
	size_t len = strlen(suffix);
	struct lt_buf *line = &lines->line;

	if (line->len >= len && !memcmp(line->data + line->len - len, suffix, len)) {
		line->len -= len;
		line->data[line->len] = '\0';
	}
}

static char *word_end(char *text)
{
	text += strspn(text, " ");
	return text + strcspn(text, " ");
}

/*
 * Cuts the next word off the rest, with the spaces before it.  A number and what it counts ("10 %",
 * "16.2 MiB", "50 s") are one word.
 */
static char *next_word(char **rest)
{
	char *word = *rest, *end;

	if (!*word)
		return NULL;
	end = word_end(word);
	if (end[-1] >= '0' && end[-1] <= '9' && end[0] == ' ' && end[1] != ' ')
		end = word_end(end);
	*rest = end;
	return word;
}

void lt_lines_end(struct lt_lines *lines, size_t indent)
{
	_lt_buf_ struct lt_buf piece = { 0 };
	char *rest = lines->line.data, *word;
	size_t column = 0;

	while (rest && (word = next_word(&rest))) {
		size_t width;

		lt_buf_clear(&piece);
		lt_buf_append(&piece, word, (size_t)(rest - word));
		if (piece.error)
			break;
		width = lt_utf8_width(piece.data);
		if (column > indent && column + width > lines->columns) {
			const char *bare = piece.data + strspn(piece.data, " ");

			lt_buf_printf(lines->out, "\n%*s", (int)indent, "");
			column = indent;
			memmove(piece.data, bare, strlen(bare) + 1);
			width = lt_utf8_width(piece.data);
		}
		if (column + width > lines->columns)
			width = lines->columns - column; /* one very long word */
		lt_utf8_shorten(lines->out, piece.data, width ? width : 1);
		column += width;
	}
	if (piece.error)
		lines->line.error = piece.error;
	lt_buf_char(lines->out, '\n');
	lt_buf_clear(&lines->line);
}

void lt_lines_blank(struct lt_lines *lines)
{
	lt_buf_char(lines->out, '\n');
}

/* What fills the two columns of a frame; clean text. */
struct columns {
	struct lt_buf function, place;
};

static void columns_free(struct columns *columns)
{
	lt_buf_free(&columns->function);
	lt_buf_free(&columns->place);
}

/* "module+0x1234 [build-id]": what can still be looked up elsewhere. */
static void append_address(struct lt_buf *out, const struct lt_report_frame *frame, bool wide)
{
	lt_caller_address(out, frame, wide);
	if (frame->module[0] && frame->build_id[0])
		lt_buf_printf(out, " [%.*s]", SHORT_BUILD_ID, frame->build_id);
}

static void describe(const struct lt_report_frame *frame, bool wide, bool verbose,
		     struct columns *columns)
{
	lt_buf_clear(&columns->function);
	lt_buf_clear(&columns->place);
	lt_buf_str(&columns->place, ""); /* never a NULL data */
	if (!frame->function[0] && !frame->file[0]) {
		append_address(&columns->function, frame, wide);
		return;
	}
	lt_utf8_clean(&columns->function, frame->function[0] ? frame->function : "??");
	if (frame->file[0]) {
		lt_utf8_clean(&columns->place,
			      wide ? frame->file : lt_caller_base_name(frame->file));
		if (frame->line)
			lt_buf_printf(&columns->place, ":%" PRIu32, frame->line);
	} else if (verbose) {
		append_address(&columns->place, frame, wide);
	} else if (frame->module[0]) {
		lt_buf_str(&columns->place, "in ");
		lt_utf8_clean(&columns->place,
			      wide ? frame->module : lt_caller_base_name(frame->module));
	}
}

static bool failed(struct lt_lines *lines, const struct columns *columns)
{
	if (columns->function.error || columns->place.error)
		lines->line.error = columns->function.error ? columns->function.error
							    : columns->place.error;
	return lines->line.error != 0;
}

#define INLINED " [inlined]"

static size_t function_width(const struct lt_report_frame *frame, const struct columns *columns)
{
	return lt_utf8_width(columns->function.data) + (frame->inlined ? strlen(INLINED) : 0);
}

/* One frame, its function padded or shortened to width columns; ends at the room given. */
static void put_frame(struct lt_lines *lines, const struct lt_report_frame *frame,
		      const struct columns *columns, size_t width, size_t room)
{
	size_t mark = frame->inlined ? strlen(INLINED) : 0;
	size_t used = function_width(frame, columns);

	if (!columns->place.len)
		width = room; /* nothing beside it */
	lt_utf8_shorten(lines->out, columns->function.data, width - mark);
	lt_buf_str(lines->out, mark ? INLINED : "");
	if (columns->place.len) {
		lt_buf_printf(lines->out, "%*s  ", used < width ? (int)(width - used) : 0, "");
		lt_utf8_shorten(lines->out, columns->place.data, room - width - 2);
	}
}

/* The same with nothing shortened: a place that has no room beside its function has its own line. */
static void put_whole_frame(struct lt_lines *lines, const struct lt_report_frame *frame,
			    const struct columns *columns, size_t width, size_t room, size_t indent)
{
	size_t used = function_width(frame, columns), place = lt_utf8_width(columns->place.data);

	lt_buf_str(lines->out, columns->function.data);
	lt_buf_str(lines->out, frame->inlined ? INLINED : "");
	if (!place)
		return;
	if (used + 2 + place > room)
		lt_buf_printf(lines->out, "\n%*s", (int)indent, "");
	else if (used < width && width + 2 + place <= room)
		lt_buf_printf(lines->out, "%*s", (int)(width - used + 2), "");
	else
		lt_buf_str(lines->out, "  ");
	lt_buf_str(lines->out, columns->place.data);
}

/* How wide the column of functions is: enough for all, while the places keep two fifths. */
static size_t split_columns(struct lt_lines *lines, const struct lt_report_site *site,
			    size_t frames, bool verbose, size_t room)
{
	_lt_cleanup_(columns_free) struct columns columns = { 0 };
	bool wide = lines->columns >= WIDE_COLUMNS;
	size_t function = 0, place = 0;

	for (size_t i = 0; i < frames; i++) {
		size_t width;

		if (site->frames[i].mark)
			continue;
		describe(&site->frames[i], wide, verbose, &columns);
		if (failed(lines, &columns))
			return room / 2;
		if (!columns.place.len)
			continue;
		width = function_width(&site->frames[i], &columns);
		function = width > function ? width : function;
		width = lt_utf8_width(columns.place.data);
		place = width > place ? width : place;
	}
	if (function + 2 + place <= room)
		return function;
	if (place > room * 2 / 5)
		place = room * 2 / 5;
	return function < room - 2 - place ? function : room - 2 - place;
}

static int digits(size_t value)
{
	return value < 10 ? 1 : value < 100 ? 2 : value < 1000 ? 3 : 4;
}

static void put_stack_end(struct lt_lines *lines, const char *phrase, size_t frames)
{
	static const char *const phrases[] = {
#define LT_STACK_END(symbol, value, counter, text) [value] = (text),
		LT_STACK_ENDS
#undef LT_STACK_END
	};
	/* Or it came to its end, but not by a sure way; or there is no stack at all. */
	bool ends_early = frames && strcmp(phrase, phrases[LT_STACK_UNSURE]) != 0;

	lt_buf_printf(lines->out, "%*s… %s%s\n", FRAME_INDENT, "",
		      ends_early ? "stack ends here: " : "", phrase);
}

void lt_lines_stack(struct lt_lines *lines, const struct lt_report_site *site, size_t frames,
		    bool verbose)
{
	_lt_cleanup_(columns_free) struct columns columns = { 0 };
	int number = digits(frames ? frames - 1 : 0);
	size_t indent = FRAME_INDENT + 2 + (size_t)number, room = lines->columns - indent;
	size_t width = split_columns(lines, site, frames, verbose, room), numbered = 0;

	for (size_t i = 0; i < frames; i++) {
		if (site->frames[i].mark) {
			lt_buf_printf(lines->out, "%*s%s\n", FRAME_INDENT, "",
				      site->frames[i].mark->text);
			continue;
		}
		describe(&site->frames[i], lines->columns >= WIDE_COLUMNS, verbose, &columns);
		if (failed(lines, &columns))
			return;
		lt_buf_printf(lines->out, "%*s#%-*zu ", FRAME_INDENT, "", number, numbered++);
		if (verbose)
			put_whole_frame(lines, &site->frames[i], &columns, width, room, indent + 2);
		else
			put_frame(lines, &site->frames[i], &columns, width, room);
		lt_buf_char(lines->out, '\n');
	}
	if (frames < site->frame_count)
		lt_buf_printf(lines->out, "%*s… %" PRIu32 " more (-v shows all)\n", FRAME_INDENT,
			      "", site->frame_count - (uint32_t)frames);
	if (site->stack_end[0] && frames == site->frame_count)
		put_stack_end(lines, site->stack_end, frames);
}

void lt_lines_place(struct lt_lines *lines, const struct lt_report_frame *frame)
{
	_lt_cleanup_(columns_free) struct columns columns = { 0 };
	struct lt_report_frame place = *frame;

	place.build_id = "";
	describe(&place, false, false, &columns);
	if (failed(lines, &columns))
		return;
	lt_utf8_shorten(&lines->line, columns.function.data, lines->columns / 2);
	if (columns.place.len) {
		lt_buf_str(&lines->line, " (");
		lt_utf8_shorten(&lines->line, columns.place.data, lines->columns / 2);
		lt_buf_str(&lines->line, ")");
	}
}

void lt_lines_caller(struct lt_lines *lines, const struct lt_report_site *site)
{
	_lt_cleanup_(columns_free) struct columns columns = { 0 };
	const struct lt_report_frame *found = lt_caller_find(site);
	size_t used = lines->line.data ? lt_utf8_width(lines->line.data) : 0;

	if (found && used + 2 + CALLER_MIN_WIDTH <= lines->columns) {
		struct lt_report_frame caller = *found;
		size_t room = lines->columns - used - 2, place, width;

		caller.build_id = ""; /* no room for what tells a person nothing */
		describe(&caller, false, false, &columns);
		if (failed(lines, &columns))
			return;
		width = lt_utf8_width(columns.function.data);
		place = lt_utf8_width(columns.place.data);
		lt_buf_str(&lines->line, "  ");
		if (place && width + 2 + place > room && place + 2 + CALLER_MIN_WIDTH <= room)
			width = room - 2 - place;
		else if (width > room)
			width = room;
		lt_utf8_shorten(&lines->line, columns.function.data, width);
		if (place && width + 2 + place <= room)
			lt_buf_printf(&lines->line, "  %s", columns.place.data);
	} else if (!site->frame_count && site->stack_end[0] && used + 3 <= lines->columns) {
		lt_buf_str(&lines->line, "  ");
		lt_utf8_shorten(&lines->line, site->stack_end, lines->columns - used - 2);
	}
	if (lines->line.data)
		lt_buf_append(lines->out, lines->line.data, lines->line.len);
	lt_buf_char(lines->out, '\n');
	lt_buf_clear(&lines->line);
}
