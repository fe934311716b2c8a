// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Real sockets, of this process and of children in network namespaces of their own (root's), where every
 * port is free.  The kernel's answers as bytes: test_socket_dump.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proc/sockets.h"

#define LONG_NS   600000000000ULL
#define MANY      5000
#define UNIX_PATH "leaktrace test.sock"
#define MAX_FDS   MANY

/* What a child tells of the sockets it made, and waits. */
struct scene {
	int fds[MAX_FDS];
	int count;
	char directory[64];
};

struct expected {
	const char *type, *state, *local, *remote;
};

struct world {
	pid_t pid;
	struct scene *scene;
	struct lt_process process;
	struct lt_sockets sockets;
};

/* ---- in the child ---- */

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition,         \
				strerror(errno));                                                  \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static void enter_namespace(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	MUST(!unshare(CLONE_NEWNET));
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	MUST(fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &request));
	close(fd);
}

static int keep(struct scene *scene, int fd)
{
	MUST(fd >= 0 && scene->count < MAX_FDS);
	scene->fds[scene->count++] = fd;
	return fd;
}

/* "10.0.0.1", "::1": bound, and connected if there is a remote end. */
static int end_point(int type, const char *local, int local_port, const char *remote,
		     int remote_port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	bool six = strchr(local, ':');
	struct sockaddr *address = six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
	socklen_t len = six ? sizeof(in6) : sizeof(in);
	int fd = socket(address->sa_family, type, 0), on = 1;

	MUST(fd >= 0);
	MUST(!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
	MUST(inet_pton(address->sa_family, local,
		       six ? (void *)&in6.sin6_addr : (void *)&in.sin_addr) == 1);
	in6.sin6_port = in.sin_port = htons((uint16_t)local_port);
	MUST(!bind(fd, address, len));
	if (!remote)
		return fd;
	MUST(inet_pton(address->sa_family, remote,
		       six ? (void *)&in6.sin6_addr : (void *)&in.sin_addr) == 1);
	in6.sin6_port = in.sin_port = htons((uint16_t)remote_port);
	MUST(!connect(fd, address, len) || errno == EINPROGRESS);
	return fd;
}

static int listener(const char *local, int port, int backlog)
{
	int fd = end_point(SOCK_STREAM, local, port, NULL, 0);

	MUST(!listen(fd, backlog));
	return fd;
}

static void make_internet(struct scene *scene)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	struct pollfd full = { .events = POLLIN };
	int fd;

	keep(scene, listener("0.0.0.0", 80, 16));
	keep(scene, end_point(SOCK_STREAM, "127.0.0.2", 5000, "127.0.0.1", 80));
	keep(scene, accept(scene->fds[0], NULL, NULL));
	/* Ended by one side alone. */
	fd = keep(scene, end_point(SOCK_STREAM, "127.0.0.2", 5001, "127.0.0.1", 80));
	keep(scene, accept(scene->fds[0], NULL, NULL));
	MUST(!shutdown(fd, SHUT_WR));
	/* Of IPv6, and IPv4 in IPv6. */
	keep(scene, listener("::", 81, 16));
	keep(scene, end_point(SOCK_STREAM, "::1", 5002, "::1", 81));
	keep(scene, accept(scene->fds[5], NULL, NULL));
	keep(scene, end_point(SOCK_STREAM, "127.0.0.2", 5003, "127.0.0.1", 81));
	keep(scene, accept(scene->fds[5], NULL, NULL));
	/* Datagrams. */
	keep(scene, end_point(SOCK_DGRAM, "0.0.0.0", 53, NULL, 0));
	keep(scene, end_point(SOCK_DGRAM, "127.0.0.1", 5004, "127.0.0.2", 53));
	keep(scene, end_point(SOCK_DGRAM, "::", 54, NULL, 0));
	keep(scene, end_point(SOCK_DGRAM, "::1", 5005, "::1", 54));
	/* A queue for one: once it is full, SYNs are dropped (tcp_conn_request()). */
	full.fd = keep(scene, listener("127.0.0.1", 82, 0));
	keep(scene, end_point(SOCK_STREAM, "127.0.0.2", 5006, "127.0.0.1", 82));
	MUST(poll(&full, 1, -1) == 1);
	keep(scene, end_point(SOCK_STREAM | SOCK_NONBLOCK, "127.0.0.2", 5007, "127.0.0.1", 82));
	/* In TIME_WAIT, without a file. */
	fd = end_point(SOCK_STREAM, "127.0.0.2", 5008, "127.0.0.1", 80);
	keep(scene, accept(scene->fds[0], NULL, NULL));
	close(fd);
	close(scene->fds[--scene->count]);
	fd = keep(scene, socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT));
	MUST(!bind(fd, (struct sockaddr *)&any, sizeof(any)));
	keep(scene, socket(AF_PACKET, SOCK_RAW, 0));
}

static const struct expected internet[] = {
	{ "TCP", "LISTEN", "0.0.0.0:80", "" },
	{ "TCP", "ESTABLISHED", "127.0.0.2:5000", "127.0.0.1:80" },
	{ "TCP", "ESTABLISHED", "127.0.0.1:80", "127.0.0.2:5000" },
	{ "TCP", "FIN_WAIT2", "127.0.0.2:5001", "127.0.0.1:80" },
	{ "TCP", "CLOSE_WAIT", "127.0.0.1:80", "127.0.0.2:5001" },
	{ "TCP", "LISTEN", "[::]:81", "" },
	{ "TCP", "ESTABLISHED", "[::1]:5002", "[::1]:81" },
	{ "TCP", "ESTABLISHED", "[::1]:81", "[::1]:5002" },
	{ "TCP", "ESTABLISHED", "127.0.0.2:5003", "127.0.0.1:81" },
	{ "TCP", "ESTABLISHED", "127.0.0.1:81", "127.0.0.2:5003" },
	{ "UDP", "", "0.0.0.0:53", "" },
	{ "UDP", "", "127.0.0.1:5004", "127.0.0.2:53" },
	{ "UDP", "", "[::]:54", "" },
	{ "UDP", "", "[::1]:5005", "[::1]:54" },
	{ "TCP", "LISTEN", "127.0.0.1:82", "" },
	{ "TCP", "ESTABLISHED", "127.0.0.2:5006", "127.0.0.1:82" },
	{ "TCP", "SYN_SENT", "127.0.0.2:5007", "127.0.0.1:82" },
	{ "netlink", "", "kobject_uevent", "" },
	{ "packet", "", "", "" },
};

static int unix_end(int type, const char *local, size_t local_len, const char *remote,
		    size_t remote_len)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	MUST(fd >= 0);
	if (local) {
		memcpy(address.sun_path, local, local_len);
		MUST(!bind(fd, (struct sockaddr *)&address,
			   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + local_len)));
	}
	if (remote) {
		memset(address.sun_path, 0, sizeof(address.sun_path));
		memcpy(address.sun_path, remote, remote_len);
		MUST(!connect(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + remote_len)));
	}
	return fd;
}

static void make_unix(struct scene *scene)
{
	int pair[2];

	MUST(!chdir(scene->directory));
	keep(scene, unix_end(SOCK_STREAM, UNIX_PATH, strlen(UNIX_PATH) + 1, NULL, 0));
	MUST(!listen(scene->fds[0], 4));
	keep(scene, unix_end(SOCK_STREAM, NULL, 0, UNIX_PATH, strlen(UNIX_PATH)));
	keep(scene, accept(scene->fds[0], NULL, NULL));
	keep(scene, unix_end(SOCK_SEQPACKET, "\0lt\0x", 5, NULL, 0));
	MUST(!listen(scene->fds[3], 4));
	keep(scene, unix_end(SOCK_SEQPACKET, "\0me", 3, "\0lt\0x", 5));
	keep(scene, accept(scene->fds[3], NULL, NULL));
	keep(scene, unix_end(SOCK_DGRAM, "\0log", 4, NULL, 0));
	keep(scene, unix_end(SOCK_DGRAM, NULL, 0, "\0log", 4));
	MUST(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	keep(scene, pair[0]);
	close(pair[1]);
	keep(scene, socket(AF_UNIX, SOCK_STREAM, 0));
}

static const struct expected unix_sockets[] = {
	{ "unix stream", "LISTEN", UNIX_PATH, "" },
	{ "unix stream", "ESTABLISHED", "", UNIX_PATH },
	{ "unix stream", "ESTABLISHED", UNIX_PATH, "" },
	{ "unix seqpacket", "LISTEN", "@lt@x", "" },
	{ "unix seqpacket", "ESTABLISHED", "@me", "@lt@x" },
	{ "unix seqpacket", "ESTABLISHED", "@lt@x", "@me" },
	{ "unix datagram", "", "@log", "" },
	{ "unix datagram", "", "", "@log" },
	{ "unix stream", "ESTABLISHED", "", "" },
	{ "unix stream", "", "", "" },
};

static void make_many(struct scene *scene)
{
	struct rlimit limit = { MANY + 100, MANY + 100 };
	int server;

	MUST(!setrlimit(RLIMIT_NOFILE, &limit));
	server = listener("127.0.0.1", 80, 16);
	while (scene->count < MANY) {
		keep(scene,
		     end_point(SOCK_STREAM, "127.0.0.2", 1024 + scene->count, "127.0.0.1", 80));
		keep(scene, accept(server, NULL, NULL));
	}
}

/* ---- in the test ---- */

static void start(struct world *world, void (*make)(struct scene *scene))
{
	int ready[2];
	char byte;

	assert_int_equal(geteuid(), 0); /* who alone may enter namespaces */
	*world = (struct world){ 0 };
	world->scene = mmap(NULL, sizeof(*world->scene), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(world->scene != MAP_FAILED);
	strcpy(world->scene->directory, "/tmp/lt-sockets-XXXXXX");
	assert_non_null(mkdtemp(world->scene->directory));
	assert_int_equal(pipe(ready), 0);
	world->pid = fork();
	assert_true(world->pid >= 0);
	if (!world->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		enter_namespace();
		make(world->scene);
		MUST(write(ready[1], "", 1) == 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	assert_int_equal(lt_process_open(world->pid, &world->process), 0);
}

static void end_process(struct world *world)
{
	kill(world->pid, SIGKILL);
	assert_int_equal(waitpid(world->pid, NULL, 0), world->pid);
}

static void stop(struct world *world)
{
	char path[128];

	lt_sockets_free(&world->sockets);
	lt_process_close(&world->process);
	snprintf(path, sizeof(path), "%s/" UNIX_PATH, world->scene->directory);
	unlink(path);
	assert_int_equal(rmdir(world->scene->directory), 0);
	munmap(world->scene, sizeof(*world->scene));
}

static uint64_t own_namespace(void)
{
	struct stat ns;

	assert_int_equal(stat("/proc/thread-self/ns/net", &ns), 0);
	return ns.st_ino;
}

static uint64_t inode_of(const struct lt_process *process, int fd)
{
	struct stat stat;
	char name[32];

	snprintf(name, sizeof(name), "fd/%d", fd);
	assert_int_equal(fstatat(process->proc_fd, name, &stat, 0), 0);
	return stat.st_ino;
}

static void check_order(const struct lt_sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++) {
		assert_true(sockets->entries[i].inode > (i ? sockets->entries[i - 1].inode : 0));
		assert_ptr_equal(lt_sockets_find(sockets, sockets->entries[i].inode),
				 &sockets->entries[i]);
	}
	assert_null(lt_sockets_find(sockets, 0));
	assert_null(lt_sockets_find(sockets, UINT64_MAX));
}

static void look(struct world *world)
{
	uint64_t here = own_namespace();

	lt_sockets_free(&world->sockets);
	assert_int_equal(lt_sockets_read(&world->process, LONG_NS, &world->sockets), 0);
	assert_int_equal(own_namespace(), here);
	assert_false(world->sockets.cut);
	check_order(&world->sockets);
}

static const struct lt_socket *socket_at(const struct world *world, int index)
{
	return lt_sockets_find(&world->sockets,
			       inode_of(&world->process, world->scene->fds[index]));
}

/* The end of a half-closed connection may still be under way. */
static void look_until(struct world *world, int index, const char *state)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (int tries = 0; tries < 60000; tries++) {
		look(world);
		assert_non_null(socket_at(world, index));
		if (!strcmp(socket_at(world, index)->state, state))
			return;
		nanosleep(&pause, NULL);
	}
}

static void check_all(const struct world *world, const struct expected *expected, size_t count)
{
	assert_int_equal(world->scene->count, count);
	for (int i = 0; i < world->scene->count; i++, expected++) {
		const struct lt_socket *socket = socket_at(world, i);

		if (!socket)
			fail_msg("%s (%d) is missing", expected->local, i);
		assert_string_equal(socket->local, expected->local);
		assert_string_equal(socket->remote, expected->remote);
		assert_string_equal(socket->type, expected->type);
		assert_string_equal(socket->state, expected->state);
	}
}

static void test_internet(void **state)
{
	struct world world;

	start(&world, make_internet);
	look_until(&world, 3, "FIN_WAIT2");
	check_all(&world, internet, sizeof(internet) / sizeof(*internet));
	for (size_t i = 0; i < world.sockets.count; i++)
		assert_string_not_equal(world.sockets.entries[i].state, "TIME_WAIT");
	end_process(&world);
	stop(&world);
}

static void test_unix(void **state)
{
	struct world world;

	start(&world, make_unix);
	look(&world);
	check_all(&world, unix_sockets, sizeof(unix_sockets) / sizeof(*unix_sockets));
	end_process(&world);
	stop(&world);
}

static void test_many(void **state)
{
	struct world world;
	char client[32];

	start(&world, make_many);
	look(&world);
	assert_true(world.sockets.count > MANY);
	for (int i = 0; i < MANY; i += 2) {
		const struct lt_socket *one = socket_at(&world, i),
				       *other = socket_at(&world, i + 1);

		snprintf(client, sizeof(client), "127.0.0.2:%d", 1024 + i);
		assert_non_null(one);
		assert_non_null(other);
		assert_string_equal(one->local, client);
		assert_string_equal(one->remote, "127.0.0.1:80");
		assert_string_equal(other->local, "127.0.0.1:80");
		assert_string_equal(other->remote, client);
	}
	end_process(&world);
	stop(&world);
}

/* Our own namespace: nothing is entered. */
static void test_here(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	_lt_close_ int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(address);
	const struct lt_socket *socket;
	struct lt_process process;
	struct lt_sockets sockets;
	char expected[32];

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	snprintf(expected, sizeof(expected), "127.0.0.1:%u", ntohs(address.sin_port));
	assert_int_equal(lt_process_open(getpid(), &process), 0);
	assert_int_equal(lt_sockets_read(&process, LONG_NS, &sockets), 0);
	assert_false(sockets.cut);
	check_order(&sockets);
	socket = lt_sockets_find(&sockets, inode_of(&process, fd));
	assert_non_null(socket);
	assert_string_equal(socket->type, "TCP");
	assert_string_equal(socket->state, "LISTEN");
	assert_string_equal(socket->local, expected);
	assert_string_equal(socket->remote, "");
	lt_sockets_free(&sockets);
	assert_int_equal(sockets.count, 0);
	lt_process_close(&process);
}

/* Those that no list has, and what is no socket. */
static void test_type(void **state)
{
	static const struct {
		int family, type, protocol;
		const char *expected;
	} types[] = {
		{ AF_INET, SOCK_STREAM, 0, "TCP" },
		{ AF_INET6, SOCK_STREAM, 0, "TCP" },
		{ AF_INET, SOCK_DGRAM, 0, "UDP" },
		{ AF_INET6, SOCK_DGRAM, 0, "UDP" },
		{ AF_INET, SOCK_RAW, IPPROTO_ICMP, "raw IP" },
		{ AF_PACKET, SOCK_RAW, 0, "packet" },
		{ AF_NETLINK, SOCK_RAW, 0, "netlink" },
	};
	struct lt_process process;
	struct lt_sockets sockets;
	int ends[2];

	assert_int_equal(lt_process_open(getpid(), &process), 0);
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		_lt_close_ int fd = socket(types[i].family, types[i].type, types[i].protocol);
		const char *type;

		assert_true(fd >= 0);
		type = lt_socket_type(&process, (uint32_t)fd);
		assert_non_null(type);
		assert_string_equal(type, types[i].expected);
		if (types[i].expected[0] != 'T')
			continue;
		assert_int_equal(lt_sockets_read(&process, LONG_NS, &sockets), 0);
		assert_null(lt_sockets_find(&sockets, inode_of(&process, fd)));
		lt_sockets_free(&sockets);
	}
	assert_int_equal(pipe(ends), 0);
	assert_null(lt_socket_type(&process, (uint32_t)ends[0]));
	close(ends[0]);
	close(ends[1]);
	assert_null(lt_socket_type(&process, (uint32_t)ends[0]));
	assert_null(lt_socket_type(&process, UINT32_MAX));
	lt_process_close(&process);
}

static void test_no_time(void **state)
{
	struct lt_process process;
	struct lt_sockets sockets;

	assert_int_equal(lt_process_open(getpid(), &process), 0);
	assert_int_equal(lt_sockets_read(&process, 0, &sockets), 0);
	assert_true(sockets.cut);
	assert_int_equal(sockets.count, 0);
	assert_null(lt_sockets_find(&sockets, 1));
	lt_sockets_free(&sockets);
	/* All time there is: no overflow. */
	assert_int_equal(lt_sockets_read(&process, UINT64_MAX, &sockets), 0);
	assert_false(sockets.cut);
	lt_sockets_free(&sockets);
	lt_process_close(&process);
}

static void make_nothing(struct scene *scene)
{
	scene->count = 0;
}

static void test_gone(void **state)
{
	struct lt_sockets untouched = { .count = 7 };
	struct world world;
	siginfo_t info;

	start(&world, make_nothing);
	kill(world.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)world.pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(lt_sockets_read(&world.process, LONG_NS, &untouched), -ESRCH);
	end_process(&world);
	assert_int_equal(lt_sockets_read(&world.process, LONG_NS, &untouched), -ESRCH);
	assert_int_equal(untouched.count, 7);
	stop(&world);
}

/* Nobody may neither see root's namespaces nor enter them. */
static void test_not_permitted(void **state)
{
	struct lt_sockets sockets;
	struct world world;
	int status, err;
	pid_t nobody;

	start(&world, make_nothing);
	nobody = fork();
	assert_true(nobody >= 0);
	if (!nobody) {
		MUST(!setgid(65534) && !setuid(65534));
		err = lt_sockets_read(&world.process, LONG_NS, &sockets);
		_exit(err == -EACCES || err == -EPERM ? 0 : 1);
	}
	assert_int_equal(waitpid(nobody, &status, 0), nobody);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	end_process(&world);
	stop(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_internet), cmocka_unit_test(test_unix),
		cmocka_unit_test(test_many),     cmocka_unit_test(test_here),
		cmocka_unit_test(test_type),     cmocka_unit_test(test_no_time),
		cmocka_unit_test(test_gone),     cmocka_unit_test(test_not_permitted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
