/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Debug files from debuginfod servers, by build-id: for --debuginfod only.  libdebuginfod is loaded
 * when it is wanted, so that leaktrace runs without it.  A build-id that was not found is not asked
 * for again, and a server that does not answer is given up.  Not thread-safe but for stop.
 */
#ifndef LT_SYMBOL_DEBUGINFOD_H
#define LT_SYMBOL_DEBUGINFOD_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct lt_debuginfod;

/*
 * urls: servers, separated by blanks; "": those of DEBUGINFOD_URLS.  Sets environment variables:
 * to be called before there are threads.  On failure *error is one line with the remedy.
 */
int lt_debuginfod_new(struct lt_debuginfod **server, const char *urls, struct lt_buf *error);
void lt_debuginfod_free(struct lt_debuginfod *server);

/* An fd of the debug file (whose content is not checked), or -errno. */
int lt_debuginfod_fetch(struct lt_debuginfod *server, const uint8_t *build_id, size_t len);
/* From any thread: a fetch ends within a second, and later ones fail at once. */
void lt_debuginfod_stop(struct lt_debuginfod *server);

#endif
