// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/uprobe_multi.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#define UPROBE_MULTI_RETURN 1 /* BPF_F_UPROBE_MULTI_RETURN */

struct link_create_uprobe_multi {
	uint32_t program_fd;
	uint32_t target_fd;
	uint32_t attach_type;
	uint32_t flags;
	uint64_t path;
	uint64_t offsets;
	uint64_t ref_ctr_offsets;
	uint64_t cookies;
	uint32_t count;
	uint32_t multi_flags;
	uint32_t pid;
	uint32_t reserved;
};

int lt_uprobe_multi_load_empty(void)
{
	static const struct bpf_insn return_0[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options,
		    .expected_attach_type = (enum bpf_attach_type)LT_BPF_TRACE_UPROBE_MULTI);

	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, NULL, "GPL", return_0,
			     sizeof(return_0) / sizeof(return_0[0]), &options);
}

int lt_uprobe_multi_attach(const struct lt_uprobe_multi *request)
{
	struct link_create_uprobe_multi attr = {
		.program_fd = (uint32_t)request->program_fd,
		.attach_type = LT_BPF_TRACE_UPROBE_MULTI,
		.path = (uint64_t)(uintptr_t)request->path,
		.offsets = (uint64_t)(uintptr_t)request->offsets,
		.count = request->count,
		.multi_flags = request->at_return ? UPROBE_MULTI_RETURN : 0,
		.pid = request->pid,
	};
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : (int)fd;
}
