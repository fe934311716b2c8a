// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "probe/plan.h"

struct fixture {
	struct lt_process process;
	struct lt_maps maps;
	struct lt_plan plan;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	return lt_process_open(getpid(), &fixture->process) ||
	       lt_maps_read(&fixture->process, &fixture->maps) ||
	       lt_plan_make(&fixture->process, &fixture->maps, NULL, &fixture->plan);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	lt_plan_free(&fixture->plan);
	lt_maps_free(&fixture->maps);
	lt_process_close(&fixture->process);
	free(fixture);
	return 0;
}

/* The libc that runs this test, and nothing beside it */
static struct stat stat_of(const char *path)
{
	struct stat found;

	assert_int_equal(stat(path, &found), 0);
	return found;
}

static void test_file(void **state)
{
	const struct fixture *fixture = *state;
	const struct lt_plan_file *file = fixture->plan.files;
	struct stat by_path, by_name;
	Dl_info info;

	assert_int_equal(fixture->plan.file_count, 1);
	assert_string_equal(file->family->name, "glibc");
	assert_true(dladdr(dlsym(RTLD_NEXT, "gnu_get_libc_version"), &info));
	assert_int_equal(stat(file->open_path, &by_path), 0);
	assert_int_equal(stat(info.dli_fname, &by_name), 0);
	assert_int_equal(by_path.st_ino, by_name.st_ino);
	assert_int_equal(by_path.st_dev, by_name.st_dev);
	assert_int_equal(file->inode, by_name.st_ino);
	assert_int_equal(file->build_id_len, 20);
}

/* In the file that comes first. */
static const struct lt_plan_probe *probe_of(const struct lt_plan *plan, const char *symbol)
{
	for (size_t i = 0; i < plan->probe_count; i++) {
		_lt_free_ char *aliases = strdup(plan->probes[i].aliases);
		char *rest = aliases, *alias;

		if (plan->probes[i].file != 0)
			continue;
		if (!strcmp(plan->probes[i].symbol, symbol))
			return &plan->probes[i];
		while ((alias = strsep(&rest, ",")))
			if (!strcmp(alias, symbol))
				return &plan->probes[i];
	}
	return NULL;
}

/* Every function that a program can call is probed, once, where it really is. */
static void test_probes(void **state)
{
	const struct fixture *fixture = *state;
	const struct lt_plan *plan = &fixture->plan;
	const struct lt_family *family = plan->files[0].family;
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);

	assert_non_null(libc);
	for (size_t i = 0; i < family->function_count; i++) {
		const struct lt_family_function *function = &family->functions[i];
		const struct lt_plan_probe *probe = probe_of(plan, function->symbol);
		void *address = dlsym(libc, function->symbol);

		assert_true(probe || function->optional);
		assert_true(probe || !address);
		if (!probe || !address)
			continue;
		assert_int_equal(probe->op, function->op);
		assert_int_equal(plan->files[0].base + probe->entry_offset, (uintptr_t)address);
		assert_int_equal(probe->file_offset, probe->entry_offset + probe->choice.offset);
	}
	for (size_t i = 1; i < plan->probe_count; i++) {
		assert_true(plan->probes[i - 1].op <= plan->probes[i].op);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(plan->probes[i].entry_offset,
					     plan->probes[j].entry_offset);
	}
	assert_int_equal(plan->probes[0].op, LT_OP_FREE);
	assert_string_equal(plan->probes[0].symbol, "free");
	assert_non_null(strstr(plan->probes[0].aliases, "__libc_free"));
	dlclose(libc);
}

/* What is called emulated is so by its bytes, in the running code. */
static void test_sites(void **state)
{
	const struct fixture *fixture = *state;

	for (size_t i = 0; i < fixture->plan.probe_count; i++) {
		const struct lt_plan_probe *probe = &fixture->plan.probes[i];
		const uint8_t *code =
			(const uint8_t *)(uintptr_t)(fixture->plan.files[probe->file].base +
						     probe->file_offset);
		uint8_t opcode = code[0] == 0x41 ? code[1] : code[0];
		bool emulated = (opcode >= 0x50 && opcode <= 0x57) || code[0] == 0x90 ||
				code[0] == 0xe8 || code[0] == 0xe9 || code[0] == 0xeb ||
				(code[0] >= 0x70 && code[0] <= 0x7f) ||
				(code[0] == 0x0f && (code[1] & 0xf0) == 0x80);

		assert_int_equal(probe->choice.emulated, emulated);
		assert_true(probe->choice.emulated || probe->choice.offset == 0);
	}
}

static void test_print(void **state)
{
	const struct fixture *fixture = *state;
	_lt_buf_ struct lt_buf out = { 0 };
	const char *line, *end;

	lt_plan_print(&fixture->plan, &fixture->process, &out);
	assert_int_equal(lt_buf_error(&out), 0);
	for (line = out.data; *line; line = end + 1) {
		end = strchr(line, '\n');
		assert_non_null(end);
		assert_true(end - line <= 80 || memchr(line, '/', (size_t)(end - line)));
	}
	assert_non_null(strstr(out.data, "glibc in "));
	assert_non_null(strstr(out.data, "\n  build-id "));
	assert_non_null(strstr(out.data, "\n  free = "));
	assert_non_null(strstr(out.data, "emulated"));
}

#define BAD "\xef\xbf\xbd" /* what stands for an unsafe character */

/* Names of the target reach no terminal as they are; long reasons are broken. */
static void test_print_hostile(void **state)
{
	/* C0, C1 (CSI in one character), an invalid byte (CSI to an 8-bit terminal). */
	struct lt_plan_skip skip = { .what = "/a\x1b[2J\nb\xc2\x9b"
					     "2J\x9b"
					     "c\xc3\xa9",
				     .why = "word word word word word word word word word "
					    "word word word word word word word word word \x9b"
					    "31m" };
	struct lt_plan plan = { .skips = &skip, .skip_count = 1 };
	struct lt_process process = { .pid = 1, .comm = "\x1b]0;x\x07" };
	_lt_buf_ struct lt_buf out = { 0 };

	lt_plan_print(&plan, &process, &out);
	assert_string_equal(
		out.data, "probes for process 1 (" BAD "]0;x" BAD ")\n\nnot attached\n"
			  "  no allocator was found among the files that the process maps\n  /a" BAD
			  "[2J" BAD "b" BAD "2J" BAD "c\xc3\xa9\n"
			  "    word word word word word word word word word word word word word "
			  "word word\n    word word word " BAD "31m\n");
}

static void test_no_allocator(void **state)
{
	const struct fixture *fixture = *state;
	struct lt_maps only_self = { 0 };
	_lt_buf_ struct lt_buf out = { 0 };
	struct lt_plan plan;

	/* The executable's malloc is undefined: it is no allocator, and not worth a word. */
	for (size_t i = 0; i < fixture->maps.count; i++)
		if (!strcmp(fixture->maps.entries[i].path, fixture->process.exe) &&
		    fixture->maps.entries[i].executable)
			only_self = (struct lt_maps){ &fixture->maps.entries[i], 1 };
	assert_int_equal(only_self.count, 1);
	assert_int_equal(lt_plan_make(&fixture->process, &only_self, NULL, &plan), -ENOENT);
	assert_int_equal(plan.probe_count, 0);
	assert_int_equal(plan.skip_count, 0);
	lt_plan_print(&plan, &fixture->process, &out);
	assert_non_null(strstr(out.data, "no allocator was found"));
	lt_plan_free(&plan);
}

/* A libc whose file was deleted, mapped twice: found through the mapping, probed once. */
static void test_deleted_copy(void **state)
{
	char directory[] = "/tmp/leaktrace-plan-XXXXXX", name[128], command[512];
	const struct fixture *fixture = *state;
	_lt_close_ int fd = -1;
	struct lt_process process;
	struct lt_maps maps;
	struct lt_plan plan;
	struct stat stat;
	void *first, *second;
	int copies = 0;

	assert_int_equal(geteuid(), 0); /* needs the links in map_files */
	assert_non_null(mkdtemp(directory));
	snprintf(name, sizeof(name), "%s/libc.so.6", directory);
	snprintf(command, sizeof(command), "cp -L '%s' '%s'", fixture->plan.files[0].path, name);
	assert_int_equal(system(command), 0);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &stat), 0);
	first = mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	second = mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(first, MAP_FAILED);
	assert_ptr_not_equal(second, MAP_FAILED);
	unlink(name);
	rmdir(directory);

	assert_int_equal(lt_process_open(getpid(), &process), 0);
	assert_int_equal(lt_maps_read(&process, &maps), 0);
	assert_int_equal(lt_plan_make(&process, &maps, NULL, &plan), 0);
	assert_int_equal(plan.file_count, 2);
	assert_int_equal(plan.probe_count, 2 * fixture->plan.probe_count);
	for (size_t i = 0; i < plan.file_count; i++) {
		bool copy = !strcmp(plan.files[i].path, name);

		copies += copy;
		assert_int_equal(stat_of(plan.files[i].open_path).st_nlink == 0, copy);
		assert_int_equal(plan.files[i].inode == stat.st_ino, copy);
	}
	assert_int_equal(copies, 1);
	lt_plan_free(&plan);
	lt_maps_free(&maps);
	lt_process_close(&process);
	munmap(first, (size_t)stat.st_size);
	munmap(second, (size_t)stat.st_size);
}

/* Maps a library as code, without running it. */
static void *map_file(const char *pattern, size_t *size)
{
	_lt_close_ int fd = -1;
	struct stat stat;
	glob_t found;
	void *mapped;

	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	fd = open(found.gl_pathv[0], O_RDONLY | O_CLOEXEC);
	globfree(&found);
	assert_int_equal(fstat(fd, &stat), 0);
	*size = (size_t)stat.st_size;
	mapped = mmap(NULL, *size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_ptr_not_equal(mapped, MAP_FAILED);
	return mapped;
}

/* Where two allocators are, both are probed, and the one that hides libc's comes first. */
static void test_jemalloc(void **state)
{
	const struct fixture *fixture = *state;
	const struct lt_plan_probe *new_probe;
	struct lt_maps maps;
	struct lt_plan plan;
	size_t size, returns = 0;
	void *mapped = map_file("/usr/lib/*/libjemalloc.so.2", &size);

	assert_int_equal(lt_maps_read(&fixture->process, &maps), 0);
	assert_int_equal(lt_plan_make(&fixture->process, &maps, NULL, &plan), 0);
	assert_int_equal(plan.file_count, 2);
	assert_string_equal(plan.files[0].family->name, "jemalloc");
	assert_string_equal(plan.files[1].family->name, "glibc");
	for (size_t i = 0; i < plan.probe_count; i++) {
		const struct lt_plan_probe *probe = &plan.probes[i];

		assert_true(probe->file == 1 || probe->choice.emulated ||
			    probe->op == LT_OP_RETURN);
		assert_true(i == 0 || plan.probes[i - 1].op <= probe->op);
		if (probe->op != LT_OP_RETURN)
			continue;
		returns++;
		assert_int_equal(probe->file, 0);
		assert_memory_equal(probe->symbol, "_Zn", 3); /* an operator new */
		assert_int_equal(((const uint8_t *)mapped)[probe->file_offset], 0xc3);
	}
	assert_in_range(returns, 1, 32);
	new_probe = probe_of(&plan, "_Znam"); /* it is a jump to _Znwm */
	assert_non_null(new_probe);
	assert_string_equal(new_probe->symbol, "_Znwm");
	assert_string_equal(new_probe->aliases, "_Znam");
	lt_plan_free(&plan);
	lt_maps_free(&maps);
	munmap(mapped, size);
}

struct defined {
	const struct lt_family *family;
	const struct lt_plan *plan;
	uint32_t file;
	size_t rows;
};

/* A function that the file has, and the table, is probed, or seen at another one's probe. */
static int check_symbol(void *context, const struct lt_image_symbol *symbol)
{
	struct defined *defined = context;

	for (size_t i = 0; i < defined->family->function_count; i++) {
		if (symbol->local || strcmp(defined->family->functions[i].symbol, symbol->name))
			continue;
		defined->rows++;
		if (!probe_of(defined->plan, symbol->name))
			fail_msg("%s of %s", symbol->name, defined->family->name);
	}
	return 0;
}

static void check_library(const struct fixture *fixture, const char *pattern, const char *family,
			  size_t least)
{
	struct defined defined = { 0 };
	struct lt_image *image;
	struct lt_maps maps;
	struct lt_plan plan;
	size_t size, before = 0;
	void *mapped = map_file(pattern, &size);

	assert_int_equal(lt_maps_read(&fixture->process, &maps), 0);
	assert_int_equal(lt_plan_make(&fixture->process, &maps, NULL, &plan), 0);
	assert_int_equal(plan.file_count, 2);
	assert_string_equal(plan.files[0].family->name, family); /* it comes before libc */
	assert_string_equal(plan.files[1].family->name, "glibc");
	assert_string_equal(plan.files[0].prefix, "");
	for (size_t i = 0; i < plan.skip_count; i++)
		assert_null(strstr(plan.skips[i].why, "may throw"));
	assert_int_equal(lt_image_open(&image, plan.files[0].fd), 0);
	defined = (struct defined){ plan.files[0].family, &plan, 0, 0 };
	assert_int_equal(lt_image_each_function(image, check_symbol, &defined), 0);
	assert_true(defined.rows >= least);
	for (size_t i = 0; i < plan.probe_count; i++) /* no place twice */
		for (size_t j = 0; j < i; j++, before++)
			assert_false(plan.probes[i].file == plan.probes[j].file &&
				     plan.probes[i].file_offset == plan.probes[j].file_offset);
	assert_true(before > 0);
	lt_image_close(image);
	lt_plan_free(&plan);
	lt_maps_free(&maps);
	munmap(mapped, size);
}

static void test_libraries(void **state)
{
	check_library(*state, "/usr/lib/*/libjemalloc.so.2", "jemalloc", 30);
	check_library(*state, "/usr/lib/*/libtcmalloc.so.4", "tcmalloc", 60);
	check_library(*state, "/usr/lib/*/libtcmalloc_minimal.so.4", "tcmalloc", 60);
	check_library(*state, "/usr/lib/*/libmimalloc.so.2", "mimalloc", 90);
	check_library(*state, "/lib/ld-musl-*.so.1", "musl", 9);
}

static const struct lt_plan_probe *planned(const struct fixture *fixture, const char *pattern,
					   const char *symbol, struct lt_plan *plan)
{
	struct lt_maps maps;
	size_t size;
	void *mapped = map_file(pattern, &size);

	assert_int_equal(lt_maps_read(&fixture->process, &maps), 0);
	assert_int_equal(lt_plan_make(&fixture->process, &maps, NULL, plan), 0);
	lt_maps_free(&maps);
	munmap(mapped, size);
	return probe_of(plan, symbol);
}

/* What only jumps on, directly or through the linker's tables, has no probe of its own. */
static void test_led(void **state)
{
	static const struct {
		const char *file, *name, *at;
		enum lt_alloc_op op;
	} cases[] = {
		{ "/usr/lib/*/libmimalloc.so.2", "_ZdlPvm", "mi_free", LT_OP_FREE },
		{ "/usr/lib/*/libmimalloc.so.2", "_ZdaPvmSt11align_val_t", "mi_free", LT_OP_FREE },
		{ "/usr/lib/*/libmimalloc.so.2", "realloc", "mi_heap_realloc", LT_OP_HEAP_REALLOC },
		{ "/usr/lib/*/libmimalloc.so.2", "pvalloc", "mi_pvalloc", LT_OP_PVALLOC },
		{ "/usr/lib/*/libtcmalloc.so.4", "_ZdlPv", "free", LT_OP_FREE },
		{ "/usr/lib/*/libtcmalloc.so.4", "tc_delete_sized", "_ZdlPvm", LT_OP_FREE_LEADING },
		{ "/usr/lib/*/libtcmalloc.so.4", "valloc", "memalign", LT_OP_MEMALIGN },
		{ "/usr/lib/*/libjemalloc.so.2", "_ZdlPv", "free", LT_OP_FREE },
		{ "/lib/ld-musl-*.so.1", "memalign", "aligned_alloc", LT_OP_MEMALIGN },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct lt_plan_probe *probe;
		struct lt_plan plan;

		probe = planned(*state, cases[i].file, cases[i].name, &plan);
		assert_non_null(probe);
		assert_string_equal(probe->symbol, cases[i].at);
		assert_int_equal(probe->op, cases[i].op);
		lt_plan_free(&plan);
	}
}

/* Debian's ldconfig is one: it must run when libraries are broken. */
static void test_static_and_stripped(void **state)
{
	const struct fixture *fixture = *state;
	struct lt_process process = fixture->process;
	struct lt_maps maps, only_it = { 0 };
	struct lt_plan plan;
	size_t size;
	void *mapped = map_file("/sbin/ldconfig", &size);

	assert_int_equal(lt_maps_read(&fixture->process, &maps), 0);
	for (size_t i = 0; i < maps.count; i++)
		if (maps.entries[i].start == (uintptr_t)mapped)
			only_it = (struct lt_maps){ &maps.entries[i], 1 };
	assert_int_equal(only_it.count, 1);
	assert_int_equal(lt_plan_make(&process, &only_it, NULL, &plan), -ENOENT);
	assert_int_equal(plan.skip_count, 0); /* a library without functions is not worth a word */
	lt_plan_free(&plan);
	snprintf(process.exe, sizeof(process.exe), "%s (deleted)", only_it.entries[0].path);
	assert_int_equal(lt_plan_make(&process, &only_it, NULL, &plan), -ENOENT);
	assert_int_equal(plan.skip_count, 1);
	assert_string_equal(plan.skips[0].what, only_it.entries[0].path);
	assert_non_null(strstr(plan.skips[0].why, "statically and stripped"));
	lt_plan_free(&plan);
	lt_maps_free(&maps);
	munmap(mapped, size);
}

/* Files are looked at once; what comes later is found then, and joins the plan. */
static void test_more(void **state)
{
	const struct fixture *fixture = *state;
	struct lt_plan known = { 0 }, more, again;
	struct lt_maps maps;
	size_t size, probes;
	void *mapped;

	assert_int_equal(lt_plan_more(&fixture->process, &fixture->maps, NULL, &known, &more), 0);
	assert_int_equal(more.probe_count, fixture->plan.probe_count);
	assert_int_equal(lt_plan_append(&known, &more), 0);
	assert_int_equal(known.file_count, 1);
	assert_int_equal(more.probe_count + more.file_count + more.looked_count, 0);

	mapped = map_file("/usr/lib/*/libjemalloc.so.2", &size);
	assert_int_equal(lt_maps_read(&fixture->process, &maps), 0);
	assert_int_equal(lt_plan_more(&fixture->process, &maps, NULL, &known, &more), 0);
	assert_int_equal(more.file_count, 1);
	assert_string_equal(more.files[0].family->name, "jemalloc");
	assert_int_equal(more.looked_count, known.looked_count + 1);
	assert_int_equal(lt_plan_more(&fixture->process, &maps, NULL, &more, &again), -ENOENT);
	assert_int_equal(again.file_count + again.probe_count + again.skip_count, 0);
	assert_int_equal(again.looked_count, more.looked_count);
	lt_plan_free(&again);

	probes = known.probe_count + more.probe_count;
	assert_int_equal(lt_plan_append(&known, &more), 0);
	assert_int_equal(known.probe_count, probes);
	assert_string_equal(known.files[0].family->name, "glibc"); /* keeps its number */
	for (size_t i = 0; i < probes; i++) {
		assert_true(i == 0 || known.probes[i - 1].op <= known.probes[i].op);
		if (!strcmp(known.probes[i].symbol, "mallocx"))
			assert_int_equal(known.probes[i].file, 1);
	}
	assert_int_equal(lt_plan_more(&fixture->process, &maps, NULL, &known, &again), -ENOENT);
	lt_plan_free(&again);
	lt_plan_free(&known);
	lt_maps_free(&maps);
	munmap(mapped, size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),          cmocka_unit_test(test_probes),
		cmocka_unit_test(test_sites),         cmocka_unit_test(test_print),
		cmocka_unit_test(test_print_hostile), cmocka_unit_test(test_no_allocator),
		cmocka_unit_test(test_deleted_copy),  cmocka_unit_test(test_jemalloc),
		cmocka_unit_test(test_libraries),     cmocka_unit_test(test_led),
		cmocka_unit_test(test_more),          cmocka_unit_test(test_static_and_stripped),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
