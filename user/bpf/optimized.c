// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/optimized.h"

#include <link.h>
#include <stdint.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "base/cleanup.h"
#include "bpf/uprobe_multi.h"

#define BREAKPOINT 0xcc /* int3 */

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

static int load_empty(void)
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

bool lt_uprobes_optimize_nops(void)
{
	_lt_close_ int program = load_empty(), link = -1;
	uint64_t offset = 0;
	struct lt_uprobe_multi request = { .program_fd = program,
					   .path = "/proc/self/exe",
					   .offsets = &offset,
					   .count = 1,
					   .pid = (uint32_t)getpid() };
	uint8_t original = *(volatile uint8_t *)NOP, probed;

	dl_iterate_phdr(find_offset, &offset);
	if (program < 0 || !offset)
		return false;
	link = lt_uprobe_multi_attach(&request);
	if (link < 0)
		return false;
	lt_nop_to_probe(); /* the first hit makes a call of it */
	probed = *(volatile uint8_t *)NOP;
	return probed != BREAKPOINT && probed != original;
}
