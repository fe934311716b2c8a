// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The chosen site sees exactly the calls that the entry sees: both counted by the kernel, in this
 * process, over one workload.  Calls of free(NULL) are the exception that is meant.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "probe/plan.h"

#define ROUNDS     100
#define NULL_FREES 7

static int uprobe_type(void)
{
	_lt_fclose_ FILE *file = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	int type = -1;

	return file && fscanf(file, "%d", &type) == 1 ? type : -1;
}

static int open_counter(int type, const char *path, uint64_t file_offset)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = (uint32_t)type,
		.config1 = (uintptr_t)path,
		.config2 = file_offset,
		.disabled = 1,
	};
	long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

/* libc's own functions, past any that a sanitizer puts before them */
static struct {
	void *(*malloc)(size_t), *(*calloc)(size_t, size_t), *(*realloc)(void *, size_t);
	void *(*reallocarray)(void *, size_t, size_t), *(*memalign)(size_t, size_t);
	void *(*aligned_alloc)(size_t, size_t); /* memalign itself before glibc 2.38 */
	void *(*valloc)(size_t), *(*pvalloc)(size_t);
	int (*posix_memalign)(void **, size_t, size_t);
	void (*free)(void *);
} libc;

static int find_libc(void **state)
{
	const struct {
		void *slot;
		const char *name;
	} functions[] = {
		{ &libc.malloc, "malloc" },     { &libc.calloc, "calloc" },
		{ &libc.realloc, "realloc" },   { &libc.reallocarray, "reallocarray" },
		{ &libc.memalign, "memalign" }, { &libc.posix_memalign, "posix_memalign" },
		{ &libc.valloc, "valloc" },     { &libc.pvalloc, "pvalloc" },
		{ &libc.free, "free" },         { &libc.aligned_alloc, "aligned_alloc" },
	};
	void *handle = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *function = handle ? dlsym(handle, functions[i].name) : NULL;

		if (!function)
			return -1;
		memcpy(functions[i].slot, &function, sizeof(function));
	}
	return 0;
}

static void work(void)
{
	for (size_t i = 1; i <= ROUNDS; i++) {
		void *block = libc.malloc(i * 50);

		block = libc.realloc(block, i * 5000);
		libc.free(block);
		free(libc.reallocarray(NULL, i,
				       8)); /* it calls realloc by name, as the free here */
		libc.free(libc.calloc(i, 10));
		libc.free(libc.memalign(128, i));
		libc.free(libc.aligned_alloc(64, i * 64));
		libc.free(libc.valloc(i));
		libc.free(libc.pvalloc(i));
		if (!libc.posix_memalign(&block, 32, i * 100))
			libc.free(block);
	}
	for (int i = 0; i < NULL_FREES; i++)
		libc.free(NULL);
}

static uint64_t count_of(int fd)
{
	uint64_t count = 0;

	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	return count;
}

static void test_same_calls(void **state)
{
	int type = uprobe_type();
	struct lt_process process;
	struct lt_maps maps;
	struct lt_plan plan;
	size_t moved = 0;

	assert_int_equal(lt_process_open(getpid(), &process), 0);
	assert_int_equal(lt_maps_read(&process, &maps), 0);
	assert_int_equal(lt_plan_make(&process, &maps, NULL, &plan), 0);
	for (size_t i = 0; i < plan.probe_count; i++) {
		const struct lt_plan_probe *probe = &plan.probes[i];
		const char *path = plan.files[probe->file].open_path;
		_lt_close_ int entry = open_counter(type, path, probe->entry_offset);
		_lt_close_ int site = open_counter(type, path, probe->file_offset);
		uint64_t nulls;

		assert_true(entry >= 0 && site >= 0);
		ioctl(entry, PERF_EVENT_IOC_ENABLE, 0);
		ioctl(site, PERF_EVENT_IOC_ENABLE, 0);
		work();
		ioctl(site, PERF_EVENT_IOC_DISABLE, 0);
		ioctl(entry, PERF_EVENT_IOC_DISABLE, 0);
		nulls = strstr(probe->choice.reason, "non-NULL") ? NULL_FREES : 0;
		assert_int_equal(count_of(site) + nulls, count_of(entry));
		assert_true(count_of(site) >= ROUNDS);
		moved += probe->choice.offset > 0;
	}
	assert_true(plan.probe_count >= 9);
	print_message("%zu probes, %zu of them behind the entry\n", plan.probe_count, moved);
	lt_plan_free(&plan);
	lt_maps_free(&maps);
	lt_process_close(&process);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_same_calls) };

	return cmocka_run_group_tests(tests, find_libc, NULL);
}
