// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "elf/image.h"

static struct lt_image *open_libc(Dl_info *info)
{
	struct lt_image *image = NULL;
	_lt_close_ int fd = -1;
	void *address = dlsym(RTLD_NEXT, "gnu_get_libc_version");

	assert_non_null(address);
	assert_true(dladdr(address, info));
	fd = open(info->dli_fname, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(lt_image_open(&image, fd), 0);
	return image;
}

struct wanted {
	const char *name;
	int defaults, others;
	struct lt_image_symbol last;
};

static int look_for(void *context, const struct lt_image_symbol *symbol)
{
	struct wanted *wanted = context;

	assert_null(strchr(symbol->name, '@'));
	if (strcmp(symbol->name, wanted->name))
		return 0;
	wanted->last = *symbol;
	symbol->default_version ? wanted->defaults++ : wanted->others++;
	return 0;
}

static void test_symbols_and_text(void **state)
{
	struct wanted wanted = { .name = "gnu_get_libc_version" };
	uint8_t in_file[8] = { 0 };
	uint64_t address, offset;
	Dl_info info;
	struct lt_image *image = open_libc(&info);

	assert_int_equal(lt_image_each_function(image, look_for, &wanted), 0);
	assert_true(wanted.defaults >= 1);
	assert_int_equal(wanted.last.address,
			 (uintptr_t)dlsym(RTLD_NEXT, wanted.name) - (uintptr_t)info.dli_fbase);
	assert_true(wanted.last.size > 0);
	assert_false(wanted.last.ifunc || wanted.last.local);
	assert_int_equal(lt_image_read(image, wanted.last.address, in_file, sizeof(in_file)),
			 sizeof(in_file));
	assert_memory_equal(in_file, dlsym(RTLD_NEXT, wanted.name), sizeof(in_file));
	assert_true(lt_image_offset_of(image, wanted.last.address, &offset));
	assert_int_equal(offset, wanted.last.file_offset);
	assert_true(lt_image_address_of(image, offset, &address));
	assert_int_equal(address, wanted.last.address);
	assert_false(lt_image_offset_of(image, UINT64_MAX, &offset));
	assert_false(lt_image_address_of(image, UINT64_MAX, &address));
	assert_int_equal(lt_image_read(image, UINT64_MAX - 3, in_file, 8), -EFAULT);
	lt_image_close(image);
}

static int stop_at_once(void *context, const struct lt_image_symbol *symbol)
{
	return 42;
}

static void test_ifunc_version_stop(void **state)
{
	struct wanted ifunc = { .name = "memcpy" }, old = { .name = "pthread_cond_wait" };
	Dl_info info;
	struct lt_image *image = open_libc(&info);

	lt_image_each_function(image, look_for, &ifunc);
	assert_true(ifunc.last.ifunc);
	lt_image_each_function(image, look_for, &old); /* two versions since glibc 2.3.2 */
	assert_true(old.defaults >= 1 && old.others >= 1);
	assert_int_equal(lt_image_each_function(image, stop_at_once, NULL), 42);
	lt_image_close(image);
}

static int count_dladdr(void *context, const char *name)
{
	int *count = context;

	assert_null(strchr(name, '@'));
	assert_string_not_equal(name, "");
	*count += !strcmp(name, "dladdr");
	return 0;
}

static int stop_at_import(void *context, const char *name)
{
	return 42;
}

/* dladdr is called here and hence in .dynsym, but it is not ours. */
static void test_undefined_is_not_defined(void **state)
{
	struct wanted wanted = { .name = "dladdr" };
	int imported = 0;
	uint8_t build_id[LT_MAX_BUILD_ID];
	struct lt_image *image = NULL;
	_lt_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_int_equal(lt_image_open(&image, fd), 0);
	lt_image_each_function(image, look_for, &wanted);
	assert_int_equal(wanted.defaults + wanted.others, 0);
	assert_int_equal(lt_image_each_import(image, count_dladdr, &imported), 0);
	assert_int_equal(imported, 1);
	assert_int_equal(lt_image_each_import(image, stop_at_import, NULL), 42);
	assert_int_equal(lt_image_build_id(image, build_id), 20);
	lt_image_close(image);
}

struct slots {
	uint64_t bias;
	int malloc_slots, resolvers;
	const struct lt_image *image;
};

static int look_at_slot(void *context, const struct lt_image_slot *slot)
{
	struct slots *slots = context;
	struct lt_image_slot found;

	slots->resolvers += slot->resolver != 0;
	assert_true(lt_image_slot_at(slots->image, slot->address, &found));
	assert_int_equal(found.address, slot->address);
	assert_true(slot->name || slot->resolver);
	if (!slot->name || strcmp(slot->name, "malloc") || slots->malloc_slots++)
		return 0;
	assert_int_equal(slot->function, 0); /* another file's, whose address is in the slot */
	assert_int_equal(slot->resolver, 0);
	assert_int_equal(*(uint64_t *)(uintptr_t)(slots->bias + slot->address), (uintptr_t)malloc);
	return 0;
}

/* This program calls malloc, and is linked with full RELRO or has called it: the slot is filled. */
static void test_slots(void **state)
{
	_lt_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct lt_image *image = NULL;
	struct slots slots = { 0 };
	struct lt_image_slot none;
	struct lt_image *libc;
	Dl_info info;

	free(malloc(1));
	assert_int_equal(lt_image_open(&image, fd), 0);
	assert_true(dladdr((void *)test_slots, &info));
	slots.bias = (uintptr_t)info.dli_fbase;
	slots.image = image;
	assert_int_equal(lt_image_each_slot(image, look_at_slot, &slots), 0);
	assert_true(slots.malloc_slots >= 1);
	assert_true(lt_image_has_interpreter(image));
	lt_image_close(image);

	libc = open_libc(&info); /* it calls its own strlen and the like by slots */
	slots = (struct slots){ .bias = (uintptr_t)info.dli_fbase,
				.malloc_slots = 1,
				.image = libc };
	assert_false(lt_image_slot_at(libc, 1, &none));
	assert_int_equal(lt_image_each_slot(libc, look_at_slot, &slots), 0);
	assert_true(slots.resolvers > 10);
	lt_image_close(libc);
}

static int open_bytes(const void *bytes, size_t len)
{
	struct lt_image *image = (void *)1;
	_lt_close_ int fd = memfd_create("elf", MFD_CLOEXEC);
	int err;

	assert_int_equal(write(fd, bytes, len), len);
	err = lt_image_open(&image, fd);
	if (err)
		assert_ptr_equal(image, (void *)1);
	else
		lt_image_close(image);
	return err;
}

static void test_not_elf(void **state)
{
	static const char script[] = "#!/bin/sh\n";
	_lt_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	unsigned char header[64];

	assert_int_equal(open_bytes("", 0), -ENOEXEC);
	assert_int_equal(open_bytes(script, sizeof(script)), -ENOEXEC);
	assert_int_equal(pread(fd, header, sizeof(header), 0), sizeof(header));
	header[4] = 1; /* EI_CLASS: 32 bits */
	assert_int_equal(open_bytes(header, sizeof(header)), -ENOEXEC);
	header[4] = 2;
	header[18] = 243; /* e_machine: RISC-V */
	assert_int_equal(open_bytes(header, sizeof(header)), -ENOEXEC);
}

static int count_symbol(void *context, const struct lt_image_symbol *symbol)
{
	*(size_t *)context += strlen(symbol->name) > 0;
	return 0;
}

/* Cut short anywhere, it opens with less in it or not at all; it never breaks. */
static void test_truncated(void **state)
{
	_lt_close_ int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat stat;
	size_t whole = 0;

	assert_int_equal(fstat(self, &stat), 0);
	for (int eighths = 8; eighths >= 1; eighths--) {
		_lt_close_ int fd = memfd_create("elf", MFD_CLOEXEC);
		size_t len = (size_t)stat.st_size * (size_t)eighths / 8, symbols = 0;
		_lt_free_ char *bytes = malloc(len);
		struct lt_image *image = NULL;
		int err;

		assert_int_equal(pread(self, bytes, len, 0), len);
		assert_int_equal(write(fd, bytes, len), len);
		err = lt_image_open(&image, fd);
		if (!err)
			lt_image_each_function(image, count_symbol, &symbols);
		if (eighths == 8)
			whole = symbols;
		assert_true(err == 0 || err == -ENOEXEC);
		assert_true(symbols <= whole);
		if (!err)
			lt_image_close(image);
	}
	assert_true(whole > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symbols_and_text),
		cmocka_unit_test(test_ifunc_version_stop),
		cmocka_unit_test(test_undefined_is_not_defined),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_not_elf),
		cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
