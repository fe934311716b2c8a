// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/optimized.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bpf/uprobe_multi.h"

#define BREAKPOINT 0xcc /* int3 */

struct code {
	uint8_t bytes[5];
};

static const struct code nop = { { 0x0f, 0x1f, 0x44, 0, 0 } };

/* It must lie in one page, as the kernel writes all of it at once. */
void lt_nop_to_probe(void);
asm(".pushsection .text\n"
    ".p2align 4\n"
    ".globl lt_nop_to_probe\n"
    ".type lt_nop_to_probe, @function\n"
    "lt_nop_to_probe:\n"
    "	.byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n"
    "	ret\n"
    ".size lt_nop_to_probe, . - lt_nop_to_probe\n"
    ".popsection\n");

#define NOP ((uintptr_t)lt_nop_to_probe)

/* The first one is the program itself (dl_iterate_phdr(3)), and has this code. */
static int find_offset(struct dl_phdr_info *info, size_t size, void *data)
{
	uint64_t *offset = data;

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		uint64_t distance = NOP - info->dlpi_addr - part->p_vaddr;

		if (part->p_type == PT_LOAD && distance < part->p_filesz)
			*offset = part->p_offset + distance;
	}
	return 1;
}

/* False: it is somewhere else; started by way of ld.so, that is the program. */
static bool has_nop(const char *path, uint64_t offset)
{
	_lt_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct code code;

	return fd >= 0 && pread(fd, &code, sizeof(code), (off_t)offset) == sizeof(code) &&
	       !memcmp(&code, &nop, sizeof(nop));
}

/* In a child: for each byte, runs into the NOP and tells what is in its place. */
static void serve(int socket)
{
	struct code code;
	char byte;

	while (read(socket, &byte, 1) == 1) {
		lt_nop_to_probe();
		memcpy(&code, (void *)NOP, sizeof(code));
		if (write(socket, &code, sizeof(code)) != sizeof(code))
			break;
	}
	_exit(0);
}

/* A child that was stopped, or cannot be scheduled, is not waited for. */
#define LIMIT_S 2

/* False: it is gone, or does not answer. */
static bool run_into(int socket, struct code *code)
{
	return send(socket, "", 1, MSG_NOSIGNAL) == 1 &&
	       recv(socket, code, sizeof(*code), MSG_WAITALL) == sizeof(*code);
}

/*
 * Kernels from 6.18.0 to .39, and 6.19 to 7.1.4, look for the trampoline of a probe that is taken away in the process
 * that does so rather than in the one that has it (CVE-2026-72357), and leave the call there: so what is probed here
 * is another process, and it must be as it was.
 */
static bool try_on(int socket, pid_t child, uint64_t offset, const char *path)
{
	_lt_close_ int program = lt_uprobe_multi_load_empty();
	struct lt_uprobe_multi request = { .program_fd = program,
					   .path = path,
					   .offsets = &offset,
					   .count = 1,
					   .pid = (uint32_t)child };
	int link = program < 0 ? program : lt_uprobe_multi_attach(&request);
	struct code probed = nop, after;
	bool optimized;

	if (link < 0)
		return false;
	/* The first hit makes a call of it. */
	optimized = run_into(socket, &probed) && probed.bytes[0] != BREAKPOINT &&
		    memcmp(&probed, &nop, sizeof(nop)) != 0;
	close(link);
	return optimized && run_into(socket, &after) && !memcmp(&after, &nop, sizeof(nop));
}

bool lt_uprobes_optimize_nops(void)
{
	static const char path[] = "/proc/self/exe";
	const struct timeval limit = { .tv_sec = LIMIT_S };
	uint64_t offset = 0;
	bool optimized = false;
	int sockets[2];
	pid_t child;

	dl_iterate_phdr(find_offset, &offset);
	if (!offset || !has_nop(path, offset) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
		return false;
	child = fork();
	if (child == 0) {
		close(sockets[0]);
		serve(sockets[1]);
	}
	close(sockets[1]);
	if (child > 0) {
		setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		optimized = try_on(sockets[0], child, offset, path);
		/* Whoever starts us may ignore SIGCHLD: its number may be another's if it is gone. */
		if (waitpid(child, NULL, WNOHANG) == 0) {
			kill(child, SIGKILL);
			TEMP_FAILURE_RETRY(waitpid(child, NULL, 0));
		}
	}
	close(sockets[0]);
	return optimized;
}
