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

/*
 * Kernels from 6.6 have uprobe_multi, but before 6.10 its pid filter let only one thread pass
 * (TRAPS 14).  The fix (46ba0e49b642 "bpf: fix multi-uprobe PID filtering logic") also made an
 * impossible pid fail with EINVAL before the path is looked at.  EINVAL alone says nothing, for
 * kernels without uprobe_multi answer so to everything: a possible pid must get as far as "/",
 * which is no regular file (EBADF).  libbpf tells them apart the same way.
 */
static bool has_uprobe_multi(void)
{
	static const struct bpf_insn exit_0[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct lt_uprobe_multi request = { .path = "/",
					   .offsets = &(const uint64_t){ 0 },
					   .count = 1 };
	LIBBPF_OPTS(bpf_prog_load_opts, options,
		    .expected_attach_type = (enum bpf_attach_type)LT_BPF_TRACE_UPROBE_MULTI);
	_lt_close_ int program = -1, any_pid = -1, no_pid = -1;

	program = bpf_prog_load(BPF_PROG_TYPE_KPROBE, NULL, "GPL", exit_0, 2, &options);
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

void lt_features_detect(struct lt_features *features)
{
	struct utsname name;
	int map;

	*features = (struct lt_features){ 0 };
	if (uname(&name) == 0)
		snprintf(features->release, sizeof(features->release), "%s", name.release);
	features->btf = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, NULL, 4, 4, 1, NULL);
	features->permitted = map >= 0 || (errno != EPERM && errno != EACCES);
	if (map >= 0)
		close(map);
	map = bpf_map_create(BPF_MAP_TYPE_RINGBUF, NULL, 0, 0, (unsigned int)getpagesize(), NULL);
	features->ring_buffer = map >= 0;
	if (map >= 0)
		close(map);
	/* No attempt can show this one: the older allocator works too, but warns in the kernel log.
	 */
	features->map_on_demand = release_at_least(features->release, 6, 1);
	features->uprobe_multi = features->permitted && has_uprobe_multi();
}

const char *lt_features_missing(const struct lt_features *features)
{
	if (!features->permitted)
		return "loading BPF programs is not permitted: run as root (sudo leaktrace ...)";
	if (!features->btf)
		return "this kernel has no BTF (/sys/kernel/btf/vmlinux): use a kernel built with "
		       "CONFIG_DEBUG_INFO_BTF=y, such as Debian's 5.10 or newer";
	if (!features->ring_buffer)
		return "this kernel has no BPF ring buffers: Linux 5.8 or newer is needed";
	return NULL;
}
