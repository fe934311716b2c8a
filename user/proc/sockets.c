// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/socket_dump.h"

#define NS_PER_S 1000000000ULL
/* Answers are at most 32 KiB (netlink_dump(), net/netlink/af_netlink.c). */
#define ANSWER_BYTES 65536

void lt_sockets_free(struct lt_sockets *sockets)
{
	free(sockets->entries);
	free(sockets->names);
	*sockets = (struct lt_sockets){ 0 };
}

static int compare_to_socket(const void *key, const void *element)
{
	const struct lt_socket *socket = element;
	uint64_t inode = *(const uint64_t *)key;

	return (inode > socket->inode) - (inode < socket->inode);
}

const struct lt_socket *lt_sockets_find(const struct lt_sockets *sockets, uint64_t inode)
{
	if (!sockets->count)
		return NULL;
	return bsearch(&inode, sockets->entries, sockets->count, sizeof(*sockets->entries),
		       compare_to_socket);
}

/*
 * Connected to the kernel: nobody else may send to it then, as the mighty of the target's namespace
 * otherwise could.
 */
static int open_diag(void)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	_lt_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (fd < 0)
		return errno == EPROTONOSUPPORT ? -ENOENT : -errno;
	if (connect(fd, (struct sockaddr *)&kernel, sizeof(kernel)))
		return -errno;
	return lt_take_fd(&fd);
}

struct visit {
	int ns_fd;
	int result; /* the socket, or -errno */
};

static void *open_diag_there(void *argument)
{
	struct visit *visit = argument;

	visit->result = setns(visit->ns_fd, CLONE_NEWNET) ? -errno : open_diag();
	return NULL;
}

/* A socket keeps its namespace; a thread that has been in another one just ends there. */
static int open_diag_in(int ns_fd)
{
	struct visit visit = { .ns_fd = ns_fd };
	sigset_t all, before;
	pthread_t thread;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&thread, NULL, open_diag_there, &visit);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return -err;
	pthread_join(thread, NULL);
	return visit.result;
}

static int open_diag_of(const struct lt_process *process)
{
	_lt_close_ int ns_fd = openat(process->proc_fd, "ns/net", O_RDONLY | O_CLOEXEC);
	struct stat theirs, ours;

	if (ns_fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	if (fstat(ns_fd, &theirs) || stat("/proc/thread-self/ns/net", &ours))
		return -errno;
	if (theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino)
		return open_diag();
	return open_diag_in(ns_fd);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int ask(int fd, const struct lt_socket_query *query)
{
	struct {
		struct nlmsghdr header;
		__typeof__(query->request) request;
		struct rtattr attribute; /* read by queries of AF_INET and AF_INET6 alone */
		uint32_t protocol;
	} message = {
		.header = {
			.nlmsg_len = sizeof(message),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.request = query->request,
		.attribute = {
			.rta_len = RTA_LENGTH(sizeof(message.protocol)),
			.rta_type = INET_DIAG_REQ_PROTOCOL,
		},
		.protocol = (uint32_t)query->protocol,
	};

	return send(fd, &message, sizeof(message), 0) < 0 ? -errno : 0;
}

/* A part of the answer is made when it is asked for (netlink_recvmsg()): so none waits for long. */
static int take_all(struct lt_socket_dump *dump, int fd, const struct lt_socket_query *query,
		    uint8_t *buffer, uint64_t end_ns)
{
	int more = 1;

	while (more == 1) {
		ssize_t len;

		if (now_ns() >= end_ns) {
			dump->cut = true;
			return 0;
		}
		len = recv(fd, buffer, ANSWER_BYTES, MSG_DONTWAIT | MSG_TRUNC);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return -errno;
		if (len > ANSWER_BYTES)
			return -EMSGSIZE;
		more = lt_socket_dump_take(dump, query, buffer, (size_t)len);
	}
	return more;
}

/* The kernel is without the module, or is older than the query. */
static bool is_unknown(int error)
{
	return error == -ENOENT || error == -EINVAL || error == -EOPNOTSUPP;
}

static int ask_all(struct lt_socket_dump *dump, int fd, uint64_t end_ns)
{
	_lt_free_ uint8_t *buffer = malloc(ANSWER_BYTES);
	bool answered = false;
	int err;

	if (!buffer)
		return -ENOMEM;
	for (size_t i = 0; i < LT_SOCKET_QUERIES; i++) {
		if (now_ns() >= end_ns || dump->count == LT_MAX_SOCKETS) {
			dump->cut = true;
			return 0;
		}
		err = ask(fd, &lt_socket_queries[i]);
		if (!err)
			err = take_all(dump, fd, &lt_socket_queries[i], buffer, end_ns);
		if (err && !is_unknown(err))
			return err;
		answered |= !err;
	}
	return answered ? 0 : -ENOENT;
}

int lt_sockets_read(const struct lt_process *process, uint64_t budget_ns,
		    struct lt_sockets *sockets)
{
	struct lt_socket_dump dump = { 0 };
	_lt_close_ int fd = open_diag_of(process);
	uint64_t end_ns;
	int err;

	if (fd < 0)
		return fd;
	if (__builtin_add_overflow(now_ns(), budget_ns, &end_ns))
		end_ns = UINT64_MAX;
	err = ask_all(&dump, fd, end_ns);
	if (err) {
		lt_socket_dump_free(&dump);
		return err;
	}
	return lt_socket_dump_finish(&dump, sockets);
}

/* The names in struct proto of each protocol in the kernel; that of IPv6 has "v6" behind it. */
static const struct {
	const char *name, *type;
} protocols[] = {
	{ "TCP", "TCP" },       { "MPTCP", "MPTCP" },
	{ "UDP", "UDP" },       { "UDP-Lite", "UDP-Lite" },
	{ "SCTP", "SCTP" },     { "RAW", "raw IP" },
	{ "PING", "ICMP" },     { "UNIX-STREAM", "unix stream" },
	{ "UNIX", "unix" },     { "NETLINK", "netlink" },
	{ "PACKET", "packet" }, { "AF_VSOCK", "vsock" },
	{ "ALG", "crypto" },
};

const char *lt_socket_type(const struct lt_process *process, uint32_t fd)
{
	char path[64], name[64] = "";
	_lt_close_ int pinned = -1;
	struct statx status;
	size_t len;

	/* By now it may be a file of a file system that the process serves, which would never answer. */
	snprintf(path, sizeof(path), "fd/%u", fd);
	pinned = openat(process->proc_fd, path, O_PATH | O_CLOEXEC);
	if (pinned < 0 ||
	    statx(pinned, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) ||
	    !S_ISSOCK(status.stx_mode))
		return NULL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pinned);
	/* sockfs_xattr_get(), net/socket.c */
	if (getxattr(path, "system.sockprotoname", name, sizeof(name) - 1) < 0)
		return NULL;
	len = strlen(name);
	if (len > 2 && !strcmp(name + len - 2, "v6"))
		name[len - 2] = '\0';
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (!strcmp(name, protocols[i].name))
			return protocols[i].type;
	return NULL;
}
