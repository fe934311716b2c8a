// SPDX-License-Identifier: GPL-2.0-or-later
#include "proc/launch.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "leaktrace/limits.h"
#include "proc/maps.h"
#include "proc/process.h"
#include "proc/read.h"

#define SYSCALL_STOP   (SIGTRAP | 0x80) /* with PTRACE_O_TRACESYSGOOD, ptrace(2) */
#define MAX_AUXV_BYTES 4096

struct lt_launch {
	pid_t pid;
	bool held;    /* stopped, and ours */
	bool fresh;   /* stands at its first instruction, which was not told yet */
	bool mapping; /* in a system call that maps code */
	bool ended;
	int status; /* when ended */
	unsigned int calls;
	uint64_t linker_start, linker_end; /* its dynamic linker; equal: it has none */
};

/*
 * When is start-up over?  The dynamic linker maps everything that the program and LD_PRELOAD ask
 * for, and relocates it only then; code of others runs after that.  When a file is relocated,
 * mprotect() makes the part of its data read-only that needs to be written no more (RELRO): the
 * first such call is the end.  glibc: elf/rtld.c, dl_main(), and elf/dl-reloc.c,
 * _dl_protect_relro(); libc.so.6 always has such data.  musl: ldso/dynlink.c, __dls3() and
 * reloc_all(); programs have it unless they are linked with -z norelro.  For these it is the first
 * system call that no dynamic linker makes, or that others make; musl's libc is its own dynamic
 * linker, so that this may come late.  Late is harmless but for the waiting, early misses code: as
 * with LD_AUDIT, whose modules are relocated before the rest is mapped.
 *
 * A static program has all its code from the beginning.
 */
static const unsigned int linker_calls[] = {
	SYS_mmap,
	SYS_munmap,
	SYS_mprotect,
	SYS_brk,
	SYS_madvise,
	SYS_open,
	SYS_openat,
	SYS_close,
	SYS_read,
	SYS_pread64,
	SYS_fcntl,
	SYS_stat,
	SYS_fstat,
	SYS_newfstatat,
	SYS_statx,
	SYS_access,
	SYS_faccessat,
	SYS_readlink,
	SYS_getcwd,
	SYS_uname,
	SYS_write,
	SYS_writev,
	SYS_getpid,
	SYS_arch_prctl,
	SYS_rseq,
	SYS_prlimit64,
	SYS_getrandom,
	SYS_set_tid_address,
	SYS_set_robust_list,
};

static bool is_mapping_stage(const struct lt_launch *launch,
			     const struct __ptrace_syscall_info *info)
{
	if (info->arch != AUDIT_ARCH_X86_64 || info->instruction_pointer < launch->linker_start ||
	    info->instruction_pointer >= launch->linker_end)
		return false;
	if (info->entry.nr == SYS_mprotect && info->entry.args[2] == PROT_READ)
		return false;
	for (size_t i = 0; i < sizeof(linker_calls) / sizeof(linker_calls[0]); i++)
		if (info->entry.nr == linker_calls[i])
			return true;
	return false;
}

static bool maps_code(const struct __ptrace_syscall_info *info)
{
	bool executable = info->entry.args[2] & PROT_EXEC; /* of both calls */

	return executable &&
	       ((info->entry.nr == SYS_mmap && !(info->entry.args[3] & MAP_ANONYMOUS)) ||
		info->entry.nr == SYS_mprotect);
}

/* Its next news: the status of a stop. */
static int wait_for(struct lt_launch *launch)
{
	int status;
	pid_t got;

	do {
		got = waitpid(launch->pid, &status, __WALL);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	launch->held = WIFSTOPPED(status);
	if (launch->held)
		return status;
	launch->ended = true;
	launch->status = status;
	return -ECHILD;
}

static void kill_it(struct lt_launch *launch)
{
	if (launch->pid <= 0 || launch->ended)
		return;
	kill(launch->pid, SIGKILL);
	while (wait_for(launch) >= 0)
		; /* a stop that came before */
}

static bool is_stop_signal(int number)
{
	return number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

/*
 * Lets it run until it executes a program (PTRACE_EVENT_EXEC) or, if request is PTRACE_SYSCALL,
 * is at a system call (SYSCALL_STOP).  Signals are passed on; if one of them stops it, it stays so
 * until SIGCONT.
 */
static int resume_until(struct lt_launch *launch, enum __ptrace_request request)
{
	enum __ptrace_request next = request;
	int number = 0;

	for (;;) {
		int status;

		/* ESRCH: it was killed, as waitpid() will say */
		if (launch->held && ptrace(next, launch->pid, NULL, (void *)(uintptr_t)number) &&
		    errno != ESRCH)
			return -errno;
		status = wait_for(launch);
		if (status < 0)
			return status;
		next = request;
		number = WSTOPSIG(status);
		if (number == SYSCALL_STOP)
			return SYSCALL_STOP;
		switch (status >> 16) {
		case PTRACE_EVENT_EXEC:
			return PTRACE_EVENT_EXEC;
		case PTRACE_EVENT_STOP:
			if (is_stop_signal(number))
				next = PTRACE_LISTEN;
			number = 0;
			break;
		default:
			break;
		}
	}
}

/*
 * An address in the dynamic linker, 0 if the program has none.  The kernel tells where it has
 * loaded it (AT_BASE).  The linker may also be what was executed, as in "ld.so PROGRAM"; its name
 * tells it from a static program.
 */
static int read_linker_address(const struct lt_process *process, uint64_t *address)
{
	_lt_buf_ struct lt_buf text = { 0 };
	const char *name = strrchr(process->exe, '/');
	uint64_t base = 0, start = 0;
	Elf64_auxv_t entry;
	int err = lt_proc_read_at(process->proc_fd, "auxv", MAX_AUXV_BYTES, &text);

	if (err)
		return err;
	for (size_t at = 0; at + sizeof(entry) <= text.len; at += sizeof(entry)) {
		memcpy(&entry, text.data + at, sizeof(entry));
		if (entry.a_type == AT_BASE)
			base = entry.a_un.a_val;
		if (entry.a_type == AT_ENTRY)
			start = entry.a_un.a_val;
	}
	*address = !base && name && strstr(name, ".so") ? start : base;
	return 0;
}

/* All of the linker's file, as the kernel has mapped it. */
static void find_linker(struct lt_launch *launch, const struct lt_maps *maps, uint64_t address)
{
	const struct lt_mapping *linker = address ? lt_maps_find(maps, address) : NULL;

	if (!linker || !linker->inode)
		return;
	for (size_t i = 0; i < maps->count; i++) {
		const struct lt_mapping *mapping = &maps->entries[i];

		if (mapping->inode != linker->inode || mapping->device != linker->device)
			continue;
		if (!launch->linker_end)
			launch->linker_start = mapping->start;
		launch->linker_end = mapping->end;
	}
}

static bool may_trace_all(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	return syscall(SYS_capget, &header, data) == 0 &&
	       data[CAP_TO_INDEX(CAP_SYS_PTRACE)].effective & CAP_TO_MASK(CAP_SYS_PTRACE);
}

/* What it is that stands before its first instruction. */
static int look(struct lt_launch *launch)
{
	struct lt_process process;
	struct lt_maps maps = { 0 };
	struct stat exe;
	uint64_t address;
	int err = lt_process_open(launch->pid, &process);

	if (err)
		return err;
	if (process.bits32)
		err = -EOPNOTSUPP;
	else if (fstatat(process.proc_fd, "exe", &exe, 0))
		err = -errno;
	else if (exe.st_mode & (S_ISUID | S_ISGID) && !may_trace_all())
		err = -EPERM;
	if (!err)
		err = read_linker_address(&process, &address);
	if (!err)
		err = lt_maps_read(&process, &maps);
	if (!err)
		find_linker(launch, &maps, address);
	lt_maps_free(&maps);
	lt_process_close(&process);
	return err;
}

/* In the child, which is not traced before it is told so by a byte. */
__attribute__((noreturn)) static void become(char *const argv[], int fd,
					     const struct sigaction *on_child)
{
	ssize_t got;
	int err;

	do {
		got = read(fd, &(char){ 0 }, 1);
	} while (got < 0 && errno == EINTR);
	if (got == 1) {
		sigaction(SIGCHLD, on_child, NULL);
		execvp(argv[0], argv);
		err = errno;
		send(fd, &err, sizeof(err), MSG_NOSIGNAL);
	}
	_exit(127); /* nobody looks at it */
}

/* To its first instruction. */
static int run_to_exec(struct lt_launch *launch, int fd)
{
	int err, said = 0;

	if (ptrace(PTRACE_SEIZE, launch->pid, NULL,
		   (void *)(uintptr_t)(PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD)) ||
	    send(fd, "", 1, MSG_NOSIGNAL) != 1)
		return -errno;
	err = resume_until(launch, PTRACE_CONT);
	if (err == -ECHILD && recv(fd, &said, sizeof(said), MSG_DONTWAIT) == sizeof(said))
		return -said;
	return err < 0 ? err : look(launch);
}

int lt_launch_start(char *const argv[], struct lt_launch **result)
{
	struct sigaction standard = { .sa_handler = SIG_DFL }, on_child;
	struct lt_launch *launch = calloc(1, sizeof(*launch));
	int ends[2], err;

	if (!launch)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) {
		err = -errno;
		free(launch);
		return err;
	}
	/* Whoever starts us may have it ignored: the status of a child would be lost, waitpid(2). */
	sigaction(SIGCHLD, NULL, &on_child);
	if (on_child.sa_handler == SIG_IGN)
		sigaction(SIGCHLD, &standard, NULL);
	launch->pid = fork();
	if (!launch->pid) {
		close(ends[0]); /* so that our end is seen as the end of the file */
		become(argv, ends[1], &on_child);
	}
	err = launch->pid < 0 ? -errno : 0;
	close(ends[1]);
	if (!err)
		err = run_to_exec(launch, ends[0]);
	close(ends[0]);
	if (err) {
		kill_it(launch);
		free(launch);
		return err;
	}
	launch->fresh = true;
	*result = launch;
	return 0;
}

pid_t lt_launch_pid(const struct lt_launch *launch)
{
	return launch->pid;
}

static int let_go(struct lt_launch *launch)
{
	if (!ptrace(PTRACE_DETACH, launch->pid, NULL, NULL)) {
		launch->held = false;
		return 0;
	}
	if (errno != ESRCH)
		return -errno;
	do { /* it was killed */
		errno = -wait_for(launch);
	} while (launch->held);
	return -errno;
}

/* At a system call: 1 it has just mapped code, 0 it goes on, -ESTALE start-up is over. */
static int at_call(struct lt_launch *launch)
{
	struct __ptrace_syscall_info info;
	bool mapping = launch->mapping;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, launch->pid, sizeof(info), &info) < 0)
		return errno == ESRCH ? 0 : -errno; /* killed: waitpid() will say */
	launch->mapping = false;
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return mapping && info.op == PTRACE_SYSCALL_INFO_EXIT && !info.exit.is_error;
	if (++launch->calls > LT_MAX_STARTUP_CALLS || !is_mapping_stage(launch, &info))
		return -ESTALE;
	launch->mapping = maps_code(&info);
	return 0;
}

int lt_launch_next(struct lt_launch *launch)
{
	if (launch->ended)
		return -ECHILD;
	if (!launch->held)
		return 0;
	if (launch->fresh) {
		launch->fresh = false;
		return 1;
	}
	if (launch->linker_start == launch->linker_end)
		return let_go(launch);
	for (;;) {
		int stop = resume_until(launch, PTRACE_SYSCALL);

		if (stop == SYSCALL_STOP)
			stop = at_call(launch);
		if (stop == -ESTALE)
			return let_go(launch);
		if (stop)
			return stop < 0 ? stop : 1;
	}
}

int lt_launch_wait(struct lt_launch *launch, int *status)
{
	int now;

	if (!launch->ended) {
		pid_t got = waitpid(launch->pid, &now, WNOHANG);

		if (got < 0)
			return -errno;
		if (!got || WIFSTOPPED(now))
			return 0;
		launch->ended = true;
		launch->held = false;
		launch->status = now;
	}
	*status = launch->status;
	return 1;
}

int lt_launch_exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void lt_launch_free(struct lt_launch *launch)
{
	if (!launch)
		return;
	if (launch->held)
		kill_it(launch);
	free(launch);
}
