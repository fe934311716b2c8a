// SPDX-License-Identifier: GPL-2.0-or-later
/* sites FILE...: where the probes of --go-probes go in Go programs, a line for each. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "elf/gofile.h"
#include "probe/gosites.h"

#define LONGEST 15 /* bytes of an instruction */

static void print_site(const struct lt_gofile *file, const struct lt_go_site *site)
{
	struct lt_go_function function = { .name = "?" };
	uint8_t code[LONGEST];
	long len = lt_gofile_read(file, site->address, code, sizeof(code));

	lt_gopclntab_find(lt_gofile_pclntab(file), site->address, &function);
	printf("  %-15s %#" PRIx64 " file %#" PRIx64 " %s+%" PRIu64 " [",
	       lt_go_probe_names[site->probe], site->address, site->file_offset, function.name,
	       site->address - function.entry);
	for (long i = 0; i < len && i < 6; i++)
		printf("%s%02x", i ? " " : "", code[i]);
	printf("]%s%s%s\n", site->emulated ? " emulated" : "",
	       site->is_entry_check ? " entry-check" : "",
	       site->caller_on_stack ? " caller-on-stack" : "");
}

static void print_probes(const char *what, uint32_t bits)
{
	for (int probe = 0; probe < LT_GO_PROBES; probe++)
		if (bits & 1U << probe)
			printf("  %-15s %s\n", lt_go_probe_names[probe], what);
}

static int print_file(const char *path)
{
	_lt_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct lt_go_sites sites;
	const char *reason = "";
	struct lt_gofile *file;
	int err;

	err = fd < 0 ? -1 : lt_gofile_open(&file, fd, &reason);
	if (err) {
		fprintf(stderr, "%s: no Go program that is known (%d) %s\n", path, err, reason);
		return 1;
	}
	err = lt_go_sites_find(file, UINT32_MAX, &sites);
	if (!err) {
		printf("%s: %s\n", path, lt_gofile_info(file)->version);
		for (size_t i = 0; i < sites.count; i++)
			print_site(file, &sites.items[i]);
		print_probes("FAILED", sites.failed);
		print_probes("absent", sites.absent);
		lt_go_sites_free(&sites);
	}
	lt_gofile_close(file);
	return err ? 1 : 0;
}

int main(int argc, char **argv)
{
	int failures = 0;

	for (int i = 1; i < argc; i++)
		failures += print_file(argv[i]);
	return failures ? 1 : 0;
}
