// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/explain.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/utf8.h"
#include "elf/gounwind.h"
#include "go/program.h"
#include "probe/gosites.h"
#include "proc/maps.h"

static bool seen_before(const struct lt_maps *maps, size_t index)
{
	const struct lt_mapping *mapping = &maps->entries[index];

	for (size_t i = 0; i < index; i++)
		if (maps->entries[i].executable && maps->entries[i].inode == mapping->inode &&
		    maps->entries[i].device == mapping->device)
			return true;
	return false;
}

static void print_table(const struct lt_unwind_table *table, struct lt_buf *out)
{
	lt_buf_printf(out, "    unwind table of %u rows, %.1f KiB\n", table->row_count,
		      (double)table->word_count * sizeof(*table->words) / 1024);
	for (int i = 0; i < LT_CFI_SKIP_COUNT; i++)
		if (table->skipped[i])
			lt_buf_printf(out, "    left out: %" PRIu64 " rows: %s\n",
				      table->skipped[i], lt_cfi_skip_texts[i]);
}

static void print_file(const struct lt_process *process, const struct lt_mapping *mapping,
		       struct lt_buf *out, uint64_t *words)
{
	_lt_close_ int fd = lt_maps_open_file(process, mapping);
	struct lt_unwind_table table = { 0 };
	int err = fd < 0 ? fd : lt_gounwind_build(fd, &table);

	if (fd >= 0 && err == -ENODATA)
		err = lt_ehframe_build(fd, &table);

	lt_buf_str(out, "  ");
	lt_utf8_clean(out, mapping->path);
	lt_buf_char(out, '\n');
	if (!err)
		print_table(&table, out);
	else if (err == -ENODATA || err == -ENOEXEC)
		lt_buf_str(out, "    no CFI: frame pointers, where they hold up\n");
	else
		lt_buf_printf(out, "    stacks end here: no table can be made: %s\n",
			      strerror(-err));
	*words += table.word_count;
	lt_unwind_table_free(&table);
}

static void print_sites(const struct lt_go_module *module, struct lt_buf *out)
{
	struct lt_go_sites sites;

	if (lt_go_sites_find(module->file, ~0U, &sites))
		return;
	for (size_t i = 0; i < sites.count; i++)
		lt_buf_printf(out, "    %-16s at file offset 0x%" PRIx64 "%s%s\n",
			      lt_go_probe_names[sites.items[i].probe], sites.items[i].file_offset,
			      sites.items[i].emulated ? "" : ", single-stepped",
			      sites.items[i].padded ? ", or the NOP before it" : "");
	for (int probe = 0; probe < LT_GO_PROBES; probe++) {
		const char *why = sites.failed >> probe & 1 ? "no place for it in this code"
				  : sites.absent >> probe & 1
					  ? "not needed: the program has nothing of it"
					  : NULL;

		if (why)
			lt_buf_printf(out, "    %-16s %s\n", lt_go_probe_names[probe], why);
	}
	lt_go_sites_free(&sites);
}

void lt_explain_go(struct lt_process *process, bool probes, struct lt_buf *out)
{
	_lt_buf_ struct lt_buf error = { 0 };
	struct lt_go_program *program;
	struct lt_maps maps = { 0 };
	int err = lt_maps_read(process, &maps);

	if (!err)
		err = lt_go_program_open(process, &maps, &program, &error);
	lt_maps_free(&maps);
	if (err == -ENOTSUP)
		lt_buf_printf(out, "\nGo: %s\n", error.data ? error.data : "not known");
	if (err)
		return;
	lt_buf_str(out, "\nGo: ");
	lt_utf8_clean(out, program->version);
	lt_buf_printf(out, ", goroutines and heap profile are read from memory%s\n",
		      probes ? "; and probes:" : ", without a probe");
	for (size_t i = 0; probes && i < program->module_count; i++)
		print_sites(&program->modules[i], out);
	lt_go_program_free(program);
}

int lt_explain_stacks(const struct lt_process *process, struct lt_buf *out)
{
	uint64_t words = 0, anonymous = 0;
	struct lt_maps maps = { 0 };
	int err = lt_maps_read(process, &maps);

	if (err)
		return err;
	lt_buf_str(out, "\nstacks\n");
	for (size_t i = 0; i < maps.count; i++) {
		const struct lt_mapping *mapping = &maps.entries[i];

		if (!mapping->executable || mapping->path[0] == '[')
			continue;
		anonymous += !mapping->inode;
		if (mapping->inode && !seen_before(&maps, i))
			print_file(process, mapping, out, &words);
	}
	if (anonymous)
		lt_buf_printf(out,
			      "  code without a file in %" PRIu64 " places: frame pointers; names "
			      "from /tmp/perf-%d.map\n",
			      anonymous, (int)process->ns_pid);
	lt_buf_printf(out, "  tables in all: %.1f of %.0f MiB\n", (double)words * 4 / (1 << 20),
		      (double)LT_MAX_SEGMENTS * LT_UNWIND_SEGMENT * 4 / (1 << 20));
	lt_maps_free(&maps);
	return 0;
}
