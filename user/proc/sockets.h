/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All sockets of a process's network namespace, as sock_diag(7) tells them: which is which by inode.
 * Bounded in time and number; what is beyond is missing (cut).  Missing as well: sockets of the internet and
 * of netlink that are neither bound nor connected (any more), and what has no file yet or any more (inode 0).
 */
#ifndef LT_PROC_SOCKETS_H
#define LT_PROC_SOCKETS_H

#include "proc/process.h"

struct lt_socket {
	uint64_t inode;
	const char *type;  /* "TCP", "UDP", "unix stream", ...; static */
	const char *state; /* "ESTABLISHED", "CLOSE_WAIT", "LISTEN" ...; "" none; static */
	/* "10.0.0.5:5432", "[::1]:80", a path, "@abstract", "" none; owned by the list.  IPv4 in IPv6
	   is told as IPv4.  Names of unix sockets may hold any byte but zero. */
	const char *local, *remote;
};

struct lt_sockets {
	struct lt_socket *entries; /* by ascending inode, which no two share */
	size_t count;
	char *names; /* behind the entries' names */
	bool cut;    /* there are or may be more */
};

#define LT_MAX_SOCKETS (1U << 20)

/*
 * 0, or -errno: the kernel cannot tell (-ENOENT: modules inet_diag, tcp_diag, udp_diag, unix_diag, which it
 * loads by itself), we may not ask (-EPERM, -EACCES), or the process is gone (-ESRCH).
 * The namespace is entered by a thread of its own: never by the caller, who so cannot fail to return.
 * Families that this kernel does not tell of are left out.
 */
int lt_sockets_read(const struct lt_process *process, uint64_t budget_ns,
		    struct lt_sockets *sockets);
/* NULL: none of this inode. */
const struct lt_socket *lt_sockets_find(const struct lt_sockets *sockets, uint64_t inode);
void lt_sockets_free(struct lt_sockets *sockets);

/*
 * For a socket that a list lacks: its type by the descriptor alone, as far as the kernel tells it; NULL: it does
 * not, or there is no such socket.  A "TCP" one that a whole list lacks was never bound or connected, or its
 * connection was refused or reset (state CLOSE).
 */
const char *lt_socket_type(const struct lt_process *process, uint32_t fd);

#endif
