/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A child serves the files of "served", on the loopback interface, and tells each request through a
 * pipe.
 */
#include "unit/symbol/program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "symbol/debuginfod.h"

#define PATIENCE_S 120 /* a test that hangs fails */

static struct server {
	pid_t pid;
	int requests; /* a byte for each */
	char url[64];
} server;

static const uint8_t some_id[20] = "01234567890123456789", other_id[20] = "abcdefghijabcdefghij";

static void answer(int connection, const char *dir, bool silent, int requests)
{
	char request[4096] = "", id[256], path[512], block[4096];
	size_t len = 0;
	struct stat status;
	ssize_t count;

	while (!strstr(request, "\r\n\r\n")) {
		count = read(connection, request + len, sizeof(request) - 1 - len);
		if (count <= 0)
			return;
		len += (size_t)count;
		request[len] = '\0';
	}
	if (write(requests, "x", 1) != 1)
		return;
	while (silent)
		pause();
	if (sscanf(request, "GET /buildid/%255[0-9a-f]/debuginfo HTTP", id) != 1)
		id[0] = '\0';
	snprintf(path, sizeof(path), "%s/served/%s", dir, id);
	_lt_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode)) {
		dprintf(connection, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
		return;
	}
	dprintf(connection, "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\n\r\n",
		(long long)status.st_size);
	while ((count = read(fd, block, sizeof(block))) > 0)
		if (write(connection, block, (size_t)count) != count)
			return;
}

static void serve(int listener, const char *dir, bool silent, int requests)
{
	for (;;) {
		int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (connection < 0)
			_exit(1);
		answer(connection, dir, silent, requests);
		close(connection);
	}
}

static void start_server(const struct fixture *fixture, bool silent)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), ends[2];
	socklen_t len = sizeof(address);

	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	server.pid = fork();
	assert_true(server.pid >= 0);
	if (!server.pid) {
		alarm(PATIENCE_S);
		serve(listener, fixture->dir, silent, ends[1]);
	}
	close(listener);
	close(ends[1]);
	server.requests = ends[0];
	snprintf(server.url, sizeof(server.url), "http://127.0.0.1:%d", ntohs(address.sin_port));
}

static void stop_server(void)
{
	if (!server.pid)
		return;
	kill(server.pid, SIGKILL);
	waitpid(server.pid, NULL, 0);
	close(server.requests);
	server.pid = 0;
}

/* Requests since the last question; all of them were told before they were answered. */
static unsigned requests(void)
{
	struct pollfd wait = { .fd = server.requests, .events = POLLIN };
	unsigned count = 0;
	char byte;

	while (poll(&wait, 1, 0) == 1 && read(server.requests, &byte, 1) == 1)
		count++;
	return count;
}

static int setup_server(void **state)
{
	static const char *const unset[] = {
		"DEBUGINFOD_URLS",     "DEBUGINFOD_TIMEOUT",
		"DEBUGINFOD_MAXTIME",  "DEBUGINFOD_RETRY_LIMIT",
		"DEBUGINFOD_MAXSIZE",  "DEBUGINFOD_VERBOSE",
		"DEBUGINFOD_PROGRESS", "http_proxy",
		"all_proxy",           "ALL_PROXY",
	};
	const struct fixture *fixture;
	char path[128];
	int error = setup(state);

	fixture = *state;
	alarm(PATIENCE_S);
	for (size_t i = 0; i < sizeof(unset) / sizeof(*unset); i++)
		unsetenv(unset[i]);
	snprintf(path, sizeof(path), "%s/cache", fixture->dir);
	setenv("DEBUGINFOD_CACHE_PATH", path, 1);
	shell(fixture, "mkdir served");
	return error;
}

static int teardown_server(void **state)
{
	alarm(0);
	stop_server();
	return teardown(state);
}

/* "prog" without debug information, which is served. */
static void make_program(const struct fixture *fixture)
{
	shell(fixture, "rm -f prog && gcc -g -O2 -Wl,--build-id=sha1 -o prog $PWD/main.c && "
		       "objcopy --only-keep-debug prog "
		       "served/$(readelf -n prog | sed -n 's/.*Build ID: //p') && objcopy -S prog");
}

static void set_server(const struct fixture *fixture, const char *urls)
{
	struct lt_buf error = { 0 };

	assert_int_equal(lt_resolver_set_debuginfod(fixture->resolver, urls, &error), 0);
	assert_null(error.data);
}

static void check_unknown(const struct fixture *fixture)
{
	struct run run;

	assert_int_equal(lookup_program(fixture, &run).frame_count, 0);
}

static void test_fetch(void **state)
{
	make_program(*state);
	start_server(*state, false);
	set_server(*state, server.url);
	check_full(*state);
	assert_int_equal(requests(), 1);
	/* Another inode; the file is in the library's cache. */
	shell(*state, "cp prog prog2 && mv prog2 prog");
	check_full(*state);
	assert_int_equal(requests(), 0);
}

static void test_servers_of_the_environment(void **state)
{
	make_program(*state);
	start_server(*state, false);
	setenv("DEBUGINFOD_URLS", server.url, 1);
	set_server(*state, "");
	check_full(*state);
	assert_int_equal(requests(), 1);
}

static void test_never_without_the_option(void **state)
{
	make_program(*state);
	start_server(*state, false);
	setenv("DEBUGINFOD_URLS", server.url, 1);
	check_unknown(*state);
	assert_int_equal(requests(), 0);
}

static void test_local_files_first(void **state)
{
	shell(*state,
	      "gcc -g -O2 -o prog $PWD/main.c && objcopy --only-keep-debug prog prog.debug && "
	      "objcopy -S --add-gnu-debuglink=prog.debug prog");
	start_server(*state, false);
	set_server(*state, server.url);
	check_full(*state);
	assert_int_equal(requests(), 0);
}

static void test_absent_is_asked_for_once(void **state)
{
	make_program(*state);
	shell(*state, "rm served/*");
	start_server(*state, false);
	set_server(*state, server.url);
	check_unknown(*state);
	assert_int_equal(requests(), 1);
	shell(*state, "rm -r cache; cp prog prog2 && mv prog2 prog");
	check_unknown(*state);
	assert_int_equal(requests(), 0);
}

static void test_foreign_file(void **state)
{
	make_program(*state);
	shell(*state, "gcc -g -O1 -o other main.c && for i in served/*; do cp other $i; done");
	start_server(*state, false);
	set_server(*state, server.url);
	check_unknown(*state);
	assert_int_equal(requests(), 1);
}

/* The supplement (dwz) of a debug file, wanted by its build-id. */
static void test_supplement(void **state)
{
	make_program(*state);
	shell(*state,
	      "gcc -g -O1 -Wl,--build-id=0x6162636465666768696a6b6c6d6e6f7071727374 -o other "
	      "main.c && objcopy --only-keep-debug other common && "
	      "printf '/nowhere\\0abcdefghijklmnopqrst' >link && "
	      "objcopy --add-section .gnu_debugaltlink=link served/*");
	start_server(*state, false);
	set_server(*state, server.url);
	check_symbol_only(*state);
	assert_int_equal(requests(), 2);
	shell(*state, "mv common served/6162636465666768696a6b6c6d6e6f7071727374; rm -r cache; "
		      "cp prog prog2 && mv prog2 prog");
	lt_resolver_free(((struct fixture *)*state)->resolver);
	assert_int_equal(lt_resolver_new(&((struct fixture *)*state)->resolver), 0);
	set_server(*state, server.url);
	check_full(*state);
	assert_int_equal(requests(), 2);
}

/* Larger than any debug file that is taken: it ends before the download. */
static void test_huge_file(void **state)
{
	make_program(*state);
	shell(*state, "for i in served/*; do truncate -s 2G $i; done");
	start_server(*state, false);
	set_server(*state, server.url);
	check_unknown(*state);
	assert_int_equal(requests(), 1);
	shell(*state, "test $(du -s cache | cut -f 1) -lt 2000");
}

static void test_given_up(void **state)
{
	struct lt_debuginfod *debuginfod;
	struct lt_buf error = { 0 };

	start_server(*state, false);
	assert_int_equal(lt_debuginfod_new(&debuginfod, server.url, &error), 0);
	stop_server(); /* nobody listens there any more */
	assert_int_equal(lt_debuginfod_fetch(debuginfod, some_id, 20), -ECONNREFUSED);
	assert_int_equal(lt_debuginfod_fetch(debuginfod, some_id, 20), -ENOENT);
	assert_int_equal(lt_debuginfod_fetch(debuginfod, other_id, 20), -ECONNREFUSED);
	assert_int_equal(lt_debuginfod_fetch(debuginfod, other_id, 19), -ENOENT);
	assert_int_equal(lt_debuginfod_fetch(debuginfod, some_id, 1000), -EINVAL);
	lt_debuginfod_free(debuginfod);
}

static void test_silent_server(void **state)
{
	struct lt_debuginfod *debuginfod;
	struct lt_buf error = { 0 };

	setenv("DEBUGINFOD_TIMEOUT", "1", 1); /* what the user set stays */
	start_server(*state, true);
	assert_int_equal(lt_debuginfod_new(&debuginfod, server.url, &error), 0);
	assert_int_equal(lt_debuginfod_fetch(debuginfod, some_id, 20), -ETIME);
	assert_int_equal(requests(), 1);
	lt_debuginfod_free(debuginfod);
}

static void *stop_at_request(void *resolver)
{
	char byte;

	assert_int_equal(read(server.requests, &byte, 1), 1);
	lt_resolver_stop_network(resolver);
	return NULL;
}

static void test_stop(void **state)
{
	struct fixture *fixture = *state;
	pthread_t thread;

	setenv("DEBUGINFOD_TIMEOUT", "1000", 1);
	setenv("DEBUGINFOD_MAXTIME", "1000", 1);
	make_program(fixture);
	start_server(fixture, true);
	lt_resolver_stop_network(fixture->resolver); /* there is none yet */
	set_server(fixture, server.url);
	assert_int_equal(pthread_create(&thread, NULL, stop_at_request, fixture->resolver), 0);
	check_unknown(fixture); /* returns */
	assert_int_equal(pthread_join(thread, NULL), 0);
	make_program(fixture);
	check_unknown(fixture);
	assert_int_equal(requests(), 0);
}

static void test_no_server(void **state)
{
	struct fixture *fixture = *state;
	struct lt_buf error = { 0 };

	assert_int_equal(lt_resolver_set_debuginfod(fixture->resolver, "", &error), -EINVAL);
	assert_non_null(strstr(error.data, "--debuginfod=URL"));
	assert_non_null(strstr(error.data, "DEBUGINFOD_URLS"));
	assert_null(strchr(error.data, '\n'));
	lt_buf_free(&error);
	setenv("DEBUGINFOD_URLS", "", 1);
	assert_int_equal(lt_resolver_set_debuginfod(fixture->resolver, "", &error), -EINVAL);
	lt_buf_free(&error);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup_server, teardown_server)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_never_without_the_option),
		TEST(test_fetch),
		TEST(test_servers_of_the_environment),
		TEST(test_local_files_first),
		TEST(test_absent_is_asked_for_once),
		TEST(test_foreign_file),
		TEST(test_supplement),
		TEST(test_huge_file),
		TEST(test_given_up),
		TEST(test_silent_server),
		TEST(test_stop),
		TEST(test_no_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
