/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "symbol/debuginfod.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "leaktrace/limits.h"

#define LIBRARY        "libdebuginfod.so.1"
#define MAX_FILE_BYTES (1L << 30)
#define MAX_FAILURES   2 /* of the servers, one after the other */
#define MAX_ABSENT     LT_MAX_MODULES
#define MAX_BUILD_ID   64

/*
 * debuginfod_find_debuginfo(3), "ENVIRONMENT VARIABLES".  Its own defaults wait 90 s for a server,
 * twice more, and for a download as long as it takes.  What the user set stays.
 * (DEBUGINFOD_MAXSIZE makes elfutils 0.188 leak memory: on_progress() looks at the size instead.)
 */
static const struct {
	const char *name, *value;
} defaults[] = {
	{ "DEBUGINFOD_TIMEOUT", "10" },
	{ "DEBUGINFOD_MAXTIME", "60" },
	{ "DEBUGINFOD_RETRY_LIMIT", "0" },
};

struct build_id {
	size_t len;
	uint8_t bytes[MAX_BUILD_ID];
};

struct lt_debuginfod {
	void *client;
	int (*find)(void *client, const unsigned char *build_id, int len, char **path);
	void (*end)(void *client);
	atomic_bool stopped;
	unsigned failures;       /* in a row */
	struct build_id *absent; /* asked for in vain */
	size_t absent_count;
};

/* debuginfod_get_user_data(): the library's callback is given nothing else to know itself by. */
static void *(*get_user_data)(void *client);

LT_CLEANUP(struct lt_debuginfod *, lt_debuginfod_free)

/*
 * Nonzero ends the download, which the library's cache then holds for absent, for ten minutes.  The
 * first number counts waits until an answer begins, then its bytes.
 */
static int on_progress(void *client, long bytes, long expected_bytes)
{
	struct lt_debuginfod *server = get_user_data(client);

	return bytes > MAX_FILE_BYTES || expected_bytes > MAX_FILE_BYTES ||
	       atomic_load(&server->stopped);
}

/* dlsym() into a function pointer, as POSIX wants it done. */
static bool find_symbol(void *library, const char *name, void *function)
{
	*(void **)function = dlsym(library, name);
	return *(void **)function;
}

static int load(struct lt_debuginfod *server)
{
	void (*set_progress)(void *client, int (*callback)(void *, long, long));
	void (*set_user_data)(void *client, void *data);
	void *(*begin)(void);
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!library || !find_symbol(library, "debuginfod_set_progressfn", &set_progress) ||
	    !find_symbol(library, "debuginfod_set_user_data", &set_user_data) ||
	    !find_symbol(library, "debuginfod_get_user_data", &get_user_data) ||
	    !find_symbol(library, "debuginfod_find_debuginfo", &server->find) ||
	    !find_symbol(library, "debuginfod_end", &server->end) ||
	    !find_symbol(library, "debuginfod_begin", &begin))
		return -ENOENT;
	server->client = begin();
	if (!server->client)
		return -ENOMEM;
	set_user_data(server->client, server);
	set_progress(server->client, on_progress);
	return 0;
}

int lt_debuginfod_new(struct lt_debuginfod **server, const char *urls, struct lt_buf *error)
{
	_lt_cleanup_(lt_debuginfod_free_p) struct lt_debuginfod *made = NULL;
	const char *known = *urls ? urls : getenv("DEBUGINFOD_URLS");
	int err;

	if (!known || !*known) {
		lt_buf_str(error, "--debuginfod knows no server: give --debuginfod=URL, or keep "
				  "DEBUGINFOD_URLS (sudo --preserve-env=DEBUGINFOD_URLS ...)");
		return -EINVAL;
	}
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	err = load(made);
	if (err) {
		lt_buf_str(error, "--debuginfod wants " LIBRARY ": install libdebuginfod1 "
				  "(Debian, Ubuntu) or elfutils-debuginfod-client (Fedora)");
		return err;
	}
	if (setenv("DEBUGINFOD_URLS", known, 1))
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(defaults) / sizeof(*defaults); i++)
		if (setenv(defaults[i].name, defaults[i].value, 0))
			return -ENOMEM;
	*server = lt_take_ptr(made);
	return 0;
}

/* The library stays loaded: what it uses (libcurl, GnuTLS) cannot be unloaded. */
void lt_debuginfod_free(struct lt_debuginfod *server)
{
	if (!server)
		return;
	if (server->client)
		server->end(server->client);
	free(server->absent);
	free(server);
}

void lt_debuginfod_stop(struct lt_debuginfod *server)
{
	atomic_store(&server->stopped, true);
}

static bool is_absent(const struct lt_debuginfod *server, const struct build_id *wanted)
{
	for (size_t i = 0; i < server->absent_count; i++)
		if (!memcmp(&server->absent[i], wanted, sizeof(*wanted)))
			return true;
	return false;
}

static void note_absent(struct lt_debuginfod *server, const struct build_id *wanted)
{
	struct build_id *absent;

	if (server->absent_count == MAX_ABSENT)
		return;
	absent = reallocarray(server->absent, server->absent_count + 1, sizeof(*absent));
	if (!absent)
		return;
	absent[server->absent_count++] = *wanted;
	server->absent = absent;
}

/* What says nothing about the servers: no such file, one too large, no room for it here. */
static bool is_answer(int error)
{
	return error >= 0 || error == -ENOENT || error == -EFBIG || error == -ENOSPC;
}

int lt_debuginfod_fetch(struct lt_debuginfod *server, const uint8_t *build_id, size_t len)
{
	struct build_id wanted = { .len = len };
	int fd;

	if (len > sizeof(wanted.bytes))
		return -EINVAL;
	memcpy(wanted.bytes, build_id, len);
	if (server->failures == MAX_FAILURES || atomic_load(&server->stopped) ||
	    is_absent(server, &wanted))
		return -ENOENT;
	fd = server->find(server->client, build_id, (int)len, NULL);
	if (fd < 0)
		note_absent(server, &wanted);
	server->failures = is_answer(fd) ? 0 : server->failures + 1;
	if (server->failures == MAX_FAILURES)
		lt_warn("debuginfod is asked no more: %s (see DEBUGINFOD_URLS)", strerror(-fd));
	return fd;
}
