// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc/socket_dump.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"

#define ARRAY_SIZE(list) (sizeof(list) / sizeof(*(list)))

/* include/net/tcp_states.h; unix sockets and MPTCP have the same ones. */
static const char *const tcp_states[] = {
	"",          "ESTABLISHED", "SYN_SENT",     "SYN_RECV",       "FIN_WAIT1",
	"FIN_WAIT2", "TIME_WAIT",   "CLOSE",        "CLOSE_WAIT",     "LAST_ACK",
	"LISTEN",    "CLOSING",     "NEW_SYN_RECV", "BOUND_INACTIVE",
};
#define TIME_WAIT    6
#define CLOSE        7
#define NEW_SYN_RECV 12

/* Those never have a file. */
#define ASKED_STATES (~((1U << TIME_WAIT) | (1U << NEW_SYN_RECV)))

/* NETLINK_ROUTE ... of linux/netlink.h */
static const char *const netlink_protocols[] = {
	"route",     "",         "usersock", "firewall",       "sock_diag", "nflog",
	"xfrm",      "selinux",  "iscsi",    "audit",          "fib",       "connector",
	"netfilter", "ip6_fw",   "dnrtmsg",  "kobject_uevent", "generic",   "",
	"scsi",      "ecryptfs", "rdma",     "crypto",
};

static const char *name_of(const char *const *names, size_t count, size_t index)
{
	return index < count && names[index] ? names[index] : "";
}

/* Where it begins.  Offset 0 is that of the empty text. */
static uint32_t add_name(struct lt_socket_dump *dump, const char *text, size_t len)
{
	size_t at;

	if (!len)
		return 0;
	if (!dump->names.len)
		lt_buf_char(&dump->names, '\0');
	at = dump->names.len;
	lt_buf_append(&dump->names, text, len);
	lt_buf_char(&dump->names, '\0');
	return (uint32_t)at; /* LT_MAX_SOCKETS times a unix name or two addresses fit */
}

static int add_record(struct lt_socket_dump *dump, const struct lt_socket_record *record)
{
	if (lt_buf_error(&dump->names))
		return lt_buf_error(&dump->names);
	if (dump->count == dump->capacity) {
		size_t more = dump->capacity ? dump->capacity * 2 : 256;
		struct lt_socket_record *records = reallocarray(dump->records, more,
								sizeof(*records));

		if (!records)
			return -ENOMEM;
		dump->records = records;
		dump->capacity = more;
	}
	dump->records[dump->count] = *record;
	dump->records[dump->count].order = (uint32_t)dump->count;
	dump->count++;
	return 0;
}

static uint32_t add_endpoint(struct lt_socket_dump *dump, int family, const __be32 words[4],
			     __be16 port)
{
	char address[INET6_ADDRSTRLEN], text[sizeof(address) + sizeof("[]:65535")];
	static const struct in6_addr any;
	const void *bytes = words;
	int len;

	if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(words)) {
		family = AF_INET;
		bytes = &words[3];
	}
	if (!port && !memcmp(bytes, &any, family == AF_INET6 ? sizeof(any) : sizeof(*words)))
		return 0;
	if (!inet_ntop(family, bytes, address, sizeof(address)))
		return 0;
	len = snprintf(text, sizeof(text), family == AF_INET6 ? "[%s]:%u" : "%s:%u", address,
		       ntohs(port));
	return add_name(dump, text, (size_t)len);
}

static int take_inet(struct lt_socket_dump *dump, const struct lt_socket_query *query,
		     const uint8_t *data, size_t size)
{
	struct lt_socket_record record = { .type = query->type, .state = "" };
	struct inet_diag_msg message;

	if (size < sizeof(message))
		return -EBADMSG;
	memcpy(&message, data, sizeof(message));
	record.inode = message.idiag_inode;
	if (!record.inode)
		return 0;
	if (query->has_state)
		record.state = name_of(tcp_states, ARRAY_SIZE(tcp_states), message.idiag_state);
	record.local = add_endpoint(dump, message.idiag_family, message.id.idiag_src,
				    message.id.idiag_sport);
	record.remote = add_endpoint(dump, message.idiag_family, message.id.idiag_dst,
				     message.id.idiag_dport);
	return add_record(dump, &record);
}

/* A path, which may end with a zero; or zero and any bytes, whose zeros are told as '@'. */
static uint32_t add_unix_name(struct lt_socket_dump *dump, const uint8_t *name, size_t len)
{
	char text[sizeof(((struct sockaddr_un *)0)->sun_path)];

	if (len > sizeof(text))
		len = sizeof(text);
	if (len && name[0])
		return add_name(dump, (const char *)name, strnlen((const char *)name, len));
	for (size_t i = 0; i < len; i++)
		text[i] = name[i] ? (char)name[i] : '@';
	return add_name(dump, text, len);
}

/* The attributes behind a message. */
static int take_unix_attributes(struct lt_socket_dump *dump, struct lt_socket_record *record,
				const uint8_t *data, size_t size)
{
	const uint8_t *name = NULL;
	size_t name_len = 0, step, len;
	struct rtattr attribute;

	for (; size >= sizeof(attribute); data += step, size -= step) {
		memcpy(&attribute, data, sizeof(attribute));
		if (attribute.rta_len < RTA_LENGTH(0) || attribute.rta_len > size)
			return -EBADMSG;
		len = attribute.rta_len - RTA_LENGTH(0);
		if (attribute.rta_type == UNIX_DIAG_NAME) {
			name = data + RTA_LENGTH(0);
			name_len = len;
		}
		if (attribute.rta_type == UNIX_DIAG_PEER && len >= sizeof(record->peer))
			memcpy(&record->peer, data + RTA_LENGTH(0), sizeof(record->peer));
		step = RTA_ALIGN(attribute.rta_len);
		if (step > size)
			step = size;
	}
	record->local = add_unix_name(dump, name, name_len);
	return 0;
}

static int take_unix(struct lt_socket_dump *dump, const struct lt_socket_query *query,
		     const uint8_t *data, size_t size)
{
	static const char *const types[] = {
		[SOCK_STREAM] = "unix stream",
		[SOCK_DGRAM] = "unix datagram",
		[SOCK_SEQPACKET] = "unix seqpacket",
	};
	struct lt_socket_record record = { .state = "" };
	struct unix_diag_msg message;
	int err;

	if (size < sizeof(message))
		return -EBADMSG;
	memcpy(&message, data, sizeof(message));
	record.inode = message.udiag_ino;
	if (!record.inode)
		return 0;
	record.type = name_of(types, ARRAY_SIZE(types), message.udiag_type);
	if (!*record.type)
		record.type = query->type;
	/* CLOSE is only that it has not been connected; datagrams have no connection. */
	if (message.udiag_type != SOCK_DGRAM && message.udiag_state != CLOSE)
		record.state = name_of(tcp_states, ARRAY_SIZE(tcp_states), message.udiag_state);
	err = take_unix_attributes(dump, &record, data + sizeof(message), size - sizeof(message));
	return err ? err : add_record(dump, &record);
}

static int take_netlink(struct lt_socket_dump *dump, const struct lt_socket_query *query,
			const uint8_t *data, size_t size)
{
	struct lt_socket_record record = { .type = query->type, .state = "" };
	struct netlink_diag_msg message;
	const char *protocol;

	if (size < sizeof(message))
		return -EBADMSG;
	memcpy(&message, data, sizeof(message));
	record.inode = message.ndiag_ino;
	if (!record.inode)
		return 0;
	protocol = name_of(netlink_protocols, ARRAY_SIZE(netlink_protocols),
			   message.ndiag_protocol);
	record.local = add_name(dump, protocol, strlen(protocol));
	return add_record(dump, &record);
}

static int take_packet(struct lt_socket_dump *dump, const struct lt_socket_query *query,
		       const uint8_t *data, size_t size)
{
	struct lt_socket_record record = { .type = query->type, .state = "" };
	struct packet_diag_msg message;

	if (size < sizeof(message))
		return -EBADMSG;
	memcpy(&message, data, sizeof(message));
	record.inode = message.pdiag_ino;
	return record.inode ? add_record(dump, &record) : 0;
}

/* Older kernels do not know the attribute with the whole number; they must not take MPTCP's lower byte for
   TCP. */
#define INET(family, ipproto, name, state)                                                         \
	{                                                                                          \
		.take = take_inet, .type = name, .protocol = ipproto, .has_state = state,          \
		.request.inet = {                                                                  \
			.sdiag_family = family,                                                    \
			.sdiag_protocol = (uint8_t)((ipproto) > UINT8_MAX ? 0 : (ipproto)),        \
			.idiag_states = ASKED_STATES,                                              \
		},                                                                                 \
	}

/*
 * Where several tell of one inode, the last does: the TCP connections below a socket of MPTCP have its
 * inode.
 */
const struct lt_socket_query lt_socket_queries[LT_SOCKET_QUERIES] = {
	INET(AF_INET, IPPROTO_TCP, "TCP", true),
	INET(AF_INET6, IPPROTO_TCP, "TCP", true),
	INET(AF_INET, IPPROTO_MPTCP, "MPTCP", true),
	INET(AF_INET6, IPPROTO_MPTCP, "MPTCP", true),
	INET(AF_INET, IPPROTO_UDP, "UDP", false),
	INET(AF_INET6, IPPROTO_UDP, "UDP", false),
	INET(AF_INET, IPPROTO_SCTP, "SCTP", false),
	INET(AF_INET6, IPPROTO_SCTP, "SCTP", false),
	INET(AF_INET, IPPROTO_RAW, "raw IP", false),
	INET(AF_INET6, IPPROTO_RAW, "raw IP", false),
	{
		.take = take_unix,
		.type = "unix",
		.request.unix_request = {
			.sdiag_family = AF_UNIX,
			.udiag_states = UINT32_MAX,
			.udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER,
		},
	},
	{
		.take = take_netlink,
		.type = "netlink",
		.request.netlink = {
			.sdiag_family = AF_NETLINK,
			.sdiag_protocol = NDIAG_PROTO_ALL,
		},
	},
	{
		.take = take_packet,
		.type = "packet",
		.request.packet = { .sdiag_family = AF_PACKET },
	},
};

/* The error in the payload of NLMSG_ERROR and NLMSG_DONE; 0 none. */
static int error_of(const uint8_t *data, size_t size)
{
	int error = 0;

	if (size >= sizeof(error))
		memcpy(&error, data, sizeof(error));
	return error < 0 && error >= -4095 ? error : 0; /* MAX_ERRNO, include/linux/err.h */
}

static int take_message(struct lt_socket_dump *dump, const struct lt_socket_query *query,
			const struct nlmsghdr *header, const uint8_t *data, size_t size)
{
	int err;

	if (header->nlmsg_flags & NLM_F_DUMP_INTR)
		dump->cut = true;
	switch (header->nlmsg_type) {
	case NLMSG_DONE:
		return error_of(data, size);
	case NLMSG_ERROR:
		err = error_of(data, size);
		return err ? err : -EBADMSG; /* an acknowledgement, which was not asked for */
	case SOCK_DIAG_BY_FAMILY:
		if (dump->count == LT_MAX_SOCKETS) {
			dump->cut = true;
			return 0;
		}
		/* The family is the first byte of each kind of message. */
		err = size && data[0] == query->request.family
			      ? query->take(dump, query, data, size)
			      : -EBADMSG;
		return err ? err : 1;
	default:
		return 1; /* NLMSG_NOOP */
	}
}

int lt_socket_dump_take(struct lt_socket_dump *dump, const struct lt_socket_query *query,
			const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	struct nlmsghdr header;
	size_t step;
	int more = 1;

	for (; more == 1 && size; at += step, size -= step) {
		if (size < sizeof(header))
			return -EBADMSG;
		memcpy(&header, at, sizeof(header));
		if (header.nlmsg_len < NLMSG_HDRLEN || header.nlmsg_len > size)
			return -EBADMSG;
		more = take_message(dump, query, &header, at + NLMSG_HDRLEN,
				    header.nlmsg_len - NLMSG_HDRLEN);
		step = NLMSG_ALIGN((size_t)header.nlmsg_len);
		if (step > size)
			step = size;
	}
	return more;
}

static int compare_inodes(const void *a, const void *b)
{
	const struct lt_socket_record *one = a, *other = b;

	return (one->inode > other->inode) - (one->inode < other->inode);
}

/* The last one of an inode comes first. */
static int compare_records(const void *a, const void *b)
{
	const struct lt_socket_record *one = a, *other = b;
	int inodes = compare_inodes(a, b);

	return inodes ? inodes : (one->order < other->order) - (one->order > other->order);
}

static void sort(struct lt_socket_dump *dump)
{
	struct lt_socket_record *records = dump->records;
	size_t kept = 0;

	if (!dump->count)
		return;
	qsort(records, dump->count, sizeof(*records), compare_records);
	for (size_t i = 1; i < dump->count; i++)
		if (records[i].inode != records[kept].inode)
			records[++kept] = records[i];
	dump->count = kept + 1;
}

/* The remote end of a unix socket has the name that its peer has. */
static void name_peers(struct lt_socket_dump *dump)
{
	for (size_t i = 0; i < dump->count; i++) {
		struct lt_socket_record *record = &dump->records[i];
		const struct lt_socket_record key = { .inode = record->peer }, *peer;

		if (!record->peer)
			continue;
		peer = bsearch(&key, dump->records, dump->count, sizeof(key), compare_inodes);
		if (peer)
			record->remote = peer->local;
	}
}

int lt_socket_dump_finish(struct lt_socket_dump *dump, struct lt_sockets *sockets)
{
	struct lt_sockets list = { .cut = dump->cut };

	sort(dump);
	name_peers(dump);
	list.entries = calloc(dump->count ? dump->count : 1, sizeof(*list.entries));
	if (!list.entries || lt_buf_error(&dump->names)) {
		free(list.entries);
		lt_socket_dump_free(dump);
		return -ENOMEM;
	}
	list.count = dump->count;
	list.names = lt_take_ptr(dump->names.data);
	for (size_t i = 0; i < dump->count; i++) {
		const struct lt_socket_record *record = &dump->records[i];

		list.entries[i] = (struct lt_socket){
			.inode = record->inode,
			.type = record->type,
			.state = record->state,
			.local = record->local ? list.names + record->local : "",
			.remote = record->remote ? list.names + record->remote : "",
		};
	}
	lt_socket_dump_free(dump);
	*sockets = list;
	return 0;
}

void lt_socket_dump_free(struct lt_socket_dump *dump)
{
	free(dump->records);
	lt_buf_free(&dump->names);
	*dump = (struct lt_socket_dump){ 0 };
}
