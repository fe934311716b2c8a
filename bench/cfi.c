// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the unwind tables of files take: prints for each file its name, rows, rules and FDEs, bytes
 * a row (with its part of the page index), the median time of building, and what the table could
 * not express.
 *
 *	cfi FILE...
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "elf/ehframe.h"

#define ROUNDS 5

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void print_table(const char *path, const struct lt_unwind_table *table, double build_ms)
{
	printf("%s rows=%u rules=%u fdes=%" PRIu64 " bytes_a_row=%.2f build_ms=%.1f\n", path,
	       table->row_count, table->rule_count, table->fde_count,
	       (double)table->word_count * sizeof(*table->words) / table->row_count, build_ms);
	for (size_t i = 0; i < LT_CFI_SKIP_COUNT; i++)
		if (table->skipped[i])
			printf("\t%" PRIu64 " rows: %s\n", table->skipped[i], lt_cfi_skip_texts[i]);
}

static int measure(const char *path)
{
	double times[ROUNDS];
	struct lt_unwind_table table;
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = fd < 0 ? -errno : 0;

	for (int round = 0; round < ROUNDS && !err; round++) {
		double start = now_ms();

		err = lt_ehframe_build(fd, &table);
		times[round] = now_ms() - start;
		if (!err && round < ROUNDS - 1)
			lt_unwind_table_free(&table);
	}
	if (err) {
		printf("%s: %s\n", path, strerror(-err));
	} else {
		qsort(times, ROUNDS, sizeof(times[0]), compare);
		print_table(path, &table, times[ROUNDS / 2]);
		lt_unwind_table_free(&table);
	}
	if (fd >= 0)
		close(fd);
	return err;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= measure(argv[i]) != 0;
	return failed;
}
