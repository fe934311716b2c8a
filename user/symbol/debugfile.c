/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbol/debugfile.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

#include "base/cleanup.h"
#include "symbol/regular.h"

#define DEBUG_ROOT     "/usr/lib/debug" /* GDB manual, "Separate Debug Files" */
#define MIN_BUILD_ID   2
#define MAX_BUILD_ID   64
#define MAX_CRC_BYTES  (1LL << 30) /* a file checked by reading it whole */
#define CRC_BLOCK_SIZE (64 * 1024)

/* What a candidate must have to be the file that is looked for. */
struct identity {
	const uint8_t *build_id;
	size_t build_id_len; /* 0: go by crc */
	uint32_t crc;
	int not_fd; /* -1, or the file itself, which a debuglink may name */
	const struct lt_debug_places *places; /* where it is looked for */
};

LT_CLEANUP(Elf *, elf_end)

static bool same_file(int a, int b)
{
	struct stat one, other;

	return !fstat(a, &one) && !fstat(b, &other) && one.st_dev == other.st_dev &&
	       one.st_ino == other.st_ino;
}

static bool build_id_agrees(int fd, const struct identity *identity)
{
	_lt_cleanup_(elf_end_p) Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	const void *build_id;

	return elf && elf_kind(elf) == ELF_K_ELF &&
	       dwelf_elf_gnu_build_id(elf, &build_id) == (ssize_t)identity->build_id_len &&
	       !memcmp(build_id, identity->build_id, identity->build_id_len);
}

/* The CRC of .gnu_debuglink is the one of zlib (GDB manual, "Separate Debug Files"). */
static bool crc_agrees(int fd, const struct identity *identity)
{
	_lt_free_ unsigned char *block = malloc(CRC_BLOCK_SIZE);
	uLong crc = crc32(0, NULL, 0);
	ssize_t count;

	for (off_t offset = 0; block && offset < MAX_CRC_BYTES; offset += count) {
		count = pread(fd, block, CRC_BLOCK_SIZE, offset);
		if (count <= 0)
			return !count && crc == identity->crc;
		crc = crc32(crc, block, (uInt)count);
	}
	return false;
}

/* The target's links are followed inside of its root or not at all. */
static int open_in_root(int root_fd, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

/* Takes the inode's fd, which may be -1. */
static int verify(const struct identity *identity, int taken_fd)
{
	_lt_close_ int inode_fd = taken_fd;
	_lt_close_ int fd = inode_fd < 0 ? -ENOENT : lt_regular_reopen(inode_fd);

	if (fd < 0 || (identity->not_fd >= 0 && same_file(fd, identity->not_fd)))
		return -ENOENT;
	if (identity->build_id_len ? !build_id_agrees(fd, identity) : !crc_agrees(fd, identity))
		return -ENOENT;
	return lt_take_fd(&fd);
}

__attribute__((format(printf, 2, 3))) static int open_verified(const struct identity *identity,
							       const char *format, ...)
{
	char path[PATH_MAX];
	va_list arguments;
	int len, fd;

	va_start(arguments, format);
	len = vsnprintf(path, sizeof(path), format, arguments);
	va_end(arguments);
	if (len < 0 || (size_t)len >= sizeof(path))
		return -ENOENT;
	fd = verify(identity, open(path, O_PATH | O_CLOEXEC));
	if (fd < 0 && identity->places->root_fd >= 0)
		fd = verify(identity, open_in_root(identity->places->root_fd, path));
	return fd;
}

static int open_by_build_id(const struct identity *identity)
{
	char hex[2 * MAX_BUILD_ID + 1];

	if (identity->build_id_len < MIN_BUILD_ID)
		return -ENOENT;
	for (size_t i = 0; i < identity->build_id_len; i++)
		snprintf(hex + 2 * i, 3, "%02x", identity->build_id[i]);
	return open_verified(identity, DEBUG_ROOT "/.build-id/%.2s/%s.debug", hex, hex + 2);
}

/* The last resort. */
static int fetch(const struct identity *identity)
{
	struct lt_debuginfod *server = identity->places->server;
	_lt_close_ int fd = -1;

	if (!server || identity->build_id_len < MIN_BUILD_ID)
		return -ENOENT;
	fd = lt_debuginfod_fetch(server, identity->build_id, identity->build_id_len);
	return fd >= 0 && build_id_agrees(fd, identity) ? lt_take_fd(&fd) : -ENOENT;
}

static int open_by_link(const struct identity *identity, const char *name, const char *path)
{
	/* Where to look in, relative to the folder of the file. */
	static const struct {
		const char *before, *behind;
	} places[] = { { "", "" }, { "", "/.debug" }, { DEBUG_ROOT, "" } };
	const char *slash = strrchr(path, '/');
	int fd = -ENOENT;

	if (path[0] != '/' || slash - path >= PATH_MAX || !*name || strchr(name, '/'))
		return -ENOENT;
	for (size_t i = 0; fd < 0 && i < sizeof(places) / sizeof(*places); i++)
		fd = open_verified(identity, "%s%.*s%s/%s", places[i].before, (int)(slash - path),
				   path, places[i].behind, name);
	return fd;
}

int lt_debugfile_open(Elf *elf, int fd, const char *path, const struct lt_debug_places *places)
{
	struct identity identity = { .not_fd = fd, .places = places };
	const void *build_id = NULL;
	ssize_t build_id_len = dwelf_elf_gnu_build_id(elf, &build_id);
	GElf_Word crc = 0;
	const char *name = dwelf_elf_gnu_debuglink(elf, &crc);
	int found;

	if (build_id_len > 0 && build_id_len <= MAX_BUILD_ID) {
		identity.build_id = build_id;
		identity.build_id_len = (size_t)build_id_len;
	}
	identity.crc = crc;
	found = open_by_build_id(&identity);
	if (found < 0 && name)
		found = open_by_link(&identity, name, path);
	return found < 0 ? fetch(&identity) : found;
}

int lt_debugfile_open_supplement(Dwarf *dwarf, const struct lt_debug_places *places)
{
	struct identity identity = { .not_fd = -1, .places = places };
	const void *build_id = NULL;
	const char *name = NULL;
	ssize_t len = dwelf_dwarf_gnu_debugaltlink(dwarf, &name, &build_id);
	int fd;

	if (!len)
		return -ENODATA;
	if (len < MIN_BUILD_ID || len > MAX_BUILD_ID)
		return -ENOENT;
	identity.build_id = build_id;
	identity.build_id_len = (size_t)len;
	fd = open_by_build_id(&identity);
	if (fd < 0 && name[0] == '/')
		fd = open_verified(&identity, "%s", name);
	return fd < 0 ? fetch(&identity) : fd;
}
