// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "proc/read.h"
#include "proc/smaps.h"

#define KIB    UINT64_C(1024)
#define MIB    (1024 * KIB)
#define SECOND UINT64_C(1000000000)

/* One mapping as the kernel prints it, figures in kB. */
static void put(struct lt_buf *text, uint64_t start, uint64_t end, const char *name,
		unsigned int rss, unsigned int anonymous, unsigned int swap)
{
	lt_buf_printf(text, "%08lx-%08lx rw-p 00001000 fe:00 247134%*s%s\n", (unsigned long)start,
		      (unsigned long)end, name[0] ? 20 : 0, "", name);
	lt_buf_printf(text,
		      "Size:               %5lu kB\nKernelPageSize:        4 kB\n"
		      "Rss:                %5u kB\nPss:                   1 kB\n"
		      "Anonymous:          %5u kB\nAnonHugePages:         0 kB\n"
		      "Swap:               %5u kB\nSwapPss:               0 kB\n"
		      "THPeligible:           0\nVmFlags: rd wr mr mw me ac \n",
		      (unsigned long)((end - start) / KIB), rss, anonymous, swap);
}

static struct lt_smaps parse(const struct lt_buf *text, const struct lt_smaps_tracked *tracked)
{
	struct lt_smaps smaps;
	uint64_t sum = 0;

	assert_int_equal(lt_smaps_parse(text->data, text->len, tracked, &smaps), 0);
	for (size_t i = 0; i < LT_RESIDENT_COUNT; i++)
		sum += smaps.resident[i];
	assert_int_equal(sum, smaps.rss_bytes);
	return smaps;
}

static void names_tell_the_use(void **state)
{
	static const struct {
		const char *name;
		enum lt_resident use;
	} names[] = {
		{ "", LT_RESIDENT_ANONYMOUS },
		{ "[heap]", LT_RESIDENT_HEAP },
		{ "[stack]", LT_RESIDENT_STACK },
		{ "[vdso]", LT_RESIDENT_OTHER },
		{ "[uprobes]", LT_RESIDENT_OTHER },
		{ "[anon:glibc: malloc]", LT_RESIDENT_ANONYMOUS },
		{ "[anon_shmem:x]", LT_RESIDENT_SHARED },
		{ "anon_inode:[io_uring]", LT_RESIDENT_OTHER },
		{ "/memfd:[heap] (deleted)", LT_RESIDENT_SHARED },
		{ "/dev/zero (deleted)", LT_RESIDENT_SHARED },
		{ "/SYSV00000000 (deleted)", LT_RESIDENT_SHARED },
		{ "/dev/shm/pool", LT_RESIDENT_SHARED },
		{ "/usr/lib/libc.so.6", LT_RESIDENT_FILE },
		{ "/[heap]", LT_RESIDENT_FILE },
		{ "(unreachable)/bin/app", LT_RESIDENT_FILE },
		{ "/a\\012Rss:   99 kB", LT_RESIDENT_FILE }, /* as the kernel shows a newline */
		{ "/\x1b[31m\xff\xfe", LT_RESIDENT_FILE },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		_lt_buf_ struct lt_buf text = { 0 };
		struct lt_smaps smaps;

		put(&text, 0x10000, 0x20000, names[i].name, 12, 0, 8);
		smaps = parse(&text, NULL);
		if (smaps.resident[names[i].use] != 12 * KIB)
			fail_msg("\"%s\" is something else", names[i].name);
		assert_int_equal(smaps.swap_bytes, 8 * KIB);
		assert_int_equal(smaps.resident_count, LT_RESIDENT_MAPPED);
	}
}

static void copies_of_file_pages_are_told_apart(void **state)
{
	_lt_buf_ struct lt_buf text = { 0 };
	struct lt_smaps smaps;

	put(&text, 0x10000, 0x20000, "/bin/app", 20, 8, 0);
	put(&text, 0x20000, 0x30000, "/memfd:x (deleted)", 16, 4, 0);
	put(&text, 0x30000, 0x40000, "", 32, 32, 0);
	put(&text, 0x40000, 0x50000, "/bin/odd", 4, 400, 0);
	smaps = parse(&text, NULL);
	assert_int_equal(smaps.resident[LT_RESIDENT_FILE], 12 * KIB);
	assert_int_equal(smaps.resident[LT_RESIDENT_COPIED], 16 * KIB);
	assert_int_equal(smaps.resident[LT_RESIDENT_SHARED], 12 * KIB);
	assert_int_equal(smaps.resident[LT_RESIDENT_ANONYMOUS], 32 * KIB);
	assert_int_equal(smaps.rss_bytes, 72 * KIB);
}

/* A breakpoint makes a private copy of a page of code. */
static void breakpoints_are_no_variables(void **state)
{
	static const char text[] = "10000-20000 r-xp 00001000 fe:00 247134 /bin/app\n"
				   "Rss:      20 kB\nAnonymous:  8 kB\n";
	struct lt_smaps smaps;

	assert_int_equal(lt_smaps_parse(text, strlen(text), NULL, &smaps), 0);
	assert_int_equal(smaps.resident[LT_RESIDENT_FILE], 12 * KIB);
	assert_int_equal(smaps.resident[LT_RESIDENT_OTHER], 8 * KIB);
	assert_int_equal(smaps.resident[LT_RESIDENT_COPIED], 0);
}

/* [0x10000, 0x30000) is a plain mapping, [0x30000, 0x40000) the allocator's. */
static void sizes(void *context, uint64_t start, uint64_t end, uint64_t bytes[LT_SMAPS_CLASSES])
{
	static const struct {
		uint64_t start, end;
	} ranges[] = { { 0x10000, 0x30000 }, { 0x30000, 0x40000 } };

	(*(size_t *)context)++;
	for (size_t i = 0; i < 2; i++) {
		uint64_t from = start > ranges[i].start ? start : ranges[i].start;
		uint64_t to = end < ranges[i].end ? end : ranges[i].end;

		bytes[i] = from < to ? to - from : 0;
	}
}

static void what_is_tracked_is_taken_out(void **state)
{
	_lt_buf_ struct lt_buf text = { 0 };
	size_t asked = 0;
	struct lt_smaps_tracked tracked = { sizes, &asked };
	struct lt_smaps smaps;

	put(&text, 0x10000, 0x20000, "/data", 24, 0, 0);
	put(&text, 0x28000, 0x48000, "", 40, 40, 0); /* a quarter, a half, a quarter untracked */
	put(&text, 0x50000, 0x60000, "", 8, 8, 0);
	smaps = parse(&text, &tracked);
	assert_int_equal(asked, 3);
	assert_int_equal(smaps.resident_count, LT_RESIDENT_COUNT);
	assert_int_equal(smaps.resident[LT_RESIDENT_MAPPED_PLAIN], (24 + 10) * KIB);
	assert_int_equal(smaps.resident[LT_RESIDENT_MAPPED_ALLOCATOR], 20 * KIB);
	assert_int_equal(smaps.resident[LT_RESIDENT_FILE], 0);
	assert_int_equal(smaps.resident[LT_RESIDENT_ANONYMOUS], (10 + 8) * KIB);
}

static void everything(void *context, uint64_t start, uint64_t end,
		       uint64_t bytes[LT_SMAPS_CLASSES])
{
	for (size_t i = 0; i < LT_SMAPS_CLASSES; i++)
		bytes[i] = UINT64_MAX;
}

static void no_more_is_tracked_than_there_is(void **state)
{
	_lt_buf_ struct lt_buf text = { 0 };
	struct lt_smaps_tracked tracked = { everything, NULL };
	struct lt_smaps smaps;

	put(&text, 0x10000, 0x20000, "/data", 24, 8, 0);
	smaps = parse(&text, &tracked);
	assert_int_equal(smaps.resident[LT_RESIDENT_MAPPED_PLAIN], 24 * KIB);
}

/* Two mappings joined while they were read: the second line is of both. */
static void what_was_read_later_is_right(void **state)
{
	_lt_buf_ struct lt_buf text = { 0 };
	struct lt_smaps smaps;

	put(&text, 0x10000, 0x20000, "", 40, 40, 4);
	put(&text, 0x10000, 0x30000, "", 50, 50, 0);
	put(&text, 0x30000, 0x40000, "", 1, 1, 0);
	smaps = parse(&text, NULL);
	assert_int_equal(smaps.rss_bytes, 51 * KIB);
	assert_int_equal(smaps.swap_bytes, 0);
}

static void long_lines_are_cut(void **state)
{
	_lt_buf_ struct lt_buf text = { 0 };
	char name[20000] = "/";
	struct lt_smaps smaps;

	memset(name + 1, 'a', sizeof(name) - 2);
	put(&text, 0x10000, 0x20000, name, 12, 0, 0);
	put(&text, 0x20000, 0x30000, "[heap]", 8, 8, 0);
	smaps = parse(&text, NULL);
	assert_int_equal(smaps.resident[LT_RESIDENT_FILE], 12 * KIB);
	assert_int_equal(smaps.resident[LT_RESIDENT_HEAP], 8 * KIB);
}

static void nonsense_is_refused(void **state)
{
	static const struct {
		const char *text;
		int error;
	} texts[] = {
		{ "", -ESRCH },
		{ "10000-20000 rw-p 0 0:0 0\nRss: 0 kB\n", -ESRCH },
		{ "Rss: 4 kB\n", -EBADMSG },
		{ "\n", -EBADMSG },
		{ "10000-20000 rw-p 0 0:0 0\nRss: 4 kB", -EBADMSG },
		{ "10000-20000 rw-p 0 0:0 0\nRss: x kB\n", -EBADMSG },
		{ "10000-20000 rw-p 0 0:0 0\nRss:\n", -EBADMSG },
		{ "20000-20000 rw-p 0 0:0 0\nRss: 4 kB\n", -EBADMSG },
		{ "20000-10000 rw-p 0 0:0 0\nRss: 4 kB\n", -EBADMSG },
		{ "10000-20000 rw-p 0 0:0\nRss: 4 kB\n", -EBADMSG },
		{ "10000 20000 rw-p 0 0:0 0\nRss: 4 kB\n", -EBADMSG },
		{ "10000-20000 rw-p 0 0:0 0\nRss: 9999999999999999 kB\n"
		  "20000-30000 rw-p 0 0:0 0\nRss: 9999999999999999 kB\n",
		  -EBADMSG },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct lt_smaps smaps = { .rss_bytes = 77 };

		if (lt_smaps_parse(texts[i].text, strlen(texts[i].text), NULL, &smaps) !=
		    texts[i].error)
			fail_msg("not %d: %s", texts[i].error, texts[i].text);
		assert_int_equal(smaps.rss_bytes, 77); /* untouched */
	}
}

/* A child that stands still with memory of known sizes. */
struct child {
	pid_t pid;
	struct lt_process process;
	char *memory; /* private: CHILD_SIZE, of which it has touched 5 MiB */
};

#define CHILD_SIZE (8 * MIB)

static void *touched(int flags, int fd, size_t bytes)
{
	char *memory = mmap(NULL, CHILD_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);

	assert_true(memory != MAP_FAILED);
	madvise(memory, CHILD_SIZE, MADV_NOHUGEPAGE);
	memset(memory, 1, bytes);
	return memory;
}

static int start_child(void **state)
{
	struct child *child = calloc(1, sizeof(*child));
	int ready[2], fd = memfd_create("leaktrace-test", MFD_CLOEXEC);

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(ftruncate(fd, (off_t)CHILD_SIZE), 0);
	child->pid = fork();
	if (!child->pid) {
		touched(MAP_SHARED, fd, 3 * MIB);
		touched(MAP_SHARED | MAP_ANONYMOUS, -1, 2 * MIB);
		child->memory = touched(MAP_PRIVATE | MAP_ANONYMOUS, -1, 5 * MIB);
		if (write(ready[1], &child->memory, sizeof(child->memory)) > 0)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &child->memory, sizeof(child->memory)),
			 sizeof(child->memory));
	close(ready[0]);
	close(ready[1]);
	close(fd);
	assert_int_equal(lt_process_open(child->pid, &child->process), 0);
	*state = child;
	return 0;
}

static int end_child(void **state)
{
	struct child *child = *state;

	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	lt_process_close(&child->process);
	free(child);
	return 0;
}

static void agrees_with_the_rollup(void **state)
{
	const struct child *child = *state;
	_lt_buf_ struct lt_buf rollup = { 0 };
	struct lt_smaps smaps;
	uint64_t rss_kib = 0, swap_kib = 0;

	assert_int_equal(lt_smaps_read(&child->process, 10 * SECOND, NULL, &smaps), 0);
	assert_int_equal(lt_proc_read_at(child->process.proc_fd, "smaps_rollup", 65536, &rollup),
			 0);
	assert_true(lt_proc_field(rollup.data, "Rss", &rss_kib));
	assert_true(lt_proc_field(rollup.data, "Swap", &swap_kib));
	assert_int_equal(smaps.rss_bytes, rss_kib * KIB);
	assert_int_equal(smaps.swap_bytes, swap_kib * KIB);
	if (!swap_kib) { /* else a page of these may be out */
		assert_int_equal(smaps.resident[LT_RESIDENT_SHARED], 5 * MIB);
		assert_true(smaps.resident[LT_RESIDENT_ANONYMOUS] >= 5 * MIB);
	}
	assert_true(smaps.resident[LT_RESIDENT_FILE] > 0);
	assert_true(smaps.resident[LT_RESIDENT_STACK] > 0);
}

static uint64_t overlap(uint64_t start, uint64_t end, uint64_t from, uint64_t size)
{
	uint64_t low = start > from ? start : from, high = end < from + size ? end : from + size;

	return low < high ? high - low : 0;
}

/* The first half of the child's memory is one class, the second another. */
static void halves(void *context, uint64_t start, uint64_t end, uint64_t bytes[LT_SMAPS_CLASSES])
{
	const struct child *child = context;
	uint64_t memory = (uintptr_t)child->memory;

	bytes[0] = overlap(start, end, memory, CHILD_SIZE / 2);
	bytes[2] = overlap(start, end, memory + CHILD_SIZE / 2, CHILD_SIZE / 2);
}

/* One mapping, of which 4 MiB are touched in one half and 1 MiB in the other. */
static void parts_of_a_mapping_have_their_own_pages(void **state)
{
	struct child *child = *state;
	const struct lt_smaps_tracked tracked = { halves, child };
	struct lt_smaps smaps, whole;

	assert_int_equal(lt_smaps_read(&child->process, 10 * SECOND, &tracked, &smaps), 0);
	assert_int_equal(lt_smaps_read(&child->process, 10 * SECOND, NULL, &whole), 0);
	assert_int_equal(smaps.rss_bytes, whole.rss_bytes);
	if (smaps.swap_bytes)
		return; /* some of these are out: then the first sums are all there is to say */
	assert_int_equal(smaps.resident[LT_RESIDENT_MAPPED_PLAIN], 4 * MIB);
	assert_int_equal(smaps.resident[LT_RESIDENT_MAPPED_STACK], 1 * MIB);
	assert_int_equal(smaps.resident[LT_RESIDENT_ANONYMOUS],
			 whole.resident[LT_RESIDENT_ANONYMOUS] - 5 * MIB);
}

static void a_budget_is_kept(void **state)
{
	const struct child *child = *state;
	struct lt_smaps smaps = { .rss_bytes = 77 };

	assert_int_equal(lt_smaps_read(&child->process, 0, NULL, &smaps), -ETIME);
	assert_int_equal(smaps.rss_bytes, 77);
}

static void an_ended_process_is_gone(void **state)
{
	const struct child *child = *state;
	struct lt_smaps smaps;

	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	assert_int_equal(lt_smaps_read(&child->process, SECOND, NULL, &smaps), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_tell_the_use),
		cmocka_unit_test(copies_of_file_pages_are_told_apart),
		cmocka_unit_test(breakpoints_are_no_variables),
		cmocka_unit_test(what_is_tracked_is_taken_out),
		cmocka_unit_test(no_more_is_tracked_than_there_is),
		cmocka_unit_test(what_was_read_later_is_right),
		cmocka_unit_test(long_lines_are_cut),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test_setup_teardown(agrees_with_the_rollup, start_child, end_child),
		cmocka_unit_test_setup_teardown(parts_of_a_mapping_have_their_own_pages,
						start_child, end_child),
		cmocka_unit_test_setup_teardown(a_budget_is_kept, start_child, end_child),
		cmocka_unit_test_setup_teardown(an_ended_process_is_gone, start_child, end_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
