// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/features.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "base/cleanup.h"
#include "bpf/uprobe_multi.h"

/* bpf_probe_read_kernel(stack - 8, 8, NULL); return 0: never run, the verifier's word is enough. */
static const struct bpf_insn trial[] = {
	{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_10 },
	{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_1, .imm = -8 },
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 8 },
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3 },
	{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_read_kernel },
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
	{ .code = BPF_JMP | BPF_EXIT },
};
enum { TRIAL_READ_KERNEL = 0, TRIAL_RETURN_0 = 5 }; /* from which instruction on */

/* The program's fd, or what the kernel says against loading it. */
static int load_trial(int from)
{
	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, NULL, "GPL", trial + from,
			     sizeof(trial) / sizeof(trial[0]) - (size_t)from, NULL);
}

/*
 * Kernels from 6.6 have uprobe_multi, but before 6.10 its pid filter let only one thread pass.
 * The fix (46ba0e49b642 "bpf: fix multi-uprobe PID filtering logic") also made an
 * impossible pid fail with EINVAL before the path is looked at.  EINVAL alone says nothing, for
 * kernels without uprobe_multi answer so to everything: a possible pid must get as far as "/",
 * which is no regular file (EBADF).  libbpf tells them apart the same way.
 */
static bool has_uprobe_multi(void)
{
	struct lt_uprobe_multi request = { .path = "/",
					   .offsets = &(const uint64_t){ 0 },
					   .count = 1 };
	_lt_close_ int program = lt_uprobe_multi_load_empty(), any_pid = -1, no_pid = -1;

	if (program < 0)
		return false;
	request.program_fd = program;
	any_pid = lt_uprobe_multi_attach(&request);
	request.pid = (uint32_t)-1;
	no_pid = lt_uprobe_multi_attach(&request);
	return any_pid == -EBADF && no_pid == -EINVAL;
}

static bool release_at_least(const char *release, int major, int minor)
{
	int have_major = 0, have_minor = 0;

	if (sscanf(release, "%d.%d", &have_major, &have_minor) != 2)
		return false;
	return have_major > major || (have_major == major && have_minor >= minor);
}

static int try_program(int from)
{
	_lt_close_ int program = load_trial(from);

	return program < 0 ? program : 0;
}

static int try_ring_buffer(void)
{
	_lt_close_ int map = bpf_map_create(BPF_MAP_TYPE_RINGBUF, NULL, 0, 0,
					    (uint32_t)getpagesize(), NULL);

	return map < 0 ? map : 0;
}

static bool refused(int err)
{
	return err == -EPERM || err == -EACCES;
}

void lt_features_detect(struct lt_features *features)
{
	int program = try_program(TRIAL_RETURN_0), ring = try_ring_buffer();
	struct utsname name;

	*features = (struct lt_features){ 0 };
	if (uname(&name) == 0)
		snprintf(features->release, sizeof(features->release), "%s", name.release);
	features->root = geteuid() == 0;
	features->syscall = program != -ENOSYS;
	features->permitted = !refused(program) && !refused(ring);
	features->probe_programs = program == 0;
	features->ring_buffer = ring == 0;
	features->btf = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
	/* No attempt can show this one: the older allocator works too, but warns in the kernel log.
	 */
	features->map_on_demand = release_at_least(features->release, 6, 1);
	features->uprobe_multi = features->permitted && has_uprobe_multi();
	features->uprobes = features->uprobe_multi ||
			    access("/sys/bus/event_source/devices/uprobe/type", R_OK) == 0;
	features->kernel_reads = try_program(TRIAL_READ_KERNEL) == 0;
}

const char *lt_features_missing(const struct lt_features *features)
{
	/* In this order: what stands above makes what stands below look missing as well. */
	const struct {
		bool there;
		const char *message;
	} wanted[] = {
		{ features->syscall, "this kernel has no bpf(2): use one built with "
				     "CONFIG_BPF_SYSCALL=y" },
		{ features->permitted || features->root,
		  "loading BPF programs is not permitted: run as root (sudo leaktrace ...)" },
		{ features->permitted,
		  "loading BPF programs is not permitted, even to this root: CAP_SYS_ADMIN is "
		  "missing or bpf(2) is filtered, as in containers: run on the host, or in a "
		  "container started with --privileged --pid=host" },
		{ features->probe_programs,
		  "this kernel has no BPF programs for probes: use one built with "
		  "CONFIG_UPROBE_EVENTS=y and CONFIG_BPF_EVENTS=y" },
		{ features->ring_buffer,
		  "this kernel has no BPF ring buffers: Linux 5.8 or newer is needed" },
		{ features->btf,
		  "this kernel has no BTF (/sys/kernel/btf/vmlinux): use a kernel built with "
		  "CONFIG_DEBUG_INFO_BTF=y, such as Debian's 5.10 or newer" },
		{ features->uprobes,
		  "this kernel offers no uprobes (/sys/bus/event_source/devices/uprobe): use one "
		  "built with CONFIG_UPROBE_EVENTS=y, with /sys mounted" },
		{ features->kernel_reads,
		  "this kernel does not let BPF programs read its memory "
		  "(lockdown=confidentiality, see /sys/kernel/security/lockdown): boot it with "
		  "lockdown=integrity or without" },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (!wanted[i].there)
			return wanted[i].message;
	return NULL;
}
