// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's answers as bytes: as they should be, cut, and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proc/socket_dump.h"

struct answer {
	uint8_t bytes[32768];
	size_t len;
};

static void put_message(struct answer *answer, uint16_t type, uint16_t flags, const void *payload,
			size_t size)
{
	struct nlmsghdr header = { .nlmsg_len = (uint32_t)(NLMSG_HDRLEN + size),
				   .nlmsg_type = type,
				   .nlmsg_flags = flags };

	assert_true(answer->len + NLMSG_SPACE(size) <= sizeof(answer->bytes));
	memcpy(answer->bytes + answer->len, &header, sizeof(header));
	memcpy(answer->bytes + answer->len + NLMSG_HDRLEN, payload, size);
	answer->len += NLMSG_SPACE(size);
}

static void put_end(struct answer *answer, uint16_t type, int error)
{
	put_message(answer, type, 0, &error, sizeof(error));
}

static void put_inet(struct answer *answer, int family, int state, uint32_t inode,
		     const char *local, int local_port, const char *remote, int remote_port)
{
	struct inet_diag_msg message = {
		.idiag_family = (uint8_t)family,
		.idiag_state = (uint8_t)state,
		.idiag_inode = inode,
		.id.idiag_sport = htons((uint16_t)local_port),
		.id.idiag_dport = htons((uint16_t)remote_port),
	};

	assert_int_equal(inet_pton(family, local, message.id.idiag_src), 1);
	assert_int_equal(inet_pton(family, remote, message.id.idiag_dst), 1);
	put_message(answer, SOCK_DIAG_BY_FAMILY, NLM_F_MULTI, &message, sizeof(message));
}

static size_t put_attribute(uint8_t *at, int type, const void *value, size_t len)
{
	struct rtattr attribute = { .rta_len = (uint16_t)RTA_LENGTH(len),
				    .rta_type = (uint16_t)type };

	memcpy(at, &attribute, sizeof(attribute));
	memcpy(at + RTA_LENGTH(0), value, len);
	return RTA_SPACE(len);
}

/* name_len 0: no name; peer 0: no peer. */
static void put_unix(struct answer *answer, int type, int state, uint32_t inode, const char *name,
		     size_t name_len, uint32_t peer)
{
	struct unix_diag_msg message = { .udiag_family = AF_UNIX,
					 .udiag_type = (uint8_t)type,
					 .udiag_state = (uint8_t)state,
					 .udiag_ino = inode };
	uint8_t payload[1024] = { 0 };
	size_t len = sizeof(message);

	memcpy(payload, &message, sizeof(message));
	if (name_len)
		len += put_attribute(payload + len, UNIX_DIAG_NAME, name, name_len);
	if (peer)
		len += put_attribute(payload + len, UNIX_DIAG_PEER, &peer, sizeof(peer));
	len += put_attribute(payload + len, UNIX_DIAG_SHUTDOWN, "", 1);
	put_message(answer, SOCK_DIAG_BY_FAMILY, NLM_F_MULTI, payload, len);
}

static const struct lt_socket_query *query_of(int family, int protocol)
{
	for (size_t i = 0; i < LT_SOCKET_QUERIES; i++)
		if (lt_socket_queries[i].request.family == family &&
		    lt_socket_queries[i].protocol == protocol)
			return &lt_socket_queries[i];
	fail();
	return NULL;
}

/* From memory that ends where the answer does. */
static int take(struct lt_socket_dump *dump, int family, int protocol, const uint8_t *bytes,
		size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	int more;

	assert_non_null(copy);
	memcpy(copy, bytes, len);
	more = lt_socket_dump_take(dump, query_of(family, protocol), copy, len);
	free(copy);
	return more;
}

static void take_whole(struct answer *answer, int family, int protocol, struct lt_sockets *sockets)
{
	struct lt_socket_dump dump = { 0 };

	put_end(answer, NLMSG_DONE, 0);
	assert_int_equal(take(&dump, family, protocol, answer->bytes, answer->len), 0);
	assert_int_equal(lt_socket_dump_finish(&dump, sockets), 0);
	assert_null(dump.records);
}

static const struct lt_socket *find(const struct lt_sockets *sockets, uint64_t inode)
{
	const struct lt_socket *socket = lt_sockets_find(sockets, inode);

	assert_non_null(socket);
	assert_int_equal(socket->inode, inode);
	return socket;
}

static void check(const struct lt_sockets *sockets, uint64_t inode, const char *type,
		  const char *state, const char *local, const char *remote)
{
	const struct lt_socket *socket = find(sockets, inode);

	assert_string_equal(socket->type, type);
	assert_string_equal(socket->state, state);
	assert_string_equal(socket->local, local);
	assert_string_equal(socket->remote, remote);
}

/* include/net/tcp_states.h */
static const char *const states[] = {
	[1] = "ESTABLISHED",     [2] = "SYN_SENT",  [3] = "SYN_RECV", [4] = "FIN_WAIT1",
	[5] = "FIN_WAIT2",       [6] = "TIME_WAIT", [7] = "CLOSE",    [8] = "CLOSE_WAIT",
	[9] = "LAST_ACK",        [10] = "LISTEN",   [11] = "CLOSING", [12] = "NEW_SYN_RECV",
	[13] = "BOUND_INACTIVE",
};

static void test_states(void **state)
{
	struct answer answer = { .len = 0 };
	struct lt_sockets sockets;

	put_inet(&answer, AF_INET, 0, 100, "10.0.0.5", 1, "10.0.0.6", 2);
	put_inet(&answer, AF_INET, 14, 114, "10.0.0.5", 1, "10.0.0.6", 2);
	put_inet(&answer, AF_INET, 255, 355, "10.0.0.5", 1, "10.0.0.6", 2);
	for (int i = 1; i <= 13; i++)
		put_inet(&answer, AF_INET, i, 100 + (uint32_t)i, "10.0.0.5", 1, "10.0.0.6", 2);
	take_whole(&answer, AF_INET, IPPROTO_TCP, &sockets);
	assert_int_equal(sockets.count, 16);
	for (int i = 1; i <= 13; i++)
		assert_string_equal(find(&sockets, 100 + (uint64_t)i)->state, states[i]);
	assert_string_equal(find(&sockets, 100)->state, "");
	assert_string_equal(find(&sockets, 114)->state, "");
	assert_string_equal(find(&sockets, 355)->state, "");
	lt_sockets_free(&sockets);
}

static void test_end_points(void **state)
{
	struct answer four = { .len = 0 }, six = { .len = 0 };
	struct lt_sockets sockets;

	put_inet(&four, AF_INET, 10, 1, "0.0.0.0", 80, "0.0.0.0", 0);
	put_inet(&four, AF_INET, 8, 4294967295U, "255.255.255.255", 65535, "10.0.0.5", 5432);
	put_inet(&four, AF_INET, 7, 2, "0.0.0.0", 0, "0.0.0.0", 0);
	put_inet(&four, AF_INET, 7, 3, "127.0.0.1", 0, "0.0.0.0", 0);
	take_whole(&four, AF_INET, IPPROTO_TCP, &sockets);
	check(&sockets, 1, "TCP", "LISTEN", "0.0.0.0:80", "");
	check(&sockets, 4294967295U, "TCP", "CLOSE_WAIT", "255.255.255.255:65535", "10.0.0.5:5432");
	check(&sockets, 2, "TCP", "CLOSE", "", "");
	check(&sockets, 3, "TCP", "CLOSE", "127.0.0.1:0", "");
	lt_sockets_free(&sockets);

	put_inet(&six, AF_INET6, 10, 1, "::", 80, "::", 0);
	put_inet(&six, AF_INET6, 1, 2, "::1", 80, "fe80::1:2", 1024);
	put_inet(&six, AF_INET6, 1, 3, "::ffff:10.0.0.5", 80, "::ffff:10.0.0.6", 1024);
	put_inet(&six, AF_INET6, 10, 4, "::ffff:0.0.0.0", 80, "::ffff:0.0.0.0", 0);
	put_inet(&six, AF_INET6, 1, 5, "1111:2222:3333:4444:5555:6666:7777:8888", 65535,
		 "1111:2222:3333:4444:5555:6666:255.255.255.255", 65535);
	take_whole(&six, AF_INET6, IPPROTO_TCP, &sockets);
	check(&sockets, 1, "TCP", "LISTEN", "[::]:80", "");
	check(&sockets, 2, "TCP", "ESTABLISHED", "[::1]:80", "[fe80::1:2]:1024");
	check(&sockets, 3, "TCP", "ESTABLISHED", "10.0.0.5:80", "10.0.0.6:1024");
	check(&sockets, 4, "TCP", "LISTEN", "0.0.0.0:80", "");
	check(&sockets, 5, "TCP", "ESTABLISHED", "[1111:2222:3333:4444:5555:6666:7777:8888]:65535",
	      "[1111:2222:3333:4444:5555:6666:ffff:ffff]:65535");
	lt_sockets_free(&sockets);
}

/* Numbers of states that mean something else are not told. */
static void test_types(void **state)
{
	static const struct {
		int protocol;
		const char *type, *state;
	} types[] = {
		{ IPPROTO_TCP, "TCP", "ESTABLISHED" },
		{ IPPROTO_MPTCP, "MPTCP", "ESTABLISHED" },
		{ IPPROTO_UDP, "UDP", "" },
		{ IPPROTO_SCTP, "SCTP", "" },
		{ IPPROTO_RAW, "raw IP", "" },
	};
	struct lt_sockets sockets;

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		for (int six = 0; six < 2; six++) {
			struct answer answer = { .len = 0 };

			put_inet(&answer, six ? AF_INET6 : AF_INET, 1, 7, six ? "::1" : "10.0.0.1",
				 1, six ? "::2" : "10.0.0.2", 2);
			take_whole(&answer, six ? AF_INET6 : AF_INET, types[i].protocol, &sockets);
			check(&sockets, 7, types[i].type, types[i].state,
			      six ? "[::1]:1" : "10.0.0.1:1", six ? "[::2]:2" : "10.0.0.2:2");
			lt_sockets_free(&sockets);
		}
}

static void test_unix(void **state)
{
	struct answer answer = { .len = 0 };
	struct lt_sockets sockets;
	char all[109];

	memset(all, 'x', sizeof(all));
	put_unix(&answer, SOCK_STREAM, 10, 9, "/run/a.sock", 12, 0); /* with its zero */
	put_unix(&answer, SOCK_STREAM, 1, 8, "/run/a.sock", 11, 5);  /* without */
	put_unix(&answer, SOCK_STREAM, 1, 5, "", 0, 8);
	put_unix(&answer, SOCK_SEQPACKET, 1, 6, "\0a\0b\n", 5, 4711); /* peer is not there */
	put_unix(&answer, SOCK_DGRAM, 1, 7, "\0", 1, 6);
	put_unix(&answer, SOCK_DGRAM, 7, 10, all, 108, 10); /* with itself */
	put_unix(&answer, SOCK_STREAM, 7, 11, "", 0, 0);
	put_unix(&answer, 77, 1, 12, all, sizeof(all), 0);
	put_unix(&answer, SOCK_STREAM, 1, 0, "nobody's", 8, 9);
	take_whole(&answer, AF_UNIX, 0, &sockets);
	assert_int_equal(sockets.count, 8);
	all[108] = '\0';
	check(&sockets, 9, "unix stream", "LISTEN", "/run/a.sock", "");
	check(&sockets, 8, "unix stream", "ESTABLISHED", "/run/a.sock", "");
	check(&sockets, 5, "unix stream", "ESTABLISHED", "", "/run/a.sock");
	check(&sockets, 6, "unix seqpacket", "ESTABLISHED", "@a@b\n", "");
	check(&sockets, 7, "unix datagram", "", "@", "@a@b\n");
	check(&sockets, 10, "unix datagram", "", all, all);
	check(&sockets, 11, "unix stream", "", "", "");
	check(&sockets, 12, "unix", "ESTABLISHED", all, "");
	lt_sockets_free(&sockets);
}

static void test_netlink_and_packet(void **state)
{
	struct netlink_diag_msg netlink = { .ndiag_family = AF_NETLINK, .ndiag_ino = 3 };
	struct packet_diag_msg packet = { .pdiag_family = AF_PACKET, .pdiag_ino = 4 };
	struct answer one = { .len = 0 }, other = { .len = 0 };
	struct lt_sockets sockets;

	put_message(&one, SOCK_DIAG_BY_FAMILY, 0, &netlink, sizeof(netlink));
	netlink.ndiag_ino = 5;
	netlink.ndiag_protocol = 255;
	put_message(&one, SOCK_DIAG_BY_FAMILY, 0, &netlink, sizeof(netlink));
	netlink.ndiag_ino = 0;
	put_message(&one, SOCK_DIAG_BY_FAMILY, 0, &netlink, sizeof(netlink));
	take_whole(&one, AF_NETLINK, 0, &sockets);
	assert_int_equal(sockets.count, 2);
	check(&sockets, 3, "netlink", "", "route", "");
	check(&sockets, 5, "netlink", "", "", "");
	lt_sockets_free(&sockets);

	put_message(&other, SOCK_DIAG_BY_FAMILY, 0, &packet, sizeof(packet));
	packet.pdiag_ino = 0;
	put_message(&other, SOCK_DIAG_BY_FAMILY, 0, &packet, sizeof(packet));
	take_whole(&other, AF_PACKET, 0, &sockets);
	assert_int_equal(sockets.count, 1);
	check(&sockets, 4, "packet", "", "", "");
	lt_sockets_free(&sockets);
}

/* One inode: what was told last. */
static void test_twice(void **state)
{
	struct answer tcp = { .len = 0 }, multi = { .len = 0 };
	struct lt_socket_dump dump = { 0 };
	struct lt_sockets sockets;

	for (uint32_t inode = 40; inode; inode--) {
		put_inet(&tcp, AF_INET, 1, inode, "10.0.0.1", 1, "10.0.0.2", 2);
		put_inet(&tcp, AF_INET, 8, inode, "10.0.0.1", 1, "10.0.0.2", 3);
	}
	put_inet(&tcp, AF_INET, 1, 0, "10.0.0.1", 1, "10.0.0.2", 2);
	put_inet(&multi, AF_INET, 1, 7, "10.0.0.1", 1, "10.0.0.2", 4);
	assert_int_equal(take(&dump, AF_INET, IPPROTO_TCP, tcp.bytes, tcp.len), 1);
	assert_int_equal(take(&dump, AF_INET, IPPROTO_MPTCP, multi.bytes, multi.len), 1);
	assert_int_equal(lt_socket_dump_finish(&dump, &sockets), 0);
	assert_int_equal(sockets.count, 40);
	for (uint64_t inode = 1; inode <= 40; inode++)
		if (inode == 7)
			check(&sockets, inode, "MPTCP", "ESTABLISHED", "10.0.0.1:1", "10.0.0.2:4");
		else
			check(&sockets, inode, "TCP", "CLOSE_WAIT", "10.0.0.1:1", "10.0.0.2:3");
	assert_null(lt_sockets_find(&sockets, 0));
	assert_null(lt_sockets_find(&sockets, 41));
	assert_null(lt_sockets_find(&sockets, (1ULL << 32) + 7));
	lt_sockets_free(&sockets);
}

static int take_end(uint16_t type, int error)
{
	struct lt_socket_dump dump = { 0 };
	struct answer answer = { .len = 0 };
	int more;

	put_end(&answer, type, error);
	put_inet(&answer, AF_INET, 1, 7, "10.0.0.1", 1, "10.0.0.2", 2);
	more = take(&dump, AF_INET, IPPROTO_TCP, answer.bytes, answer.len);
	assert_int_equal(dump.count, more == 1);
	assert_false(dump.cut);
	lt_socket_dump_free(&dump);
	return more;
}

static void test_ends(void **state)
{
	struct lt_socket_dump dump = { 0 };
	struct answer answer = { .len = 0 };

	assert_int_equal(take_end(NLMSG_DONE, 0), 0);
	assert_int_equal(take_end(NLMSG_DONE, -ENOENT), -ENOENT);
	assert_int_equal(take_end(NLMSG_DONE, 1), 0);
	assert_int_equal(take_end(NLMSG_DONE, -100000), 0);
	assert_int_equal(take_end(NLMSG_ERROR, -EPERM), -EPERM);
	assert_int_equal(take_end(NLMSG_ERROR, 0), -EBADMSG);
	assert_int_equal(take_end(NLMSG_ERROR, 1), -EBADMSG);
	assert_int_equal(take_end(NLMSG_NOOP, 0), 1);
	assert_int_equal(take(&dump, AF_INET, IPPROTO_TCP, (const uint8_t *)"", 0), 1);
	put_message(&answer, NLMSG_DONE, 0, "", 0);
	assert_int_equal(take(&dump, AF_INET, IPPROTO_TCP, answer.bytes, answer.len), 0);
	assert_false(dump.cut);
	put_message(&answer, NLMSG_DONE, NLM_F_DUMP_INTR, "", 0);
	assert_int_equal(
		take(&dump, AF_INET, IPPROTO_TCP, answer.bytes + NLMSG_HDRLEN, NLMSG_HDRLEN), 0);
	assert_true(dump.cut);
	lt_socket_dump_free(&dump);
}

static void test_empty(void **state)
{
	struct answer answer = { .len = 0 };
	struct lt_sockets sockets;

	take_whole(&answer, AF_INET, IPPROTO_TCP, &sockets);
	assert_int_equal(sockets.count, 0);
	assert_false(sockets.cut);
	assert_null(lt_sockets_find(&sockets, 1));
	lt_sockets_free(&sockets);
}

/* Any part of an answer is taken up to its last whole message, or refused; read never beyond. */
static void check_cuts(const struct answer *answer, int family, int protocol)
{
	for (size_t len = 1; len < answer->len; len++) {
		struct lt_socket_dump dump = { 0 };
		struct lt_sockets sockets;
		int more = take(&dump, family, protocol, answer->bytes, len);

		assert_true(more == 1 || more == -EBADMSG);
		assert_true(dump.count < 3);
		assert_int_equal(lt_socket_dump_finish(&dump, &sockets), 0);
		lt_sockets_free(&sockets);
	}
}

/* ... and so is what has one wrong byte. */
static void check_flips(struct answer *answer, int family, int protocol)
{
	static const uint8_t values[] = { 0, 1, 2, 3, 4, 5, 16, 127, 128, 254, 255 };

	for (size_t i = 0; i < answer->len; i++) {
		uint8_t right = answer->bytes[i];

		for (size_t v = 0; v < sizeof(values); v++) {
			struct lt_socket_dump dump = { 0 };
			struct lt_sockets sockets;

			answer->bytes[i] = values[v];
			assert_true(take(&dump, family, protocol, answer->bytes, answer->len) <= 1);
			assert_true(dump.count <= 3);
			assert_int_equal(lt_socket_dump_finish(&dump, &sockets), 0);
			for (size_t s = 0; s < sockets.count; s++)
				assert_true(strlen(sockets.entries[s].local) <= 108 &&
					    strlen(sockets.entries[s].remote) <= 108);
			lt_sockets_free(&sockets);
		}
		answer->bytes[i] = right;
	}
}

static void test_hostile(void **state)
{
	struct answer inet = { .len = 0 }, local = { .len = 0 };

	for (uint32_t i = 1; i <= 3; i++) {
		put_inet(&inet, AF_INET6, 1, i, "::ffff:10.0.0.5", 80, "::1", 1024);
		put_unix(&local, SOCK_STREAM, 1, i, "\0name", 5, 4 - i);
	}
	check_cuts(&inet, AF_INET6, IPPROTO_TCP);
	check_cuts(&local, AF_UNIX, 0);
	check_flips(&inet, AF_INET6, IPPROTO_TCP);
	check_flips(&local, AF_UNIX, 0);
}

/* Messages too short for what they say to be, of other families, and attributes beyond their end. */
static void test_refused(void **state)
{
	static const int families[] = { AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, AF_PACKET };
	struct unix_diag_msg message = { .udiag_family = AF_UNIX, .udiag_ino = 7 };
	struct rtattr attribute = { .rta_type = UNIX_DIAG_NAME };
	static const uint16_t lengths[] = { 0, 1, 3, 9, 65535 };
	uint8_t payload[sizeof(message) + 8] = { 0 };
	struct lt_socket_dump dump = { 0 };
	struct answer answer;

	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
		int protocol = families[i] == AF_INET || families[i] == AF_INET6 ? IPPROTO_TCP : 0;
		uint8_t data[128] = { (uint8_t)families[i] };

		for (size_t len = 0; len <= 12; len++) {
			answer.len = 0;
			put_message(&answer, SOCK_DIAG_BY_FAMILY, 0, data, len);
			assert_int_equal(
				take(&dump, families[i], protocol, answer.bytes, answer.len),
				-EBADMSG);
		}
		data[0]++;
		answer.len = 0;
		put_message(&answer, SOCK_DIAG_BY_FAMILY, 0, data, sizeof(data));
		assert_int_equal(take(&dump, families[i], protocol, answer.bytes, answer.len),
				 -EBADMSG);
	}
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		attribute.rta_len = lengths[i];
		memcpy(payload, &message, sizeof(message));
		memcpy(payload + sizeof(message), &attribute, sizeof(attribute));
		answer.len = 0;
		put_message(&answer, SOCK_DIAG_BY_FAMILY, 0, payload, sizeof(payload));
		assert_int_equal(take(&dump, AF_UNIX, 0, answer.bytes, answer.len), -EBADMSG);
	}
	assert_int_equal(dump.count, 0);
	lt_socket_dump_free(&dump);
}

static void test_bound(void **state)
{
	struct lt_socket_dump dump = { 0 };
	struct answer answer = { .len = 0 };
	struct lt_sockets sockets;
	uint32_t told = 0;
	int more = 1;

	for (uint32_t i = 1; i <= 256; i++)
		put_inet(&answer, AF_INET, 10, i, "0.0.0.0", 80, "0.0.0.0", 0);
	for (; more == 1; told += 256) {
		assert_true(told <= LT_MAX_SOCKETS);
		more = lt_socket_dump_take(&dump, query_of(AF_INET, IPPROTO_TCP), answer.bytes,
					   answer.len);
	}
	assert_int_equal(more, 0);
	assert_int_equal(told, LT_MAX_SOCKETS + 256);
	assert_int_equal(dump.count, LT_MAX_SOCKETS);
	assert_int_equal(lt_socket_dump_finish(&dump, &sockets), 0);
	assert_true(sockets.cut);
	assert_int_equal(sockets.count, 256);
	lt_sockets_free(&sockets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_end_points),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_netlink_and_packet),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
