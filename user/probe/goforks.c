// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe/goforks.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "elf/image.h"
#include "probe/gosites_code.h"

/* The way from C to Go, in each program with cgo and in no other (runtime/cgo/asm_amd64.s). */
#define FROM_C "crosscall2"

/* glibc's parts, as libc.so.6 or libc-2.31.so. */
static const char *const c_library[] = {
	"libc", "libm", "libdl", "libpthread", "librt", "libresolv",
};

/* The loader, which is musl's whole library, and what glibc loads by itself (nsswitch.conf(5)). */
static const char *const loaded[] = { "ld-", "libnss_" };

static const char *const forking[] = {
	"fork",    "_Fork",  "__fork",  "vfork",  "__vfork", "clone", "__clone",
	"syscall", "daemon", "forkpty", "dlopen", "dlmopen", "dlsym", "dlvsym",
};

/* In package syscall, in golang.org/x/sys/unix and in the runtime: the number comes first. */
static const char *const by_number[] = {
	"RawSyscall", "RawSyscall6", "RawSyscallNoError", "Syscall", "Syscall6", "SyscallNoError",
};

/* clone, fork, vfork, clone3: <asm/unistd_64.h> */
static const uint32_t numbers[] = { 56, 57, 58, 435 };

/* What is Go's own forks to execute. */
static const char *const own_packages[] = { "syscall.", "runtime.", "runtime/", "internal/" };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool begins_as(const char *text, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (begins(text, words[i]))
			return true;
	return false;
}

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(text, words[i]))
			return true;
	return false;
}

static bool is_c_library(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	for (size_t i = 0; i < COUNT(c_library); i++) {
		const char *rest = name + strlen(c_library[i]);

		if (begins(name, c_library[i]) &&
		    (begins(rest, ".so") || (rest[0] == '-' && isdigit((unsigned char)rest[1]))))
			return true;
	}
	return begins_as(name, loaded, COUNT(loaded));
}

static bool has_other_code(const struct lt_maps *maps, const struct lt_mapping *own)
{
	for (size_t i = 0; i < maps->count; i++) {
		const struct lt_mapping *mapping = &maps->entries[i];

		if (mapping->executable && mapping->inode &&
		    (mapping->device != own->device || mapping->inode != own->inode) &&
		    !is_c_library(mapping->path))
			return true;
	}
	return false;
}

static int note_import(void *context, const char *name)
{
	*(bool *)context = true;
	return is_one_of(name, forking, COUNT(forking));
}

/* C code without imports is linked statically, or does not show them. */
static bool imports_fork(const struct lt_gofile *file, int fd)
{
	struct lt_go_function function;
	struct lt_image *image;
	bool any = false;
	int found;

	if (lt_image_open(&image, fd))
		return true;
	found = lt_image_each_import(image, note_import, &any);
	lt_image_close(image);
	return found || (!any && lt_gopclntab_named(lt_gofile_pclntab(file), FROM_C, &function));
}

struct entries {
	uint64_t at[32];
	size_t count;
};

/* False: there are too many. */
static bool find_by_number(const struct lt_gopclntab *table, struct entries *entries)
{
	struct lt_go_function function;

	for (uint64_t i = 0; i < table->function_count; i++) {
		const char *name;

		if (!lt_gopclntab_at(table, i, &function))
			continue;
		name = strrchr(function.name, '.');
		if (!name || !is_one_of(name + 1, by_number, COUNT(by_number)))
			continue;
		if (entries->count == COUNT(entries->at))
			return false;
		entries->at[entries->count++] = function.entry;
	}
	return true;
}

static bool is_entry(const struct entries *entries, uint64_t address)
{
	for (size_t i = 0; i < entries->count; i++)
		if (entries->at[i] == address)
			return true;
	return false;
}

/* mov $N, %eax, or, for code in assembler, movq $N, (%rsp) (cmd/compile/abi-internal.md). */
static bool has_number(const uint8_t *code, size_t len)
{
	static const uint8_t in_eax[] = { 0xb8 }, on_stack[] = { 0x48, 0xc7, 0x04, 0x24 };

	for (size_t i = 0; i < COUNT(numbers); i++) {
		uint8_t eax[sizeof(in_eax) + sizeof(*numbers)];
		uint8_t stack[sizeof(on_stack) + sizeof(*numbers)];

		memcpy(eax, in_eax, sizeof(in_eax));
		memcpy(eax + sizeof(in_eax), &numbers[i], sizeof(*numbers));
		memcpy(stack, on_stack, sizeof(on_stack));
		memcpy(stack + sizeof(on_stack), &numbers[i], sizeof(*numbers));
		if (memmem(code, len, eax, sizeof(eax)) || memmem(code, len, stack, sizeof(stack)))
			return true;
	}
	return false;
}

/* By the code before the call, of a function that is not Go's own. */
static bool forks_at(const struct lt_gofile *file, uint64_t call)
{
	_lt_free_ uint8_t *code = NULL;
	struct lt_go_function function;
	size_t len;

	if (!lt_gopclntab_find(lt_gofile_pclntab(file), call, &function))
		return false; /* bytes that look like one */
	if (begins_as(function.name, own_packages, COUNT(own_packages)))
		return false;
	len = call - function.entry;
	code = len <= LT_GO_CODE_MAX ? malloc(len + 1) : NULL;
	return !code || lt_gofile_read(file, function.entry, code, len) != (long)len ||
	       has_number(code, len);
}

#define CALL       0xe8 /* and where to, from its end on */
#define CALL_BYTES 5
#define CHUNK      (1 << 20)

#define MAX_TEXT (512 << 20) /* bytes; the largest programs known have some 100 MiB */

/* At a time as much as fits, each with the last bytes of the one before. */
static bool calls_fork(const struct lt_gofile *file)
{
	const struct lt_go_span *text = &lt_gofile_info(file)->module.text;
	_lt_free_ uint8_t *chunk = malloc(CHUNK);
	struct entries entries = { .count = 0 };

	if (!chunk || text->end - text->start > MAX_TEXT ||
	    !find_by_number(lt_gofile_pclntab(file), &entries))
		return true;
	for (uint64_t at = text->start; at + CALL_BYTES <= text->end;) {
		size_t wanted = text->end - at < CHUNK ? text->end - at : CHUNK;

		if (lt_gofile_read(file, at, chunk, wanted) != (long)wanted)
			return true;
		for (size_t i = 0; i + CALL_BYTES <= wanted; i++) {
			int32_t distance;

			if (chunk[i] != CALL)
				continue;
			memcpy(&distance, chunk + i + 1, sizeof(distance));
			if (is_entry(&entries, at + i + CALL_BYTES + (uint64_t)(int64_t)distance) &&
			    forks_at(file, at + i))
				return true;
		}
		at += wanted - CALL_BYTES + 1;
	}
	return false;
}

bool lt_go_might_fork(const struct lt_gofile *file, int fd, const struct lt_maps *maps,
		      const struct lt_mapping *own)
{
	return has_other_code(maps, own) || imports_fork(file, fd) || calls_fork(file);
}
