/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A list of sockets under way: what the kernel is asked, and its answers, taken as foreign bytes.
 * Internal to the room.
 */
#ifndef LT_PROC_SOCKET_DUMP_H
#define LT_PROC_SOCKET_DUMP_H

#include <linux/inet_diag.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/unix_diag.h>

#include "base/buf.h"
#include "proc/sockets.h"

struct lt_socket_record {
	const char *type, *state;
	uint32_t inode;
	uint32_t order;         /* of arrival */
	uint32_t peer;          /* unix: inode of the other end, 0 unknown */
	uint32_t local, remote; /* where in the names; 0: "" */
};

struct lt_socket_dump { /* all zero: empty */
	struct lt_socket_record *records;
	size_t count, capacity;
	struct lt_buf names;
	bool cut;
};

struct lt_socket_query {
	/* The payload of one message -> a record.  0 or -errno. */
	int (*take)(struct lt_socket_dump *dump, const struct lt_socket_query *query,
		    const uint8_t *data, size_t size);
	const char *type;
	int protocol;
	bool has_state; /* other protocols have numbers there too, which mean something else */
	union {
		uint8_t family; /* first in each */
		struct inet_diag_req_v2 inet;
		struct unix_diag_req unix_request;
		struct netlink_diag_req netlink;
		struct packet_diag_req packet;
	} request;
};

#define LT_SOCKET_QUERIES 13
extern const struct lt_socket_query lt_socket_queries[LT_SOCKET_QUERIES];

/*
 * Takes what one recv() got of the answer to a query.  1: the rest is to come, 0: that was all, or
 * there are too many (cut); -EBADMSG, -ENOMEM, or the error that the kernel answered.
 */
int lt_socket_dump_take(struct lt_socket_dump *dump, const struct lt_socket_query *query,
			const void *bytes, size_t size);
/* Turns it into a list, and frees it in any case.  0 or -ENOMEM. */
int lt_socket_dump_finish(struct lt_socket_dump *dump, struct lt_sockets *sockets);
void lt_socket_dump_free(struct lt_socket_dump *dump);

#endif
