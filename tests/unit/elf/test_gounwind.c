// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf/gounwind.h"

#include <dwarf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "leaktrace/limits.h"
#include "unit/elf/gomake.h"
#include "unit/elf/sound.h"

#define FUNCTION(index) (GO_TEXT + (index)*GO_FUNCTION_SIZE)
#define BP_AT_16        ((uint16_t)-16)
#define SP(offset, bp)  LT_RULE(LT_CFA_SP, 0, bp, offset)

static int build(const struct go_file *made, struct lt_unwind_table *table)
{
	_lt_close_ int fd = memfd_create("go", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, made->bytes, sizeof(made->bytes)), sizeof(made->bytes));
	return lt_gounwind_build(fd, table);
}

/* The rule is that one from start to end, and not right in front of it. */
static void assert_rule(const struct lt_unwind_table *table, uint64_t start, uint64_t end,
			uint64_t rule)
{
	for (uint64_t address = start; address < end; address++)
		assert_int_equal(lt_unwind_table_rule(table, address), rule);
	assert_int_not_equal(lt_unwind_table_rule(table, start - 1), rule);
	assert_int_not_equal(lt_unwind_table_rule(table, end), rule);
}

static void put_code(struct go_file *made, size_t at, const char *code, size_t len)
{
	memcpy(made->bytes + GO_AT_TEXT + at, code, len);
}

/* Where the frame pointer is saved is what the code says; without code that does it, nowhere. */
static void test_prologues(void **state)
{
	static const struct {
		const char *code;
		size_t at, len;
		uint64_t saved; /* 0: never */
	} prologues[] = {
		{ "\x48\x89\x6c\x24\x10", 4, 5, GO_TEXT + 9 }, /* mov %rbp,0x10(%rsp) */
		{ "\x48\x89\xac\x24\x10\x00\x00\x00", 4, 8, GO_TEXT + 12 }, /* the long form */
		{ "\x48\x89\x6c\x24\x08", 4, 5, 0 },                        /* elsewhere */
		{ "\x48\x89\x5c\x24\x10", 4, 5, 0 },                        /* RBX */
		{ "\x55", 3, 1, 0 },                                        /* push, yet 24 bytes */
	};
	static struct go_file made;
	struct lt_unwind_table table;

	for (size_t i = 0; i < 5; i++) {
		go_make_file(&made, i < 2 ? 17 : 22);
		put_code(&made, prologues[i].at, prologues[i].code, prologues[i].len);
		assert_int_equal(build(&made, &table), 0);
		assert_sound(&table);
		assert_rule(&table, GO_TEXT, GO_TEXT + 4, SP(8, 0));
		if (prologues[i].saved) {
			assert_rule(&table, GO_TEXT + 4, prologues[i].saved, SP(GO_FRAME + 8, 0));
			assert_rule(&table, prologues[i].saved, GO_TEXT + 0x3c,
				    SP(GO_FRAME + 8, BP_AT_16));
		} else {
			assert_rule(&table, GO_TEXT + 4, GO_TEXT + 0x3c, SP(GO_FRAME + 8, 0));
		}
		assert_rule(&table, GO_TEXT + 0x3c, FUNCTION(1), SP(8, 0));
		lt_unwind_table_free(&table);
	}
}

/* Runs in the place of those of the frame. */
static void put_runs(struct go_file *made, const struct go_bytes *runs)
{
	memcpy(made->bytes + GO_AT_RODATA + GO_TABLE - GO_RODATA + made->table.pcs + 1, runs->data,
	       runs->len);
}

/* push %rbp; mov %rsp,%rbp; sub $0x10,%rsp */
static void test_push(void **state)
{
	static struct go_file made;
	struct lt_unwind_table table;
	struct go_bytes runs = { .len = 0 };

	go_make_file(&made, 22);
	put_code(&made, 0, "\x55\x48\x89\xe5", 4);
	GO_PUT_RUNS(&runs, { 1, 0 }, { 4, 8 }, { 0x3c, GO_FRAME }, { 0x40, 0 });
	put_runs(&made, &runs);
	assert_int_equal(build(&made, &table), 0);
	assert_rule(&table, GO_TEXT, GO_TEXT + 1, SP(8, 0));
	assert_rule(&table, GO_TEXT + 1, GO_TEXT + 4, SP(16, BP_AT_16));
	assert_rule(&table, GO_TEXT + 4, GO_TEXT + 0x3c, SP(GO_FRAME + 8, BP_AT_16));
	lt_unwind_table_free(&table);
}

/* sub $0x8,%rsp; mov %rbp,(%rsp): a frame of nothing else */
static void test_empty_frame(void **state)
{
	static struct go_file made;
	struct lt_unwind_table table;
	struct go_bytes runs = { .len = 0 };

	go_make_file(&made, 17);
	put_code(&made, 4, "\x48\x89\x2c\x24", 4);
	GO_PUT_RUNS(&runs, { 4, 0 }, { 0x3c, 8 }, { 0x40, 0 });
	put_runs(&made, &runs);
	assert_int_equal(build(&made, &table), 0);
	assert_rule(&table, GO_TEXT + 4, GO_TEXT + 8, SP(16, 0));
	assert_rule(&table, GO_TEXT + 8, GO_TEXT + 0x3c, SP(16, BP_AT_16));
	lt_unwind_table_free(&table);
}

static void test_flags(void **state)
{
	static const unsigned int minors[] = { 15, 16, 17, 19, 22, 27 };
	static struct go_file made;
	struct lt_unwind_table table;

	for (size_t i = 0; i < 6; i++) {
		go_make_file(&made, minors[i]);
		assert_int_equal(build(&made, &table), 0);
		assert_rule(&table, FUNCTION(GO_SWITCH), FUNCTION(GO_SWITCH + 1),
			    LT_RULE(LT_CFA_SWITCH, 0, BP_AT_16, 16));
		assert_rule(&table, FUNCTION(GO_EXIT), FUNCTION(GO_EXIT + 1),
			    LT_RULE(LT_CFA_END, 0, 0, 0));
		assert_int_equal(lt_unwind_table_rule(&table, GO_TEXT - 1), RULE_NONE);
		assert_int_equal(lt_unwind_table_rule(&table, FUNCTION(GO_FUNCTIONS)), RULE_NONE);
		lt_unwind_table_free(&table);
	}
}

/* One that pushes RBP has switched to no other stack before it has, and after it took it back. */
static void test_push_and_switch(void **state)
{
	static struct go_file made;
	struct lt_unwind_table table;
	uint64_t start = FUNCTION(GO_SWITCH);

	go_make_file(&made, 22);
	put_code(&made, GO_SWITCH * GO_FUNCTION_SIZE, "\x55", 1);
	assert_int_equal(build(&made, &table), 0);
	assert_rule(&table, start + 4, start + 0x3c, LT_RULE(LT_CFA_SWITCH, 0, BP_AT_16, 16));
	assert_rule(&table, start + 0x3c, start + 0x40, SP(8, 0));
	assert_int_equal(lt_unwind_table_rule(&table, start), SP(8, 0));
	lt_unwind_table_free(&table);
}

/* Functions that are told by name: the name of the second one is written over. */
static void test_names(void **state)
{
	static const struct {
		const char *name;
		uint64_t rule;
	} names[] = {
		{ "runtime.sigreturn", LT_RULE(LT_CFA_SIGNAL, 0, 0, 0) },
		{ "runtime.mcall", LT_RULE(LT_CFA_END, 0, 0, 0) },
		{ "runtime.morestack", LT_RULE(LT_CFA_END, 0, 0, 0) },
		{ "runtime.cgocallback", SP(GO_FRAME + 8, LT_BP_LOST) },
		{ "runtime.sigtramp", SP(GO_FRAME + 8, 0) },
		{ "racecall", RULE_NONE },
		{ "runtime.asmcgocall", LT_RULE(LT_CFA_SWITCH, 1, LT_BP_LOST, 8) },
	};
	static struct go_file made;
	struct lt_unwind_table table;
	uint8_t *name;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		go_make_file(&made, 22);
		name = made.bytes + GO_AT_RODATA + GO_TABLE - GO_RODATA + made.table.names + 1;
		memcpy(name + sizeof("main.main"), names[i].name, strlen(names[i].name) + 1);
		assert_int_equal(build(&made, &table), 0);
		assert_int_equal(lt_unwind_table_rule(&table, FUNCTION(GO_SWITCH) + 0x20),
				 names[i].rule);
		lt_unwind_table_free(&table);
	}
}

/* asmcgocall says itself where it came from: in one place until 1.21, and in another since. */
static void test_note(void **state)
{
	static struct go_file made;
	struct lt_unwind_table table;

	for (unsigned int minor = 19; minor <= 23; minor++) {
		go_make_file(&made, minor);
		memcpy(made.bytes + GO_AT_RODATA + GO_TABLE - GO_RODATA + made.table.names + 1 +
			       sizeof("main.main"),
		       "runtime.asmcgocall", sizeof("runtime.asmcgocall"));
		if (minor > 20)
			put_code(&made, GO_SWITCH * GO_FUNCTION_SIZE, "\x55", 1);
		assert_int_equal(build(&made, &table), 0);
		assert_int_equal(lt_unwind_table_rule(&table, FUNCTION(GO_SWITCH) + 0x20),
				 LT_RULE(LT_CFA_SWITCH, minor < 22 ? 6 : 1,
					 minor < 21 ? LT_BP_LOST : BP_AT_16, minor < 21 ? 8 : 16));
		lt_unwind_table_free(&table);
	}
}

/* What lies on a stack as if it had called: the last byte in front of it says how to go on. */
static void test_laid(void **state)
{
	static const char name[] = "runtime.systemstack_switch";
	static struct go_file made;
	struct lt_unwind_table table;
	struct go_bytes runs = { .len = 0 };
	uint64_t start = FUNCTION(GO_SWITCH);

	for (int gap = 0; gap < 2; gap++) {
		go_make_file(&made, 22);
		memcpy(made.bytes + GO_AT_RODATA + GO_TABLE - GO_RODATA + made.table.names + 1 +
			       sizeof("main.main"),
		       name, sizeof(name));
		runs.len = 0;
		GO_PUT_RUNS(&runs, { 4, 0 }, { 0x3c - 8 * gap, GO_FRAME }, { 0x40 - 8 * gap, 0 });
		put_runs(&made, &runs);
		assert_int_equal(build(&made, &table), 0);
		assert_sound(&table);
		assert_int_equal(lt_unwind_table_rule(&table, start), SP(8, 0));
		if (gap) {
			assert_rule(&table, start - 8, start - 1, RULE_NONE);
			assert_rule(&table, start - 1, start, LT_RULE(LT_CFA_START, 0, 0, 8));
		} else {
			assert_int_equal(lt_unwind_table_rule(&table, start - 1), SP(8, 0));
		}
		lt_unwind_table_free(&table);
	}
}

/* A delta that no code has. */
static void test_odd_delta(void **state)
{
	static const int16_t deltas[] = { -8, 12 };
	static struct go_file made;
	struct lt_unwind_table table;
	struct go_bytes runs;

	for (size_t i = 0; i < 2; i++) {
		go_make_file(&made, 22);
		runs.len = 0;
		GO_PUT_RUNS(&runs, { 4, 0 }, { 0x3c, deltas[i] }, { 0x40, 0 });
		put_runs(&made, &runs);
		assert_int_equal(build(&made, &table), 0);
		assert_rule(&table, GO_TEXT + 4, GO_TEXT + 0x3c,
			    LT_RULE(LT_CFA_UNSUPPORTED, 0, 0, 0));
		lt_unwind_table_free(&table);
	}
}

/* C code behind Go's: its CFI, told by PT_GNU_EH_FRAME, in the table that covers both. */
static void add_cfi(struct go_file *made, uint64_t start, uint32_t size)
{
	const uint64_t address = GO_DATA + 0x800;
	struct {
		uint8_t search[4];
		int32_t pointer;
		uint32_t cie_length, cie_id;
		uint8_t cie[16];
		uint32_t fde_length, fde_cie;
		uint64_t start, size;
		uint8_t data_size, program[7];
		uint32_t end;
	} __attribute__((packed)) cfi = {
		.search = { 1, DW_EH_PE_pcrel | DW_EH_PE_sdata4 },
		.pointer = 4,
		.cie_length = 20,
		.cie = { 1, 'z', 'R', 0, 1, 0x78, 16, 1, DW_EH_PE_absptr, DW_CFA_def_cfa, 7, 48,
			 DW_CFA_offset + 16, 1 },
		.fde_length = 28,
		.fde_cie = 28,
		.start = start,
		.size = size,
	};
	Elf64_Phdr *segments = (Elf64_Phdr *)(made->bytes + sizeof(Elf64_Ehdr));

	memcpy(made->bytes + GO_AT_DATA + 0x800, &cfi, sizeof(cfi));
	segments[3] = (Elf64_Phdr){ .p_type = PT_GNU_EH_FRAME,
				    .p_offset = GO_AT_DATA + 0x800,
				    .p_vaddr = address,
				    .p_filesz = sizeof(cfi) };
	/* The text goes on, behind what is Go's. */
	segments[0].p_filesz = 0x400;
}

static void test_c_code(void **state)
{
	static struct go_file made;
	struct lt_unwind_table table;

	go_make_file(&made, 22);
	add_cfi(&made, FUNCTION(GO_FUNCTIONS) + 0x40, 0x80);
	assert_int_equal(build(&made, &table), 0);
	assert_sound(&table);
	assert_rule(&table, FUNCTION(GO_EXIT), FUNCTION(GO_EXIT + 1), LT_RULE(LT_CFA_END, 0, 0, 0));
	assert_rule(&table, FUNCTION(GO_FUNCTIONS) + 0x40, FUNCTION(GO_FUNCTIONS) + 0xc0,
		    SP(48, 0));
	assert_int_equal(lt_unwind_table_rule(&table, FUNCTION(GO_FUNCTIONS)), RULE_NONE);
	lt_unwind_table_free(&table);
	/* Where both speak, Go's holds. */
	go_make_file(&made, 22);
	add_cfi(&made, FUNCTION(GO_EXIT), 0x400 - GO_EXIT * GO_FUNCTION_SIZE);
	assert_int_equal(build(&made, &table), 0);
	assert_sound(&table);
	assert_rule(&table, FUNCTION(GO_EXIT), FUNCTION(GO_EXIT + 1), LT_RULE(LT_CFA_END, 0, 0, 0));
	assert_rule(&table, FUNCTION(GO_FUNCTIONS), GO_TEXT + 0x400, SP(48, 0));
	lt_unwind_table_free(&table);
}

/* C code too far away for one table: Go's stays. */
static void test_c_code_refused(void **state)
{
	const uint64_t far = GO_TEXT + (1ULL << 40);
	static struct go_file made;
	struct lt_unwind_table table;
	Elf64_Phdr *segments = (Elf64_Phdr *)(made.bytes + sizeof(Elf64_Ehdr));

	go_make_file(&made, 22);
	add_cfi(&made, far, 0x40);
	segments[4] = (Elf64_Phdr){ .p_type = PT_LOAD,
				    .p_flags = PF_R | PF_X,
				    .p_offset = GO_AT_TEXT,
				    .p_vaddr = far,
				    .p_filesz = 0x40 };
	go_file_set(&made, offsetof(Elf64_Ehdr, e_phnum), 5, 2);
	assert_int_equal(build(&made, &table), 0);
	assert_sound(&table);
	assert_rule(&table, FUNCTION(GO_EXIT), FUNCTION(GO_EXIT + 1), LT_RULE(LT_CFA_END, 0, 0, 0));
	assert_true(lt_unwind_table_rule(&table, far) == RULE_NONE);
	lt_unwind_table_free(&table);
}

static void test_no_go(void **state)
{
	static struct go_file made;
	struct lt_unwind_table table;
	_lt_close_ int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_int_equal(lt_gounwind_build(self, &table), -ENODATA);
	go_make_file(&made, 22); /* of an unknown form: C's rules are all there is */
	made.bytes[GO_AT_RODATA + GO_TABLE - GO_RODATA] = 0xf2;
	assert_int_equal(build(&made, &table), -ENODATA);
	go_make_file(&made, 22); /* too large: the same */
	go_file_set(&made, GO_AT_MODULE + 112, LT_MAX_GO_TABLE, 8);
	assert_int_equal(build(&made, &table), -ENODATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prologues),
		cmocka_unit_test(test_push),
		cmocka_unit_test(test_empty_frame),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_push_and_switch),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_odd_delta),
		cmocka_unit_test(test_c_code),
		cmocka_unit_test(test_c_code_refused),
		cmocka_unit_test(test_no_go),
		cmocka_unit_test(test_laid),
		cmocka_unit_test(test_note),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
