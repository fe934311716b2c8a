// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf/ehframe.h"

#include <dlfcn.h>
#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "unit/elf/sound.h"

#define NGINX "/usr/sbin/nginx"

/* The rule by libdw, for frames of the common form only. */
static bool plain_rule(Dwarf_Frame *frame, uint64_t *rule)
{
	Dwarf_Op memory[3], *ops;
	Dwarf_Addr start, end;
	size_t count;
	bool signal;
	uint64_t reg, bp = 0;

	if (dwarf_frame_info(frame, &start, &end, &signal) != 16 || signal ||
	    dwarf_frame_register(frame, 16, memory, &ops, &count) || count != 2 ||
	    ops[0].atom != DW_OP_call_frame_cfa || ops[1].atom != DW_OP_plus_uconst ||
	    (int64_t)ops[1].number != -8)
		return false;
	if (dwarf_frame_register(frame, 6, memory, &ops, &count))
		return false;
	if (count == 2 && ops[0].atom == DW_OP_call_frame_cfa && ops[1].atom == DW_OP_plus_uconst)
		bp = ops[1].number;
	else if (count || ops)
		return false;
	if (dwarf_frame_cfa(frame, &ops, &count) || count != 1 || ops[0].atom != DW_OP_bregx)
		return false;
	reg = ops[0].number;
	if ((reg != 6 && reg != 7) || ops[0].number2 > INT32_MAX || (int64_t)bp <= INT16_MIN)
		return false;
	*rule = LT_RULE(reg == 7 ? LT_CFA_SP : LT_CFA_BP, 0, bp, ops[0].number2);
	return true;
}

struct counts {
	uint64_t rows, plain, unsupported, lost, holes;
};

/* All of libdw's rows from start to end are in the table, and no others. */
static void compare_range(Dwarf_CFI *cfi, const struct lt_unwind_table *table, uint64_t start,
			  uint64_t end, struct counts *counts)
{
	for (uint64_t address = start, next; address < end; address = next) {
		uint64_t rule = lt_unwind_table_rule(table, address), expected;
		Dwarf_Frame *frame;
		Dwarf_Addr row_start;

		next = address + 1;
		if (dwarf_cfi_addrframe(cfi, address, &frame)) {
			assert_int_equal(rule, RULE_NONE);
			counts->holes++;
			continue;
		}
		dwarf_frame_info(frame, &row_start, &next, NULL);
		assert_true(next > address);
		if (next > end)
			next = end;
		assert_int_equal(lt_unwind_table_rule(table, next - 1), rule);
		assert_int_equal(lt_unwind_table_rule(table, address + (next - address) / 2), rule);
		counts->rows++;
		if (plain_rule(frame, &expected)) {
			assert_int_equal(rule, expected);
			counts->plain++;
		} else {
			assert_int_not_equal(LT_RULE_CFA(rule), LT_CFA_NONE);
		}
		counts->unsupported += LT_RULE_CFA(rule) == LT_CFA_UNSUPPORTED;
		counts->lost += LT_RULE_BP(rule) == (int16_t)LT_BP_LOST;
		free(frame);
	}
}

/* The whole table of an ELF file, against libdw. */
static struct counts compare(Elf *elf, const struct lt_unwind_table *table)
{
	struct counts counts = { 0 };
	uint64_t skipped = 0;
	size_t segments;
	GElf_Phdr segment;
	Dwarf_CFI *cfi = dwarf_getcfi_elf(elf);

	assert_non_null(cfi);
	assert_sound(table);
	assert_int_equal(elf_getphdrnum(elf, &segments), 0);
	for (size_t i = 0; i < segments; i++) {
		assert_non_null(gelf_getphdr(elf, (int)i, &segment));
		if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X))
			compare_range(cfi, table, segment.p_vaddr,
				      segment.p_vaddr + segment.p_filesz, &counts);
	}
	for (size_t i = 0; i < LT_CFI_SKIP_COUNT; i++)
		skipped += table->skipped[i];
	assert_int_equal(counts.unsupported + counts.lost, skipped);
	dwarf_cfi_end(cfi);
	return counts;
}

static struct counts compare_file(const char *path)
{
	_lt_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct lt_unwind_table table;
	struct counts counts;
	Elf *elf;

	assert_true(fd >= 0);
	assert_int_equal(lt_ehframe_build(fd, &table), 0);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	counts = compare(elf, &table);
	elf_end(elf);
	lt_unwind_table_free(&table);
	return counts;
}

static const char *file_of(const void *address)
{
	Dl_info info;

	assert_true(dladdr(address, &info));
	return info.dli_fname;
}

static void test_against_libdw(void **state)
{
	struct counts libc = compare_file(file_of(dlsym(RTLD_NEXT, "gnu_get_libc_version")));
	struct counts loader = compare_file(file_of((void *)getauxval(AT_BASE)));
	struct counts nginx = compare_file(NGINX);
	void *handle = dlopen("libstdc++.so.6", RTLD_NOW | RTLD_LOCAL);
	struct counts cxx;

	assert_non_null(handle);
	cxx = compare_file(file_of(dlsym(handle, "__cxa_throw")));
	dlclose(handle);
	assert_true(libc.plain > 20000 && libc.plain < libc.rows);
	assert_true(loader.plain > 1000 && nginx.plain > 5000 && cxx.plain > 10000);
	assert_true(libc.holes > 0 && nginx.holes > 0);
}

static void test_vdso(void **state)
{
	_lt_fclose_ FILE *maps = fopen("/proc/self/maps", "r");
	uint64_t image = getauxval(AT_SYSINFO_EHDR), start = 0, end = 0;
	struct lt_unwind_table table;
	struct counts counts;
	char line[512];
	Elf *elf;

	while (fgets(line, sizeof(line), maps) && start != image)
		assert_int_equal(sscanf(line, "%lx-%lx", &start, &end), 2);
	assert_true(image && start == image);
	assert_int_equal(lt_ehframe_build_memory((void *)image, end - start, &table), 0);
	elf = elf_memory((char *)image, end - start);
	counts = compare(elf, &table);
	assert_true(counts.plain > 10);
	elf_end(elf);
	lt_unwind_table_free(&table);
}

/*
 * Code with CFI of every kind.  It never runs.  In an escape 0x0f is DW_CFA_def_cfa_expression and
 * 0x10 DW_CFA_expression; 0x76 is DW_OP_breg6 (RBP), 0x77 breg7 (RSP), 0x80 breg16 (RIP), 6 deref.
 */
__asm__(".pushsection .text.cfi_samples, \"ax\", @progbits\n"
	".macro sample name\n"
	"cfi_\\name: .globl cfi_\\name\n"
	".hidden cfi_\\name\n"
	"nop\n"
	".endm\n"

	".balign 1024\n"
	"sample before\n"
	".cfi_startproc\n"
	"sample entry\n"
	".cfi_adjust_cfa_offset 8\n"
	".cfi_offset %rbp, -16\n"
	"sample pushed\n"
	".cfi_def_cfa_register %rbp\n"
	"sample framed\n"
	".cfi_remember_state\n"
	".cfi_def_cfa %rsp, 8\n"
	".cfi_restore %rbp\n"
	"sample left\n"
	".cfi_restore_state\n"
	"sample restored\n"
	".cfi_same_value %rbp\n"
	"sample same_bp\n"
	".cfi_undefined %rbp\n"
	"sample undefined_bp\n"
	".cfi_register %rbp, %rax\n"
	"sample bp_in_register\n"
	".cfi_escape 0x10, 6, 2, 0x76, 0\n"
	"sample bp_at_bp\n"
	".cfi_escape 0x10, 6, 2, 0x76, 8\n"
	"sample bp_by_expression\n"
	".cfi_offset %rbp, -32760\n"
	"sample far_bp\n"
	".cfi_offset %rbp, -32768\n"
	"sample bp_too_far\n"
	".cfi_offset %rbp, 0\n"
	"sample bp_at_cfa\n"
	".cfi_endproc\n"
	"sample behind\n"

	".cfi_startproc\n"
	".cfi_def_cfa %r10, 0\n"
	"sample r10\n"
	".cfi_def_cfa %r15, -24\n"
	"sample r15\n"
	".cfi_def_cfa %xmm0, 8\n"
	"sample xmm0\n"
	".cfi_escape 0x0f, 3, 0x76, 0x78, 6\n"
	"sample deref\n"
	".cfi_escape 0x0f, 3, 0x77, 0x78, 6\n"
	"sample sp_deref\n"
	".cfi_escape 0x0f, 2, 0x77, 16\n"
	"sample sp_by_expression\n"
	".cfi_escape 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22\n"
	"sample plt\n"
	".cfi_escape 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3a, 0x2a, 0x33, 0x24, 0x22\n"
	"sample plt_ibt\n"
	".cfi_escape 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x32, 0x24, 0x22\n"
	"sample no_plt\n"
	".cfi_def_cfa %rsp, 0x7fffffff\n"
	"sample far_cfa\n"
	".cfi_escape 0x0c, 7, 0x80, 0x80, 0x80, 0x80, 8\n" /* def_cfa RSP, 1 << 31 */
	"sample cfa_too_far\n"
	".cfi_def_cfa %rsp, 16\n"
	".cfi_offset %rip, -16\n"
	"sample ra_elsewhere\n"
	".cfi_escape 0x10, 16, 2, 0x77, 8\n"
	"sample ra_by_expression\n"
	".cfi_same_value %rip\n"
	"sample same_ra\n"
	".cfi_undefined %rip\n"
	"sample end\n"
	".cfi_offset %rip, -8\n"
	"sample page\n"
	".skip 3000, 0x90\n"
	"sample pages_later\n"
	".cfi_def_cfa_offset 24\n"
	"sample last\n"
	".cfi_endproc\n"

	".cfi_startproc\n"
	".cfi_signal_frame\n"
	"sample odd_signal\n"
	".cfi_escape 0x0f, 4, 0x77, 0xa0, 1, 6\n"  /* *(RSP + 160) */
	".cfi_escape 0x10, 16, 3, 0x77, 0xa8, 1\n" /* RSP + 168 */
	"sample signal_without_bp\n"
	".cfi_escape 0x10, 6, 3, 0x77, 0xf8, 0\n" /* RSP + 120 */
	"sample signal\n"
	".cfi_endproc\n"
	".popsection\n");

#define LOST LT_BP_LOST
#define SAMPLES                                                                                    \
	SAMPLE(before, LT_CFA_NONE, 0, 0, 0)                                                       \
	SAMPLE(entry, LT_CFA_SP, 0, 0, 8)                                                          \
	SAMPLE(pushed, LT_CFA_SP, 0, -16, 16)                                                      \
	SAMPLE(framed, LT_CFA_BP, 0, -16, 16)                                                      \
	SAMPLE(left, LT_CFA_SP, 0, 0, 8)                                                           \
	SAMPLE(restored, LT_CFA_BP, 0, -16, 16)                                                    \
	SAMPLE(same_bp, LT_CFA_BP, 0, 0, 16)                                                       \
	SAMPLE(undefined_bp, LT_CFA_BP, 0, LOST, 16)                                               \
	SAMPLE(bp_in_register, LT_CFA_BP, 0, LOST, 16)                                             \
	SAMPLE(bp_at_bp, LT_CFA_BP, 0, LT_BP_AT_BP, 16)                                            \
	SAMPLE(bp_by_expression, LT_CFA_BP, 0, LOST, 16)                                           \
	SAMPLE(far_bp, LT_CFA_BP, 0, -32760, 16)                                                   \
	SAMPLE(bp_too_far, LT_CFA_BP, 0, LOST, 16)                                                 \
	SAMPLE(bp_at_cfa, LT_CFA_BP, 0, LOST, 16)                                                  \
	SAMPLE(behind, LT_CFA_NONE, 0, 0, 0)                                                       \
	SAMPLE(r10, LT_CFA_REGISTER, 10, 0, 0)                                                     \
	SAMPLE(r15, LT_CFA_REGISTER, 15, 0, -24)                                                   \
	SAMPLE(xmm0, LT_CFA_UNSUPPORTED, 0, 0, 0)                                                  \
	SAMPLE(deref, LT_CFA_BP_DEREF, 0, 0, -8)                                                   \
	SAMPLE(sp_deref, LT_CFA_UNSUPPORTED, 0, 0, 0)                                              \
	SAMPLE(sp_by_expression, LT_CFA_SP, 0, 0, 16)                                              \
	SAMPLE(plt, LT_CFA_PLT, 0, 0, 11)                                                          \
	SAMPLE(plt_ibt, LT_CFA_PLT, 0, 0, 10)                                                      \
	SAMPLE(no_plt, LT_CFA_UNSUPPORTED, 0, 0, 0)                                                \
	SAMPLE(far_cfa, LT_CFA_SP, 0, 0, 0x7fffffff)                                               \
	SAMPLE(cfa_too_far, LT_CFA_UNSUPPORTED, 0, 0, 0)                                           \
	SAMPLE(ra_elsewhere, LT_CFA_UNSUPPORTED, 0, 0, 0)                                          \
	SAMPLE(ra_by_expression, LT_CFA_UNSUPPORTED, 0, 0, 0)                                      \
	SAMPLE(same_ra, LT_CFA_UNSUPPORTED, 0, 0, 0)                                               \
	SAMPLE(end, LT_CFA_END, 0, 0, 0)                                                           \
	SAMPLE(page, LT_CFA_SP, 0, 0, 16)                                                          \
	SAMPLE(pages_later, LT_CFA_SP, 0, 0, 16)                                                   \
	SAMPLE(last, LT_CFA_SP, 0, 0, 24)                                                          \
	SAMPLE(odd_signal, LT_CFA_UNSUPPORTED, 0, 0, 0)                                            \
	SAMPLE(signal_without_bp, LT_CFA_UNSUPPORTED, 0, 0, 0)                                     \
	SAMPLE(signal, LT_CFA_SIGNAL, 0, 0, 0)

#define SAMPLE(name, ...) extern const char cfi_##name[];
SAMPLES
#undef SAMPLE

static int first_base(struct dl_phdr_info *info, size_t size, void *base)
{
	*(uint64_t *)base = info->dlpi_addr;
	return 1;
}

static void test_samples(void **state)
{
#define SAMPLE(name, cfa, reg, bp, offset) { #name, cfi_##name, LT_RULE(cfa, reg, bp, offset) },
	static const struct {
		const char *name, *address;
		uint64_t rule;
	} samples[] = { SAMPLES };
#undef SAMPLE
	static const uint64_t least[LT_CFI_SKIP_COUNT] = {
		[LT_CFI_SKIP_CFA_EXPRESSION] = 3, [LT_CFI_SKIP_RETURN_ADDRESS] = 3,
		[LT_CFI_SKIP_FRAME_POINTER] = 3,  [LT_CFI_SKIP_SIGNAL_FRAME] = 2,
		[LT_CFI_SKIP_TOO_LARGE] = 3,
	};
	_lt_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct lt_unwind_table table;
	uint64_t base;

	dl_iterate_phdr(first_base, &base);
	assert_int_equal(lt_ehframe_build(fd, &table), 0);
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		uint64_t rule = lt_unwind_table_rule(&table, (uint64_t)samples[i].address - base);

		if (rule != samples[i].rule)
			fail_msg("%s: %lx instead of %lx", samples[i].name, rule, samples[i].rule);
	}
	for (size_t i = 0; i < LT_CFI_SKIP_COUNT; i++)
		assert_true(table.skipped[i] >= least[i]);
	assert_int_equal(lt_unwind_table_rule(&table, table.origin - 1), RULE_NONE);
	assert_int_equal(lt_unwind_table_rule(&table, UINT64_MAX), RULE_NONE);
	lt_unwind_table_free(&table);
	compare_file("/proc/self/exe");
}

/* Without section headers .eh_frame is found by .eh_frame_hdr; cut short, it ends or is refused. */
static void test_stripped_and_truncated(void **state)
{
	_lt_close_ int fd = open(NGINX, O_RDONLY | O_CLOEXEC);
	struct lt_unwind_table whole, table;
	_lt_free_ uint8_t *bytes = NULL;
	struct stat stat;
	Elf64_Ehdr *header;
	size_t size;

	assert_int_equal(fstat(fd, &stat), 0);
	size = (size_t)stat.st_size;
	bytes = malloc(size);
	assert_int_equal(pread(fd, bytes, size, 0), size);
	assert_int_equal(lt_ehframe_build(fd, &whole), 0);
	header = (Elf64_Ehdr *)bytes;
	header->e_shoff = header->e_shnum = header->e_shstrndx = 0;
	assert_int_equal(lt_ehframe_build_memory(bytes, size, &table), 0);
	assert_int_equal(table.word_count, whole.word_count);
	assert_memory_equal(table.words, whole.words, whole.word_count * sizeof(*whole.words));
	assert_memory_equal(table.rules, whole.rules, whole.rule_count * sizeof(*whole.rules));
	lt_unwind_table_free(&table);
	for (size_t eighths = 0; eighths < 8; eighths++) {
		int err = lt_ehframe_build_memory(bytes, size * eighths / 8, &table);

		assert_true(err == 0 || err == -ENOEXEC || err == -ENODATA);
		if (!err)
			lt_unwind_table_free(&table);
	}
	lt_unwind_table_free(&whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_libdw),
		cmocka_unit_test(test_vdso),
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_stripped_and_truncated),
	};

	elf_version(EV_CURRENT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
