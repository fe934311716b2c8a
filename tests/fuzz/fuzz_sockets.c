// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any bytes as the kernel's answer to a query (the first byte says which), or as the payloads of its messages:
 * refused, or a list in order with short names.
 */
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>

#include "proc/socket_dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As messages with right headers; a byte in front of each is its length. */
static int take_payloads(struct lt_socket_dump *dump, const struct lt_socket_query *query,
			 const void *bytes, size_t size)
{
	const uint8_t *data = bytes;
	int more = 1;

	while (more == 1 && size > 1) {
		size_t len = data[0] < size ? data[0] : size - 1;
		struct nlmsghdr header = { .nlmsg_type = SOCK_DIAG_BY_FAMILY,
					   .nlmsg_len = (uint32_t)(NLMSG_HDRLEN + len) };
		uint8_t *message = malloc(header.nlmsg_len); /* and no byte longer */

		if (!message)
			break;
		memcpy(message, &header, sizeof(header));
		memcpy(message + NLMSG_HDRLEN, data + 1, len);
		if (len)
			message[NLMSG_HDRLEN] = query->request.family;
		more = lt_socket_dump_take(dump, query, message, header.nlmsg_len);
		free(message);
		data += 1 + len;
		size -= 1 + len;
	}
	return more;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct lt_socket_query *query;
	struct lt_socket_dump dump = { 0 };
	struct lt_sockets sockets;

	if (size < 2)
		return 0;
	query = &lt_socket_queries[data[0] % LT_SOCKET_QUERIES];
	if ((data[1] & 1 ? take_payloads : lt_socket_dump_take)(&dump, query, data + 2, size - 2) >
	    1)
		abort();
	if (lt_socket_dump_finish(&dump, &sockets))
		abort();
	for (size_t i = 0; i < sockets.count; i++) {
		const struct lt_socket *socket = &sockets.entries[i];

		if (socket->inode <= (i ? sockets.entries[i - 1].inode : 0) || !*socket->type ||
		    !socket->state || strlen(socket->local) > 108 || strlen(socket->remote) > 108 ||
		    lt_sockets_find(&sockets, socket->inode) != socket)
			abort();
	}
	lt_sockets_free(&sockets);
	return 0;
}
