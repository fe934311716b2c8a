// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#define COLUMNS 80

static void indent(struct lt_buf *out, int columns)
{
	lt_buf_printf(out, "%*s", columns, "");
}

/*
 * One paragraph, broken at blanks; a word longer than the line stays whole.  Names in it are the
 * target's: cleaned of what could command a terminal.
 */
static void put_wrapped(struct lt_buf *out, int left, const char *text)
{
	_lt_buf_ struct lt_buf clean = { 0 };
	size_t column = 0;
	char *rest, *word;

	lt_utf8_clean(&clean, text);
	if (clean.error)
		out->error = clean.error;
	for (rest = clean.data; (word = strsep(&rest, " "));) {
		size_t width = lt_utf8_width(word);

		if (!width)
			continue;
		if (column && column + 1 + width > COLUMNS) {
			lt_buf_char(out, '\n');
			column = 0;
		}
		if (column) {
			lt_buf_char(out, ' ');
			column++;
		} else {
			indent(out, left);
			column = (size_t)left;
		}
		lt_buf_str(out, word);
		column += width;
	}
	lt_buf_char(out, '\n');
}

__attribute__((format(printf, 3, 4))) static void put_line(struct lt_buf *out, int left,
							   const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	put_wrapped(out, left, text);
}

static void put_aliases(struct lt_buf *out, const char *aliases)
{
	for (; *aliases; aliases++) {
		lt_buf_char(out, *aliases);
		if (*aliases == ',')
			lt_buf_char(out, ' ');
	}
}

static void put_probe(struct lt_buf *out, const struct lt_plan_probe *probe)
{
	_lt_buf_ struct lt_buf names = { 0 };

	lt_buf_str(&names, probe->symbol);
	if (*probe->aliases) {
		lt_buf_str(&names, " = ");
		put_aliases(&names, probe->aliases);
	}
	put_wrapped(out, 2, names.data ? names.data : probe->symbol);
	put_line(out, 4, "function 0x%llx, probe at +%u: %s (%s)",
		 (unsigned long long)probe->entry_offset, probe->choice.offset,
		 probe->choice.instruction, probe->choice.emulated ? "emulated" : "single-stepped");
	put_line(out, 4, "%s", probe->choice.reason);
}

static void put_file(struct lt_buf *out, const struct lt_plan *plan, uint32_t index)
{
	const struct lt_plan_file *file = &plan->files[index];

	lt_buf_printf(out, "\n%s", file->family->name);
	if (*file->prefix)
		lt_buf_printf(out, " (%s...)", file->prefix);
	lt_buf_str(out, " in ");
	lt_utf8_clean(out, file->path);
	lt_buf_str(out, "\n  build-id ");
	for (size_t i = 0; i < file->build_id_len; i++)
		lt_buf_printf(out, "%02x", file->build_id[i]);
	lt_buf_str(out, file->build_id_len ? "\n" : "none\n");
	for (size_t i = 0; i < plan->probe_count; i++)
		if (plan->probes[i].file == index)
			put_probe(out, &plan->probes[i]);
}

void lt_plan_print(const struct lt_plan *plan, const struct lt_process *process, struct lt_buf *out)
{
	lt_buf_printf(out, "probes for process %d (", (int)process->pid);
	lt_utf8_clean(out, process->comm);
	lt_buf_str(out, ")\n");
	for (uint32_t i = 0; i < plan->file_count; i++)
		put_file(out, plan, i);
	if (plan->skip_count || !plan->probe_count)
		lt_buf_str(out, "\nnot attached\n");
	if (!plan->probe_count)
		put_line(out, 2, "%s",
			 process->bits32
				 ? "32-bit programs are not traced"
				 : "no allocator was found among the files that the process maps");
	for (size_t i = 0; i < plan->skip_count; i++) {
		indent(out, 2);
		lt_utf8_clean(out, plan->skips[i].what);
		lt_buf_char(out, '\n');
		put_wrapped(out, 4, plan->skips[i].why);
	}
}
