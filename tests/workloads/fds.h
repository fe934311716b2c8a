/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the workloads about descriptors share: the functions of fd_makers.def, what these need, and
 * the truth: which function made each descriptor that is open.
 *
 *	{"truth":{"FUNCTION":{"line":n,"socket":[acquired,released],"fd":[acquired,released]},...},
 *	 "skipped":{"FUNCTION":errno,...}}
 *
 * What was there when the workload said that it is ready is made by "before".
 */
#ifndef TESTS_WORKLOADS_FDS_H
#define TESTS_WORKLOADS_FDS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/nsfs.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "truth.h"

#define FD_LIMIT      4096 /* numbers are below that */
#define MADE_MOST     256  /* by one call: SCM_RIGHTS carries 253 at most */
#define RIGHTS_MOST   253
#define UNUSED_NUMBER 999

#define SIGNALS_BYTES 8 /* of the kernel's sigset_t */
#define NEW_LISTENER  SECCOMP_FILTER_FLAG_NEW_LISTENER
#define CLOEXEC       MSG_CMSG_CLOEXEC
#define FSCONFIG_MAKE                                                                              \
	6 /* FSCONFIG_CMD_CREATE in linux/mount.h, which sys/mount.h does not suffer */
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#define PASS_PIDFD 76 /* SO_PASSPIDFD, SO_PEERPIDFD: asm-generic/socket.h, since Linux 6.5 */
#define PEER_PIDFD 77
#define SCM_PIDFD_ 4 /* linux/socket.h */

/* What calls need to succeed.  All is there before the attach, and stays. */
struct tools {
	int file, folder, socket, listener, signalfd, pidfd, namespace, terminal, mount, ring,
		bpf_map;
	int inbox, outbox; /* a pair; in the torture the outbox leads to another thread's inbox */
	int target, floor; /* numbers for dup2() and F_DUPFD */
	struct sockaddr_un address; /* of the listener */
	socklen_t address_len;
	struct mmsghdr in, two[2];
	struct iovec iovec;
	char byte, queue[16], buffer[4096], bpf_path[64];
	union {
		struct cmsghdr head; /* aligns */
		char bytes[CMSG_SPACE(RIGHTS_MOST * sizeof(int)) + 128];
	} control[2];
	sigset_t signals;
	struct open_how how;
	uint64_t clone[8]; /* struct clone_args in linux/sched.h, its first version */
	uint64_t landlock; /* struct landlock_ruleset_attr, likewise */
	struct io_uring_params uring, ring_params;
	char *ring_memory;
	struct io_uring_sqe *ring_entries;
	struct perf_event_attr perf;
	union bpf_attr map, program, pinned, element, info;
	uint32_t map_id[3], program_id[3];
	uint32_t element_key, element_value;
	struct bpf_map_info map_info;
	union {
		struct file_handle head;
		char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} handle;
	int unused[2];
};

static struct sock_filter allow_filter = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
static struct sock_fprog allow_all = { .len = 1, .filter = &allow_filter };

/* Functions that a maker calls and that make descriptors by other makers. */
static int pending(struct tools *t);
static int filesystem(struct tools *t);

static inline int one(int *made, long fd)
{
	made[0] = (int)fd;
	return fd < 0 ? -1 : 1;
}

static inline int stream_number(FILE *stream)
{
	return stream ? fileno(stream) : -1;
}

static inline int folder_number(DIR *folder)
{
	return folder ? dirfd(folder) : -1;
}

__attribute__((always_inline)) static inline long call_inline(long number, long a, long b, long c)
{
	register long fourth __asm__("r10") = 0;
	long result = number;

	__asm__ volatile("syscall"
			 : "+a"(result)
			 : "D"(a), "S"(b), "d"(c), "r"(fourth)
			 : "rcx", "r11", "memory");
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

/* The child is gone when this returns. */
static inline int forked(long pid)
{
	int status;

	if (!pid)
		_exit(0);
	if (pid < 0)
		return -1;
	MUST(waitpid((pid_t)pid, &status, __WALL) == pid && !status);
	return 1;
}

static inline uint64_t *clone_into(struct tools *t, int *made)
{
	memset(t->clone, 0, sizeof(t->clone));
	t->clone[0] = CLONE_PIDFD;
	t->clone[1] = (uintptr_t)made;
	t->clone[4] = SIGCHLD;
	return t->clone;
}

static inline void message_reset(struct tools *t, struct mmsghdr *message, unsigned int which,
				 size_t room)
{
	t->iovec = (struct iovec){ .iov_base = &t->byte, .iov_len = 1 };
	memset(&t->control[which], 0, sizeof(t->control[which]));
	memset(message, 0, sizeof(*message));
	message->msg_hdr.msg_iov = &t->iovec;
	message->msg_hdr.msg_iovlen = 1;
	message->msg_hdr.msg_control = room ? t->control[which].bytes : NULL;
	message->msg_hdr.msg_controllen = room;
}

/* Sends so many descriptors, files and sockets by turns; a full queue is the receiver's business. */
static inline void send_some(struct tools *t, unsigned int count)
{
	int fds[RIGHTS_MOST];

	if (!count)
		return;
	message_reset(t, &t->in, 0, CMSG_SPACE(count * sizeof(int)));
	for (unsigned int i = 0; i < count; i++)
		fds[i] = i % 2 ? t->socket : t->file;
	t->control[0].head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(count * sizeof(int)),
					       .cmsg_level = SOL_SOCKET,
					       .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&t->control[0].head), fds, count * sizeof(int));
	MUST(sendmsg(t->outbox, &t->in.msg_hdr, 0) == 1 || errno == EAGAIN);
}

/* The inbox, with so many descriptors on their way to it, and all ready to receive. */
static inline int sent(struct tools *t, unsigned int count)
{
	send_some(t, count);
	message_reset(t, &t->in, 0, sizeof(t->control[0]));
	return t->inbox;
}

/* The same, with room for some of them; the sender's credentials come first. */
static inline int sent_cut(struct tools *t, unsigned int count, unsigned int room)
{
	send_some(t, count);
	message_reset(t, &t->in, 0,
		      room ? CMSG_SPACE(sizeof(struct ucred)) + CMSG_LEN(room * sizeof(int)) : 0);
	return t->inbox;
}

static inline int sent_two(struct tools *t)
{
	send_some(t, 3);
	send_some(t, 1);
	for (unsigned int i = 0; i < 2; i++)
		message_reset(t, &t->two[i], i, sizeof(t->control[i]));
	return t->inbox;
}

static inline int sent_plain(struct tools *t)
{
	MUST(send(t->outbox, "x", 1, 0) == 1);
	return sent(t, 0);
}

/* With a descriptor of the sender's process. */
static inline int sent_by(struct tools *t)
{
	int yes = 1;

	if (setsockopt(t->inbox, SOL_SOCKET, PASS_PIDFD, &yes, sizeof(yes)))
		return -1;
	return sent_plain(t);
}

static inline int take_rights(struct mmsghdr *message, int *made)
{
	int count = 0;

	for (struct cmsghdr *head = CMSG_FIRSTHDR(&message->msg_hdr); head;
	     head = CMSG_NXTHDR(&message->msg_hdr, head)) {
		size_t bytes = head->cmsg_len - CMSG_LEN(0);

		if (head->cmsg_type != SCM_RIGHTS && head->cmsg_type != SCM_PIDFD_)
			continue;
		memcpy(made + count, CMSG_DATA(head), bytes);
		/* A pidfd may be an error instead. */
		if (head->cmsg_type == SCM_RIGHTS || made[count] >= 0)
			count += (int)(bytes / sizeof(int));
	}
	return count;
}

static inline int received(struct tools *t, int *made, long result)
{
	const int no = 0;

	setsockopt(t->inbox, SOL_SOCKET, PASS_PIDFD, &no,
		   sizeof(no)); /* older kernels have no such */
	return result < 0 ? -1 : take_rights(&t->in, made);
}

static inline int received_two(struct tools *t, int *made, long result)
{
	int count = 0;

	for (long i = 0; i < result; i++)
		count += take_rights(&t->two[i], made + count);
	return result < 0 ? -1 : count;
}

static inline int peer_pidfd(struct tools *t, int *made)
{
	socklen_t size = sizeof(made[0]);

	return getsockopt(t->inbox, SOL_SOCKET, PEER_PIDFD, made, &size) ? -1 : 1;
}

/* One request by io_uring, done when this returns. */
static inline int uring_do(struct tools *t, struct io_uring_sqe request)
{
	struct io_uring_params *params = &t->ring_params;
	_Atomic uint32_t *tail = (void *)(t->ring_memory + params->sq_off.tail);
	_Atomic uint32_t *head = (void *)(t->ring_memory + params->cq_off.head);
	uint32_t *order = (void *)(t->ring_memory + params->sq_off.array);
	struct io_uring_cqe *done = (void *)(t->ring_memory + params->cq_off.cqes);
	int result;

	if (!t->ring_memory) {
		errno = ENOSYS;
		return -1;
	}
	t->ring_entries[0] = request;
	order[*tail & (params->sq_entries - 1)] = 0;
	++*tail;
	MUST(syscall(SYS_io_uring_enter, t->ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
	result = done[*head & (params->cq_entries - 1)].res;
	++*head;
	errno = result < 0 ? -result : 0;
	return result < 0 ? -1 : result;
}

static inline int uring_open(struct tools *t)
{
	return uring_do(t, (struct io_uring_sqe){ .opcode = IORING_OP_OPENAT,
						  .fd = AT_FDCWD,
						  .addr = (uintptr_t) "/dev/null",
						  .open_flags = O_RDONLY });
}

#define FD_MANY(name, weight, count)                                                               \
	SITE static int name(struct tools *t, int *made)                                           \
	{                                                                                          \
		return count;                                                                      \
	}
#define FD_UNSEEN(name, count) FD_MANY(name, 0, count)
#include "fd_makers.def"
#undef FD_MANY
#undef FD_UNSEEN

#define FD_MANY(name, weight, count) { #name, __LINE__, weight, false, name },
#define FD_UNSEEN(name, count)       { #name, __LINE__, 0, true, name },
static const struct maker {
	const char *name;
	unsigned int line, weight;
	bool unseen;
	int (*make)(struct tools *t, int *made);
} makers[] = {
#include "fd_makers.def"
};
#undef FD_MANY
#undef FD_UNSEEN

#define MAKERS (sizeof(makers) / sizeof(makers[0]))

#define FD_MANY(name, weight, count) MAKER_##name,
#define FD_UNSEEN(name, count)       MAKER_##name,
enum {
#include "fd_makers.def"
};
#undef FD_MANY
#undef FD_UNSEEN

enum fd_kind { FD_SOCKET, FD_FILE, FD_KINDS };

#define BEFORE MAKERS /* who made those that were there at the beginning */

static _Atomic uint64_t acquired[MAKERS + 1][FD_KINDS], released[MAKERS + 1][FD_KINDS];
static _Atomic uint16_t owners[FD_LIMIT]; /* 0: not open; else 1 + maker * FD_KINDS + kind */
static int skipped[MAKERS];               /* errno of those that the kernel refuses */

/* Others may close or replace what one has just made: it is counted, as a file, and that is all. */
static bool racing;

static inline void forget(int fd)
{
	unsigned int owner = atomic_exchange(&owners[fd], 0);

	if (owner)
		released[(owner - 1) / FD_KINDS][(owner - 1) % FD_KINDS]++;
}

static inline void remember(unsigned int maker, int fd)
{
	enum fd_kind kind = FD_FILE;
	struct stat status;

	if (racing) {
		acquired[maker][FD_FILE]++;
		return;
	}
	MUST(fd < FD_LIMIT && !fstat(fd, &status));
	if (S_ISSOCK(status.st_mode))
		kind = FD_SOCKET;
	forget(fd); /* dup2() */
	acquired[maker][kind]++;
	owners[fd] = (uint16_t)(1 + maker * FD_KINDS + kind);
}

static inline int make(struct tools *t, unsigned int maker, int *made)
{
	int count = makers[maker].make(t, made);

	for (int i = 0; i < count; i++)
		remember(maker, made[i]);
	return count;
}

static inline void drop(int fd)
{
	forget(fd); /* before somebody else gets that number */
	MUST(!close(fd) || racing);
}

/* What is open now is from before. */
static inline void remember_all(void)
{
	for (int fd = 0; fd < FD_LIMIT; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			remember(BEFORE, fd);
}

/* The listener, and a connection that waits for it. */
SITE static int pending(struct tools *t)
{
	int made[MADE_MOST];

	if (make(t, MAKER_make_client, made) != 1)
		return t->listener;
	MUST(!connect(made[0], (struct sockaddr *)&t->address, t->address_len) || errno == EAGAIN ||
	     racing);
	drop(made[0]);
	return t->listener;
}

/* What describes a file system to be mounted. */
SITE static int filesystem(struct tools *t)
{
	int made[MADE_MOST];

	if (make(t, MAKER_make_fsopen, made) != 1)
		return -1;
	MUST(!syscall(SYS_fsconfig, made[0], FSCONFIG_MAKE, NULL, NULL, 0));
	return made[0];
}

static inline uint32_t bpf_id(int fd)
{
	uint32_t info[8] = { 0 }; /* struct bpf_map_info and bpf_prog_info: type, id */
	union bpf_attr ask = { .info = { .bpf_fd = (uint32_t)fd,
					 .info_len = sizeof(info),
					 .info = (uintptr_t)info } };

	return syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &ask, sizeof(ask)) ? 0 : info[1];
}

/* A new file system of this type, mounted nowhere. */
static inline int mount_of(const char *type)
{
	int context = (int)syscall(SYS_fsopen, type, 1), mounted;

	MUST(context >= 0 && !syscall(SYS_fsconfig, context, FSCONFIG_MAKE, NULL, NULL, 0));
	mounted = (int)syscall(SYS_fsmount, context, 1, 0);
	MUST(mounted >= 0 && !close(context));
	return mounted;
}

/* A map, a program, and the map by a name in a file system that nobody else sees. */
static inline void tools_bpf(struct tools *t)
{
	static const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int program, mounted = mount_of("bpf");

	t->map.map_type = BPF_MAP_TYPE_ARRAY;
	t->map.key_size = t->map.value_size = 4;
	t->map.max_entries = 1;
	t->program.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	t->program.insn_cnt = 2;
	t->program.insns = (uintptr_t)nothing;
	t->program.license = (uintptr_t) "GPL";
	/* Before 5.11 maps count as locked memory of the user, whose they may be, until they are freed. */
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	t->bpf_map = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &t->map, sizeof(t->map));
	program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &t->program, sizeof(t->program));
	MUST(t->bpf_map >= 0 && program >= 0);
	t->map_id[0] = bpf_id(t->bpf_map);
	t->program_id[0] = bpf_id(program);
	t->element.map_fd = (uint32_t)t->bpf_map;
	t->element.key = (uintptr_t)&t->element_key;
	t->element.value = (uintptr_t)&t->element_value;
	t->info.info.bpf_fd = (uint32_t)t->bpf_map;
	t->info.info.info_len = sizeof(t->map_info);
	t->info.info.info = (uintptr_t)&t->map_info;
	snprintf(t->bpf_path, sizeof(t->bpf_path), "/proc/self/fd/%d/map", mounted);
	t->pinned.pathname = (uintptr_t)t->bpf_path;
	t->pinned.bpf_fd = (uint32_t)t->bpf_map;
	MUST(!syscall(SYS_bpf, BPF_OBJ_PIN, &t->pinned, sizeof(t->pinned)));
	t->pinned.bpf_fd = 0;
}

static inline void tools_ring(struct tools *t)
{
	struct io_uring_params *params = &t->ring_params;

	t->ring = (int)syscall(SYS_io_uring_setup, 1, params);
	if (t->ring < 0)
		return; /* the maker will say so */
	MUST(params->features & IORING_FEAT_SINGLE_MMAP);
	t->ring_memory = mmap(NULL, params->cq_off.cqes + 64, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_POPULATE, t->ring, IORING_OFF_SQ_RING);
	t->ring_entries = mmap(NULL, sizeof(*t->ring_entries), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_POPULATE, t->ring, IORING_OFF_SQES);
	MUST(t->ring_memory != MAP_FAILED && (void *)t->ring_entries != MAP_FAILED);
}

static inline void tools_sockets(struct tools *t)
{
	int pair[2], yes = 1;

	t->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	t->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	t->address.sun_family = AF_UNIX;
	t->address_len = sizeof(t->address);
	MUST(t->socket >= 0 && t->listener >= 0);
	/* A name of the kernel's choice, in no folder. */
	MUST(!bind(t->listener, (struct sockaddr *)&t->address, sizeof(sa_family_t)));
	MUST(!listen(t->listener, 64));
	MUST(!getsockname(t->listener, (struct sockaddr *)&t->address, &t->address_len));
	MUST(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair));
	t->inbox = pair[0];
	t->outbox = pair[1];
	MUST(!setsockopt(t->inbox, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)));
}

/* Of the whole process: limits, and queues of its own that end with it. */
static inline void tools_prepare(void)
{
	struct rlimit limit;
	struct mq_attr small = { .mq_maxmsg = 1, .mq_msgsize = 1 };

	MUST(!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_max >= FD_LIMIT);
	limit.rlim_cur = FD_LIMIT;
	MUST(!setrlimit(RLIMIT_NOFILE, &limit));
	MUST(!unshare(CLONE_NEWIPC));
	MUST(mq_open("/queue", O_RDWR | O_CREAT, 0600, &small) >= 0);
}

static inline void tools_open(struct tools *t)
{
	int mount_id;

	memset(t, 0, sizeof(*t));
	tools_sockets(t);
	tools_bpf(t);
	tools_ring(t);
	t->file = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	t->folder = open("/proc/self", O_DIRECTORY | O_CLOEXEC);
	t->mount = openat(mount_of("tmpfs"), ".", O_DIRECTORY | O_CLOEXEC);
	t->namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	t->terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	t->pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	sigemptyset(&t->signals);
	t->signalfd = signalfd(-1, &t->signals, SFD_CLOEXEC);
	MUST(t->file >= 0 && t->folder >= 0 && t->mount >= 0 && t->namespace >= 0);
	MUST(t->terminal >= 0 && !unlockpt(t->terminal) && t->pidfd >= 0 && t->signalfd >= 0);
	t->handle.head.handle_bytes = MAX_HANDLE_SZ;
	MUST(!name_to_handle_at(t->mount, "", &t->handle.head, &mount_id, AT_EMPTY_PATH));
	t->perf = (struct perf_event_attr){ .type = PERF_TYPE_SOFTWARE,
					    .config = PERF_COUNT_SW_DUMMY,
					    .size = sizeof(t->perf),
					    .disabled = 1 };
	t->how.flags = O_RDONLY | O_CLOEXEC;
	t->landlock = 1;
	strcpy(t->queue, "/queue");
}

static inline void fd_truth_print(void)
{
	static char text[32768];
	size_t used = 0;

	used += (size_t)snprintf(text, sizeof(text), "{\"truth\":{");
	for (size_t i = 0; i <= MAKERS; i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used,
			"%s\"%s\":{\"line\":%u,\"socket\":[%llu,%llu],\"fd\":[%llu,%llu]}",
			i ? "," : "", i < MAKERS ? makers[i].name : "before",
			i < MAKERS ? makers[i].line : 0, (unsigned long long)acquired[i][FD_SOCKET],
			(unsigned long long)released[i][FD_SOCKET],
			(unsigned long long)acquired[i][FD_FILE],
			(unsigned long long)released[i][FD_FILE]);
	used += (size_t)snprintf(text + used, sizeof(text) - used, "},\"skipped\":{");
	for (size_t i = 0, any = 0; i < MAKERS; i++)
		if (skipped[i])
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s\"%s\":%d",
						 any++ ? "," : "", makers[i].name, skipped[i]);
	MUST(used + 4 < sizeof(text));
	memcpy(text + used, "}}\n", 4);
	say(text);
}

#endif
