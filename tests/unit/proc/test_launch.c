// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/launch.h"
#include "proc/maps.h"

#define TOLD_FD 9 /* where the programs tell what has run */

static char dir[] = "/tmp/leaktrace-launch-XXXXXX";
static int told; /* our end */

/* A constructor tells "c", main "m". */
static const char library[] = "#include <unistd.h>\n"
			      "__attribute__((constructor)) static void start(void)\n"
			      "{ if (write(9, \"c\", 1) < 0) _exit(99); }\n"
			      "int seven(void) { return 7; }\n";
static const char program[] = "#include <unistd.h>\n"
			      "int seven(void);\n"
			      "int main(void) { return write(9, \"m\", 1) < 0 ? 98 : seven(); }\n";
static const char wrapper[] = "#include <unistd.h>\n"
			      "int main(int argc, char **argv)\n"
			      "{ execv(argv[1], argv + 1); return 97; }\n";
static const char dying[] = "#include <stdlib.h>\n"
			    "__attribute__((constructor)) static void start(void) { abort(); }\n"
			    "int main(void) { return 0; }\n";
/* Tells which signals are blocked, ignored and caught. */
static const char signals[] =
	"#include <stdio.h>\n"
	"#include <unistd.h>\n"
	"#include <string.h>\n"
	"int main(void)\n"
	"{ char line[256]; FILE *file = fopen(\"/proc/self/status\", \"r\");\n"
	"while (fgets(line, sizeof(line), file))\n"
	"if (!strncmp(line, \"SigBlk\", 6) || !strncmp(line, \"SigIgn\", 6) ||\n"
	"!strncmp(line, \"SigCgt\", 6) || !strncmp(line, \"NSpgid\", 6))\n"
	"if (write(9, line, strlen(line)) < 0) return 1;\n"
	"return 0; }\n";
static const char bits32[] = "void _start(void)\n"
			     "{ __asm__(\"int $0x80\" : : \"a\"(1), \"b\"(0)); }\n";

static void shell(const char *command)
{
	char text[1024];

	assert_true((size_t)snprintf(text, sizeof(text), "cd %s && %s", dir, command) <
		    sizeof(text));
	if (system(text))
		fail_msg("%s", text);
}

static void put(const char *name, const char *text, mode_t mode)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static int setup(void **state)
{
	static const char *const commands[] = {
		"gcc -shared -fPIC -o libtold.so lib.c",
		"sed s/seven/eight/ lib.c | gcc -shared -fPIC -o libpre.so -x c -",
		"gcc -o dynamic main.c -L. -ltold -Wl,-rpath,$PWD",
		"gcc -o bare main.c -L. -ltold -Wl,-rpath,$PWD -Wl,-z,norelro",
		"gcc -static -no-pie -o static main.c lib.c",
		"gcc -static-pie -fPIE -o static-pie main.c lib.c",
		"mkdir musl && musl-gcc -shared -fPIC -o musl/libtold.so lib.c",
		"musl-gcc -o musl/dynamic main.c -Lmusl -ltold -Wl,-rpath,$PWD/musl",
		"musl-gcc -o musl/bare main.c -Lmusl -ltold -Wl,-rpath,$PWD/musl -Wl,-z,norelro",
		"musl-gcc -static -o musl/static main.c lib.c",
		"gcc -o wrapper wrapper.c",
		"musl-gcc -static -o musl/wrapper wrapper.c",
		"gcc -o dying dying.c",
		"gcc -o signals signals.c",
		"gcc -m32 -nostdlib -static -fno-pic -no-pie -o bits32 bits32.c",
		"cp wrapper setuid && chmod 4755 setuid",
	};
	int ends[2];

	if (!mkdtemp(dir) || pipe(ends))
		return -1;
	told = fcntl(ends[0], F_DUPFD_CLOEXEC, 20);
	dup2(ends[1], TOLD_FD); /* inherited */
	close(ends[0]);
	close(ends[1]);
	fcntl(told, F_SETFL, O_NONBLOCK);
	put("lib.c", library, 0644);
	put("main.c", program, 0644);
	put("wrapper.c", wrapper, 0644);
	put("dying.c", dying, 0644);
	put("signals.c", signals, 0644);
	put("bits32.c", bits32, 0644);
	put("script", "#!/bin/sh\nexit 5\n", 0755);
	put("plain", "exit 6\n", 0755);
	put("not-executable", "#!/bin/sh\n", 0644);
	put("broken", "#!/nonexistent\n", 0755);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		shell(commands[i]);
	return 0;
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *where)
{
	return remove(path);
}

static int teardown(void **state)
{
	return nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* What programs told since the last time. */
static const char *heard(void)
{
	static char text[4096];
	ssize_t got = read(told, text, sizeof(text) - 1);

	text[got > 0 ? got : 0] = '\0';
	return text;
}

static int start(struct lt_launch **launch, const char *name, const char *argument)
{
	char path[256], second[256];
	char *argv[] = { path, argument ? second : NULL, NULL };

	snprintf(path, sizeof(path), *name == '/' ? "%s%s" : "%s/%s", *name == '/' ? "" : dir,
		 name);
	snprintf(second, sizeof(second), "%s/%s", dir, argument ? argument : "");
	return lt_launch_start(argv, launch);
}

static struct lt_launch *started(const char *name, const char *argument)
{
	struct lt_launch *launch = NULL;

	assert_int_equal(start(&launch, name, argument), 0);
	assert_non_null(launch);
	assert_string_equal(heard(), "");
	return launch;
}

/* Is there executable code of the file in the process? */
static bool has_code(pid_t pid, const char *name)
{
	struct lt_process process;
	struct lt_maps maps = { 0 };
	bool found = false;

	assert_int_equal(lt_process_open(pid, &process), 0);
	assert_int_equal(lt_maps_read(&process, &maps), 0);
	for (size_t i = 0; i < maps.count; i++)
		found |= maps.entries[i].executable && strstr(maps.entries[i].path, name);
	lt_maps_free(&maps);
	lt_process_close(&process);
	return found;
}

static int ended(struct lt_launch *launch)
{
	int status = -1, again = -2, err;

	while ((err = lt_launch_wait(launch, &status)) == 0)
		usleep(1000);
	assert_int_equal(err, 1);
	assert_int_equal(lt_launch_wait(launch, &again), 1);
	assert_int_equal(again, status);
	assert_int_equal(lt_launch_next(launch), -ECHILD);
	lt_launch_free(launch);
	return status;
}

static const struct {
	const char *name, *argument, *preload, *last;
	const char *missing; /* at the first instruction */
	const char *tells;
} commands[] = {
	{ "dynamic", NULL, NULL, "libtold.so", "libtold.so", "cm" },
	{ "dynamic", NULL, "libpre.so", "libtold.so", "libpre.so", "ccm" },
	{ "dynamic", NULL, "libpre.so", "libpre.so", "libtold.so", "ccm" },
	{ "bare", NULL, NULL, "libtold.so", "libtold.so", "cm" },
	{ "static", NULL, NULL, "static", NULL, "cm" },
	{ "static-pie", NULL, NULL, "static-pie", NULL, "cm" },
	{ "musl/dynamic", NULL, NULL, "libtold.so", "libtold.so", "cm" },
	{ "musl/bare", NULL, NULL, "libtold.so", "libtold.so", "cm" },
	{ "musl/static", NULL, NULL, "musl/static", NULL, "cm" },
	{ "/lib64/ld-linux-x86-64.so.2", "dynamic", NULL, "libtold.so", "libtold.so", "cm" },
	{ "/lib/ld-musl-x86_64.so.1", "musl/dynamic", NULL, "libtold.so", "libtold.so", "cm" },
};

/* At the last stop all is there and nothing has run; then it runs. */
static void test_start_up(void **state)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		bool last = false, first = true;
		struct lt_launch *launch;
		char preload[256];
		int stops = 0, err;

		snprintf(preload, sizeof(preload), "%s/%s", dir, commands[i].preload);
		if (commands[i].preload)
			setenv("LD_PRELOAD", preload, 1);
		launch = started(commands[i].name, commands[i].argument);
		unsetenv("LD_PRELOAD");
		while ((err = lt_launch_next(launch)) == 1) {
			if (first && commands[i].missing)
				assert_false(has_code(lt_launch_pid(launch), commands[i].missing));
			first = false;
			last = has_code(lt_launch_pid(launch), commands[i].last);
			assert_string_equal(heard(), "");
			stops++;
		}
		print_message("%s: %d stops\n", commands[i].name, stops);
		assert_true(last);
		assert_true(stops < 10);
		assert_true(commands[i].missing ? stops > 1 : stops == 1);
		assert_int_equal(err, 0);
		assert_int_equal(lt_launch_exit_code(ended(launch)), 7);
		assert_string_equal(heard(), commands[i].tells);
	}
}

static void let_go(struct lt_launch *launch)
{
	int err;

	while ((err = lt_launch_next(launch)) == 1)
		;
	assert_int_equal(err, 0);
}

static void test_other_programs(void **state)
{
	static const struct {
		const char *name, *argument;
		int code;
		const char *tells;
	} others[] = {
		{ "script", NULL, 5, "" },
		{ "plain", NULL, 6, "" }, /* for sh, says execvp(3) */
		{ "wrapper", "dynamic", 7, "cm" },
		{ "wrapper", "static", 7, "cm" },
		{ "musl/wrapper", "musl/dynamic", 7, "cm" },
		{ "wrapper", "nonexistent", 97, "" },
		{ "dying", NULL, 128 + SIGABRT, "" },
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct lt_launch *launch = started(others[i].name, others[i].argument);
		pid_t pid = lt_launch_pid(launch);

		let_go(launch);
		assert_int_equal(lt_launch_pid(launch), pid);
		assert_int_equal(lt_launch_exit_code(ended(launch)), others[i].code);
		assert_string_equal(heard(), others[i].tells);
	}
}

static void test_no_programs(void **state)
{
	static const struct {
		const char *name;
		int err;
	} wrong[] = {
		{ "nonexistent", -ENOENT }, { "not-executable", -EACCES },
		{ "musl", -EACCES },        { "script/x", -ENOTDIR },
		{ "broken", -ENOENT },      { "bits32", -EOPNOTSUPP },
	};
	struct lt_launch *launch = (struct lt_launch *)&launch;
	char *unknown[] = { (char *)"no-such-command-anywhere", NULL };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(start(&launch, wrong[i].name, NULL), wrong[i].err);
	assert_int_equal(lt_launch_start(unknown, &launch), -ENOENT);
	assert_ptr_equal(launch, &launch);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left behind */
	assert_int_equal(errno, ECHILD);
}

static void test_path(void **state)
{
	char *argv[] = { (char *)"true", NULL };
	struct lt_launch *launch;

	assert_int_equal(lt_launch_start(argv, &launch), 0);
	let_go(launch);
	assert_int_equal(ended(launch), 0);
}

/* Without the capability, such a program would run as somebody else than it should. */
static void test_setuid(void **state)
{
	struct lt_launch *launch;
	int status;
	pid_t child = fork();

	if (!child) {
		struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
		struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

		if (syscall(SYS_capget, &header, data))
			_exit(1);
		data[0].effective &= ~CAP_TO_MASK(CAP_SYS_PTRACE);
		data[0].permitted &= ~CAP_TO_MASK(CAP_SYS_PTRACE);
		if (syscall(SYS_capset, &header, data))
			_exit(2);
		_exit(start(&launch, "setuid", "static") == -EPERM ? 0 : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_string_equal(heard(), "");
}

/* It ends as it is killed, wherever it stands. */
static void test_killed(void **state)
{
	for (int at = 0; at < 4; at++) {
		struct lt_launch *launch = started("dynamic", NULL);
		int number = at % 2 ? SIGUSR1 : SIGKILL, err = 1;

		for (int i = 0; i < at; i++)
			assert_int_equal(lt_launch_next(launch), 1);
		kill(lt_launch_pid(launch), number);
		while (err == 1) /* its first stop may be told yet */
			err = lt_launch_next(launch);
		assert_int_equal(err, -ECHILD);
		assert_int_equal(lt_launch_exit_code(ended(launch)), 128 + number);
		assert_string_equal(heard(), "");
	}
}

/* Stopped from outside it waits; SIGCONT lets it go on. */
static void test_stopped(void **state)
{
	struct lt_launch *launch = started("dynamic", NULL);
	pid_t pid = lt_launch_pid(launch), helper;

	assert_int_equal(lt_launch_next(launch), 1);
	kill(pid, SIGSTOP);
	helper = fork();
	if (!helper)
		for (;;) {
			usleep(20000);
			kill(pid, SIGCONT);
		}
	let_go(launch);
	assert_int_equal(lt_launch_exit_code(ended(launch)), 7);
	assert_string_equal(heard(), "cm");
	kill(helper, SIGKILL);
	assert_int_equal(waitpid(helper, NULL, 0), helper);
}

static void test_let_go(void **state)
{
	char *argv[] = { (char *)"sleep", (char *)"1000", NULL };
	struct lt_launch *launch;
	int status = -7;
	pid_t pid;

	assert_int_equal(lt_launch_start(argv, &launch), 0);
	assert_int_equal(lt_launch_wait(launch, &status), 0);
	let_go(launch);
	assert_int_equal(lt_launch_next(launch), 0); /* once more does no harm */
	assert_int_equal(lt_launch_wait(launch, &status), 0);
	assert_int_equal(status, -7);
	pid = lt_launch_pid(launch);
	lt_launch_free(launch);
	assert_int_equal(kill(pid, 0), 0); /* it goes on */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_free_kills(void **state)
{
	for (int next = 0; next < 3; next++) {
		struct lt_launch *launch = started("dynamic", NULL);
		pid_t pid = lt_launch_pid(launch);

		for (int i = 0; i < next; i++)
			assert_int_equal(lt_launch_next(launch), 1);
		lt_launch_free(launch);
		assert_int_equal(kill(pid, 0), -1);
		assert_string_equal(heard(), "");
	}
	lt_launch_free(NULL);
}

/* If we are killed meanwhile, the command goes on. */
static void test_tracer_dies(void **state)
{
	int status;
	char tells[2];
	pid_t child = fork();

	if (!child) {
		struct lt_launch *launch;

		if (start(&launch, "dynamic", NULL) || lt_launch_next(launch) != 1 ||
		    lt_launch_next(launch) != 1)
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	fcntl(told, F_SETFL, 0); /* wait for it */
	assert_int_equal(read(told, &tells[0], 1), 1);
	assert_int_equal(read(told, &tells[1], 1), 1);
	fcntl(told, F_SETFL, O_NONBLOCK);
	assert_memory_equal(tells, "cm", 2);
}

static void own_signals(char *text, size_t size)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	size_t len = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, "SigBlk", 6) || !strncmp(line, "SigIgn", 6) ||
		    !strncmp(line, "NSpgid", 6))
			len += (size_t)snprintf(text + len, size - len, "%s", line);
		else if (!strncmp(line, "SigCgt", 6)) /* an exec leaves none */
			len += (size_t)snprintf(text + len, size - len, "SigCgt:\t%016x\n", 0);
	fclose(file);
}

/* Mask, ignored signals and process group are ours; SIGCHLD, which we need, also if ignored. */
static void test_inherited(void **state)
{
	struct sigaction child;
	char expected[1024] = "";
	struct lt_launch *launch;
	sigset_t mask, before;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_BLOCK, &mask, &before);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 2; i++) {
		signal(SIGCHLD, i ? SIG_IGN : SIG_DFL);
		own_signals(expected, sizeof(expected));
		launch = started("signals", NULL);
		let_go(launch);
		assert_int_equal(ended(launch), 0);
		assert_string_equal(heard(), expected);
	}
	sigaction(SIGCHLD, NULL, &child);
	assert_ptr_equal(child.sa_handler, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static void test_exit_code(void **state)
{
	assert_int_equal(lt_launch_exit_code(0), 0);
	assert_int_equal(lt_launch_exit_code(3 << 8), 3);
	assert_int_equal(lt_launch_exit_code(255 << 8), 255);
	assert_int_equal(lt_launch_exit_code(SIGSEGV), 139);
	assert_int_equal(lt_launch_exit_code(SIGSEGV | 0x80), 139); /* with a core file */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_up),    cmocka_unit_test(test_other_programs),
		cmocka_unit_test(test_no_programs), cmocka_unit_test(test_path),
		cmocka_unit_test(test_setuid),      cmocka_unit_test(test_killed),
		cmocka_unit_test(test_stopped),     cmocka_unit_test(test_let_go),
		cmocka_unit_test(test_free_kills),  cmocka_unit_test(test_tracer_dies),
		cmocka_unit_test(test_inherited),   cmocka_unit_test(test_exit_code),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
