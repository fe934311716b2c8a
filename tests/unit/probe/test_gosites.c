// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "probe/gosites.h"
#include "probe/gosites_code.h"

#define CODE(...) { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })

#define ENTRY  0x401000
#define CALLEE 0x402000
/* call CALLEE, at offset AT */
#define CALL(at) 0xe8, (uint8_t)(CALLEE - ENTRY - (at)-5), (CALLEE - ENTRY - (at)-5) >> 8, 0, 0

/* cmp 16(%r14),%rsp; lea -0x40(%rsp),%r12 and cmp 16(%r14),%r12; lea with 32 bits; Go 1.17 on */
#define CMP_RSP   0x49, 0x3b, 0x66, 0x10
#define LEA_8     0x4c, 0x8d, 0x64, 0x24, 0xc0
#define LEA_32    0x4c, 0x8d, 0xa4, 0x24, 0xd0, 0xfd, 0xff, 0xff
#define CMP_R12   0x4d, 0x3b, 0x66, 0x10
#define PUSH_RBP  0x55
#define MOV_RBP   0x48, 0x89, 0xe5
#define RET       0xc3
#define TEST_RAX  0x48, 0x85, 0xc0
#define XOR_EAX   0x31, 0xc0
#define XOR_EBX   0x31, 0xdb
#define XOR_ECX   0x31, 0xc9
#define STORE_RAX 0x48, 0x89, 0x44, 0x24, 0x08
#define LONG_NOP  0x0f, 0x1f, 0x44, 0x00, 0x00

static const struct {
	const char *what;
	uint8_t code[64];
	size_t len;
	enum lt_go_place place;
	ZydisRegister reg;
	size_t count;
	uint32_t offset; /* of the last site */
	bool emulated, stack_check;
} cases[] = {
	/* prologues, as the compiler writes them (stacksplit() in cmd/internal/obj/x86/obj6.go) */
	{ "small frame, jbe rel8", CODE(CMP_RSP, 0x76, 2, PUSH_RBP, RET, 0xeb, 0xf6),
	  LT_GO_AT_ENTRY, ZYDIS_REGISTER_RAX, 1, 4, true, true },
	{ "small frame, jbe rel32",
	  CODE(CMP_RSP, 0x0f, 0x86, 2, 0, 0, 0, PUSH_RBP, RET, 0xeb, 0xf2), LT_GO_AT_ENTRY,
	  ZYDIS_REGISTER_RDI, 1, 4, true, true },
	{ "frame of more than 128 bytes",
	  CODE(LEA_8, CMP_R12, 0x0f, 0x86, 2, 0, 0, 0, PUSH_RBP, RET, 0xeb, 0xed), LT_GO_AT_ENTRY,
	  ZYDIS_REGISTER_RAX, 1, 9, true, true },
	{ "frame of more than 256 bytes", CODE(LEA_32, CMP_R12, 0x76, 2, PUSH_RBP, RET, 0xeb, 0xee),
	  LT_GO_AT_ENTRY, ZYDIS_REGISTER_RBX, 1, 12, true, true },
	{ "huge frame: mov; sub; jb; cmp; jbe",
	  CODE(0x49, 0x89, 0xe4, 0x49, 0x81, 0xec, 0x60, 0x1c, 0, 0, 0x72, 8, CMP_R12, 0x76, 2,
	       PUSH_RBP, RET, 0xeb, 0xea),
	  LT_GO_AT_ENTRY, ZYDIS_REGISTER_RAX, 1, 16, true, true },
	{ "on the system stack: cmp 24(%r14),%rsp",
	  CODE(0x49, 0x3b, 0x66, 0x18, 0x76, 2, PUSH_RBP, RET, 0xeb, 0xf6), LT_GO_AT_ENTRY,
	  ZYDIS_REGISTER_RBX, 1, 4, true, true },
	{ "padded before the jump", CODE(CMP_RSP, 0x90, 0x76, 2, PUSH_RBP, RET, 0xeb, 0xf5),
	  LT_GO_AT_ENTRY, ZYDIS_REGISTER_RAX, 1, 5, true, true },
	/* without a check */
	{ "nosplit: push %rbp", CODE(PUSH_RBP, MOV_RBP, RET), LT_GO_AT_ENTRY, ZYDIS_REGISTER_RAX, 1,
	  0, true, false },
	{ "nosplit: test; je", CODE(TEST_RAX, 0x74, 1, RET, RET), LT_GO_AT_ENTRY,
	  ZYDIS_REGISTER_RAX, 1, 3, true, false },
	{ "nosplit: the frame is made at once", CODE(0x48, 0x83, 0xec, 0x18, 0x90, RET),
	  LT_GO_AT_ENTRY, ZYDIS_REGISTER_RAX, 0, 0, false, false },
	{ "nosplit leaf: nothing is emulated", CODE(0x48, 0x8b, 0, RET, 0xcc), LT_GO_AT_ENTRY,
	  ZYDIS_REGISTER_RAX, 0, 0, false, false },
	{ "nosplit that loops to its entry", CODE(TEST_RAX, 0x74, 2, 0xeb, 0xf9, RET),
	  LT_GO_AT_ENTRY, ZYDIS_REGISTER_RAX, 0, 0, false, false },
	{ "nosplit that calls itself", CODE(PUSH_RBP, 0xe8, 0xfa, 0xff, 0xff, 0xff, RET),
	  LT_GO_AT_ENTRY, ZYDIS_REGISTER_RAX, 1, 0, true, false },
	{ "cmp with another word of g", CODE(0x49, 0x3b, 0x66, 0x20, 0x76, 2, PUSH_RBP, RET),
	  LT_GO_AT_ENTRY, ZYDIS_REGISTER_RAX, 1, 4, true, false },
	{ "Go 1.16 and before: mov %fs:-8,%rcx; cmp 16(%rcx),%rsp; jbe",
	  CODE(0x64, 0x48, 0x8b, 0x0c, 0x25, 0xf8, 0xff, 0xff, 0xff, 0x48, 0x3b, 0x61, 0x10, 0x76,
	       2, PUSH_RBP, RET, 0xeb, 0xed),
	  LT_GO_AT_ENTRY, ZYDIS_REGISTER_RAX, 0, 0, false, false },
	/* the register is gone */
	{ "overwritten before the check",
	  CODE(XOR_EAX, CMP_RSP, 0x76, 2, PUSH_RBP, RET, 0xeb, 0xf4), LT_GO_AT_ENTRY,
	  ZYDIS_REGISTER_RAX, 0, 0, false, false },
	{ "... another one is not", CODE(XOR_EAX, CMP_RSP, 0x76, 2, PUSH_RBP, RET, 0xeb, 0xf4),
	  LT_GO_AT_ENTRY, ZYDIS_REGISTER_RBX, 1, 6, true, true },
	{ "in part: mov $1,%bl", CODE(0xb3, 1, PUSH_RBP, RET), LT_GO_AT_ENTRY, ZYDIS_REGISTER_RBX,
	  0, 0, false, false },
	{ "implied: cpuid", CODE(0x0f, 0xa2, PUSH_RBP, RET), LT_GO_AT_ENTRY, ZYDIS_REGISTER_RBX, 0,
	  0, false, false },
	/* jumps into the prologue */
	{ "onto the check", CODE(CMP_RSP, 0x76, 2, PUSH_RBP, RET, 0xeb, 0xfa), LT_GO_AT_ENTRY,
	  ZYDIS_REGISTER_RAX, 0, 0, false, false },
	{ "behind it", CODE(CMP_RSP, 0x76, 2, PUSH_RBP, RET, 0xeb, 0xfc), LT_GO_AT_ENTRY,
	  ZYDIS_REGISTER_RAX, 1, 4, true, true },
	/* at calls */
	{ "body with the call", CODE(CMP_RSP, 0x76, 7, PUSH_RBP, CALL(7), RET, 0xeb, 0xf1),
	  LT_GO_AT_CALL, ZYDIS_REGISTER_RBX, 1, 7, true, false },
	{ "two of them", CODE(PUSH_RBP, CALL(1), CALL(6), RET), LT_GO_AT_CALL, ZYDIS_REGISTER_RBX,
	  2, 6, true, false },
	{ "more than any has", CODE(CALL(0), CALL(5), CALL(10), CALL(15), CALL(20), RET),
	  LT_GO_AT_CALL, ZYDIS_REGISTER_RBX, 0, 0, false, false },
	{ "calls of others", CODE(PUSH_RBP, CALL(2), RET), LT_GO_AT_CALL, ZYDIS_REGISTER_RBX, 0, 0,
	  false, false },
	{ "a jump there is no call", CODE(0xe9, 0xfb, 0x0f, 0, 0), LT_GO_AT_CALL,
	  ZYDIS_REGISTER_RBX, 0, 0, false, false },
	{ "bytes of a call in another instruction", CODE(0x48, 0xb8, CALL(2), 0, 0, 0, RET),
	  LT_GO_AT_CALL, ZYDIS_REGISTER_RBX, 0, 0, false, false },
	/* behind calls */
	{ "test; je", CODE(PUSH_RBP, CALL(1), TEST_RAX, 0x74, 1, RET, RET), LT_GO_BEHIND_CALL,
	  ZYDIS_REGISTER_RAX, 1, 9, true, false },
	{ "long nop; test; je rel32",
	  CODE(PUSH_RBP, CALL(1), 0x0f, 0x1f, 0, TEST_RAX, 0x0f, 0x84, 1, 0, 0, 0, RET, RET),
	  LT_GO_BEHIND_CALL, ZYDIS_REGISTER_RAX, 1, 12, true, false },
	{ "nop", CODE(CALL(0), 0x90, TEST_RAX, 0x74, 1, RET, RET), LT_GO_BEHIND_CALL,
	  ZYDIS_REGISTER_RAX, 1, 5, true, false },
	{ "stored, then the write barrier's jne",
	  CODE(CALL(0), STORE_RAX, 0x83, 0x3d, 0, 0, 0, 0, 0, 0x75, 1, RET, RET), LT_GO_BEHIND_CALL,
	  ZYDIS_REGISTER_RAX, 1, 17, true, false },
	{ "overwritten before any: stepped over", CODE(CALL(0), STORE_RAX, XOR_EAX, 0x75, 0, RET),
	  LT_GO_BEHIND_CALL, ZYDIS_REGISTER_RAX, 1, 5, false, false },
	{ "returned at once: stepped over", CODE(CALL(0), RET), LT_GO_BEHIND_CALL,
	  ZYDIS_REGISTER_RAX, 1, 5, false, false },
	{ "another way leads to the je: stepped over",
	  CODE(CALL(0), TEST_RAX, 0x74, 1, RET, 0xeb, 0xfb), LT_GO_BEHIND_CALL, ZYDIS_REGISTER_RAX,
	  1, 5, false, false },
	{ "another way leads behind the call", CODE(CALL(0), TEST_RAX, 0x74, 1, RET, 0xeb, 0xf8),
	  LT_GO_BEHIND_CALL, ZYDIS_REGISTER_RAX, 0, 0, false, false },
	{ "nothing behind it", CODE(PUSH_RBP, CALL(1)), LT_GO_BEHIND_CALL, ZYDIS_REGISTER_RAX, 0, 0,
	  false, false },
	/* code that is not what it should be */
	{ "no instruction, behind the check", CODE(CMP_RSP, 0x76, 2, PUSH_RBP, 6, RET),
	  LT_GO_AT_ENTRY, ZYDIS_REGISTER_RAX, 0, 0, false, false },
	{ "no instruction, behind the call", CODE(CALL(0), 0x90, RET, 6), LT_GO_AT_CALL,
	  ZYDIS_REGISTER_RBX, 0, 0, false, false },
	{ "cut in the check", CODE(CMP_RSP, 0x0f, 0x86, 2), LT_GO_AT_ENTRY, ZYDIS_REGISTER_RAX, 0,
	  0, false, false },
	{ "cut in the body", CODE(CMP_RSP, 0x76, 2, PUSH_RBP, RET, 0xe8, 0), LT_GO_AT_ENTRY,
	  ZYDIS_REGISTER_RAX, 0, 0, false, false },
	{ "cut in the call", CODE(PUSH_RBP, 0xe8, 0xfa, 0x0f), LT_GO_AT_CALL, ZYDIS_REGISTER_RBX, 0,
	  0, false, false },
};

static void test_code(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lt_go_code_site sites[LT_GO_CODE_SITES] = { { 0 } }, *last = sites;
		uint8_t exact[64]; /* so that a sanitizer sees what is read beyond */
		struct lt_go_code code = { .bytes = exact + sizeof(exact) - cases[i].len,
					   .len = cases[i].len,
					   .address = ENTRY,
					   .place = cases[i].place,
					   .reg = cases[i].reg,
					   .callee = CALLEE };
		size_t count;

		memcpy(exact + sizeof(exact) - cases[i].len, cases[i].code, cases[i].len);
		count = lt_go_code_search(&code, sites);
		if (count)
			last = &sites[count - 1];
		if (count != cases[i].count || last->offset != cases[i].offset ||
		    last->emulated != cases[i].emulated ||
		    last->stack_check != cases[i].stack_check)
			fail_msg("%s: %zu sites, +%u, emulated %d, stack check %d", cases[i].what,
				 count, last->offset, last->emulated, last->stack_check);
	}
}

static const struct {
	const char *what;
	uint8_t code[32];
	size_t len;
	enum lt_go_place place;
	bool padded; /* the last site */
} paddings[] = {
	{ "five bytes", CODE(PUSH_RBP, LONG_NOP, CALL(6), RET), LT_GO_AT_CALL, true },
	{ "before the first of two", CODE(LONG_NOP, CALL(5), CALL(10), RET), LT_GO_AT_CALL, false },
	{ "before the second", CODE(CALL(0), LONG_NOP, CALL(10), RET), LT_GO_AT_CALL, true },
	{ "four bytes", CODE(0x0f, 0x1f, 0x40, 0, CALL(4), RET), LT_GO_AT_CALL, false },
	{ "another NOP of five", CODE(0x0f, 0x1f, 0x44, 8, 0, CALL(5), RET), LT_GO_AT_CALL, false },
	{ "at the end of mov", CODE(0x48, 0xb8, 0, 0, 0, LONG_NOP, CALL(10), RET), LT_GO_AT_CALL,
	  false },
	{ "something jumps past it", CODE(TEST_RAX, 0x74, 5, LONG_NOP, CALL(10), RET),
	  LT_GO_AT_CALL, false },
	{ "something jumps to it", CODE(TEST_RAX, 0x74, 0, LONG_NOP, CALL(10), RET), LT_GO_AT_CALL,
	  true },
	{ "the site is behind the call", CODE(LONG_NOP, CALL(5), TEST_RAX, 0x74, 1, RET, RET),
	  LT_GO_BEHIND_CALL, false },
};

static void test_padding(void **state)
{
	for (size_t i = 0; i < sizeof(paddings) / sizeof(paddings[0]); i++) {
		struct lt_go_code_site sites[LT_GO_CODE_SITES] = { { 0 } };
		struct lt_go_code code = { .bytes = paddings[i].code,
					   .len = paddings[i].len,
					   .address = ENTRY,
					   .place = paddings[i].place,
					   .reg = ZYDIS_REGISTER_RAX,
					   .callee = CALLEE };
		size_t count = lt_go_code_search(&code, sites);

		assert_true(count);
		if (sites[count - 1].padded != paddings[i].padded)
			fail_msg("%s: padded %d", paddings[i].what, sites[count - 1].padded);
	}
}

static void test_code_lengths(void **state)
{
	struct lt_go_code_site sites[LT_GO_CODE_SITES];
	static uint8_t nops[LT_GO_CODE_MAX];
	struct lt_go_code code = { .bytes = nops, .reg = ZYDIS_REGISTER_RAX };

	memset(nops, 0x90, sizeof(nops));
	for (code.place = LT_GO_AT_ENTRY; code.place <= LT_GO_BEHIND_CALL; code.place++) {
		code.len = 0;
		assert_int_equal(lt_go_code_search(&code, sites), 0);
		code.len = SIZE_MAX;
		assert_int_equal(lt_go_code_search(&code, sites), 0);
		code.len = sizeof(nops) + 1;
		assert_int_equal(lt_go_code_search(&code, sites), 0);
		code.len = sizeof(nops);
		assert_int_equal(lt_go_code_search(&code, sites), code.place == LT_GO_AT_ENTRY);
	}
}

/*
 * A module made here, in place of user/elf/gofile.c: function i lies at BASE + i * 0x100, its code at that
 * address, and in the file FILE_SHIFT before.
 */
#define BASE       0x500000ULL
#define FILE_SHIFT 0x400000ULL
#define PLAIN      CODE(CMP_RSP, 0x76, 2, PUSH_RBP, RET, 0xeb, 0xf6)

struct made_function {
	const char *name;
	uint8_t code[32];
	size_t len;
	const char *calls; /* in it: call rel32, at .call_at */
	uint8_t call_at;
	bool wrapper;
	const char *inlined; /* a function that was inlined into it */
};

struct lt_gofile {
	struct lt_gofile_info info;
	struct lt_gopclntab table;
	const struct made_function *functions;
	size_t count;
	uint64_t long_size; /* of the first function; 0: as it is */
	bool no_offsets;
};

static struct lt_gofile made;

const struct lt_gofile_info *lt_gofile_info(const struct lt_gofile *file)
{
	return &file->info;
}

const struct lt_gopclntab *lt_gofile_pclntab(const struct lt_gofile *file)
{
	return &file->table;
}

bool lt_gopclntab_at(const struct lt_gopclntab *table, uint64_t index,
		     struct lt_go_function *function)
{
	uint64_t entry = BASE + index * 0x100;

	if (index >= made.count)
		return false;
	*function = (struct lt_go_function){
		.name = made.functions[index].name,
		.entry = entry,
		.end = entry +
		       (!index && made.long_size ? made.long_size : made.functions[index].len),
		.wrapper = made.functions[index].wrapper,
	};
	return true;
}

int lt_gopclntab_each_inlined(const struct lt_gopclntab *table,
			      const struct lt_go_function *function,
			      int (*visit)(void *context, const char *name), void *context)
{
	const char *name = made.functions[(function->entry - BASE) / 0x100].inlined;

	return name ? visit(context, name) : 0;
}

long lt_gofile_read(const struct lt_gofile *file, uint64_t address, void *to, size_t len)
{
	const struct made_function *function = &made.functions[(address - BASE) / 0x100];
	uint8_t code[32];

	if (len > function->len)
		return -EFAULT;
	memcpy(code, function->code, sizeof(code));
	for (size_t i = 0; i < made.count && function->calls; i++) {
		int32_t distance = (int32_t)(BASE + i * 0x100 - address - function->call_at - 5);

		if (!strcmp(made.functions[i].name, function->calls) && !made.functions[i].wrapper)
			memcpy(code + function->call_at + 1, &distance, sizeof(distance));
	}
	memcpy(to, code, len);
	return (long)len;
}

bool lt_gofile_offset_of(const struct lt_gofile *file, uint64_t address, uint64_t *offset)
{
	*offset = address - FILE_SHIFT;
	return !file->no_offsets;
}

static void make(unsigned int minor, const struct made_function *functions, size_t count)
{
	made = (struct lt_gofile){
		.info.minor = minor,
		.table = { .pointer_bytes = 8, .format = 20, .function_count = count },
		.functions = functions,
		.count = count
	};
}
#define MAKE(minor, functions) make(minor, functions, sizeof(functions) / sizeof((functions)[0]))
#define BIT(probe)             (1U << LT_GO_PROBE_##probe)

static struct lt_go_sites find(uint32_t wanted)
{
	struct lt_go_sites sites;

	assert_int_equal(lt_go_sites_find(&made, wanted, &sites), 0);
	return sites;
}

static const struct made_function of_time[] = {
	{ "time.NewTicker",
	  CODE(CMP_RSP, 0x76, 12, PUSH_RBP, CALL(7), TEST_RAX, 0x75, 1, RET, RET, 0xeb, 0xec),
	  "time.newTimer", 7, false, NULL },
	{ "time.newTimer", PLAIN, NULL, 0, true,
	  NULL }, /* the wrapper's address is none that is called */
	{ "time.newTimer", PLAIN, NULL, 0, false, NULL },
	{ "time.startTimer", PLAIN, NULL, 0, false, NULL },
	{ "time.stopTimer", PLAIN, NULL, 0, false, NULL },
};

/* From 1.23 on a ticker is no leak, and no probe tells of any. */
static void test_versions(void **state)
{
	uint32_t wanted = BIT(TIMER_START) | BIT(TICKER_STOP) | BIT(CONTEXT);
	static const struct {
		unsigned int minor;
		bool new;
	} versions[] = { { 19, false }, { 22, false }, { 23, true }, { 99, true }, { 0, true } };

	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		struct lt_go_sites sites;

		MAKE(versions[i].minor, of_time);
		sites = find(wanted);
		assert_int_equal(sites.failed, 0);
		assert_int_equal(sites.absent, versions[i].new ? wanted : BIT(CONTEXT));
		assert_int_equal(sites.count, versions[i].new ? 0 : 2);
		if (!versions[i].new) {
			assert_int_equal(sites.items[0].probe, LT_GO_PROBE_TIMER_START);
			assert_int_equal(sites.items[0].address, BASE + 0x304);
			assert_int_equal(sites.items[1].probe, LT_GO_PROBE_TICKER_STOP);
			assert_int_equal(sites.items[1].address, BASE + 0x404);
			assert_int_equal(sites.items[1].file_offset, BASE + 0x404 - FILE_SHIFT);
			assert_true(sites.items[1].emulated);
		}
		lt_go_sites_free(&sites);
		assert_null(sites.items);
	}
}

static void test_only_wanted(void **state)
{
	struct lt_go_sites sites;

	MAKE(22, of_time);
	sites = find(0);
	assert_int_equal(sites.count | sites.failed | sites.absent, 0);
	lt_go_sites_free(&sites);
	sites = find(BIT(TICKER_STOP));
	assert_int_equal(sites.count, 1);
	assert_int_equal(sites.absent, 0);
	lt_go_sites_free(&sites);
	sites = find(UINT32_MAX);
	assert_int_equal(sites.count, 2);
	assert_int_equal(sites.absent >> LT_GO_PROBES, 0);
	lt_go_sites_free(&sites);
}

/* Nothing is known of arguments before 1.17, and of 32-bit programs. */
static void test_unknown_modules(void **state)
{
	static const struct made_function cancel[] = {
		{ "context.(*cancelCtx).cancel", PLAIN, NULL, 0, false, NULL },
	};
	struct lt_go_sites unknown;
	uint32_t wanted = BIT(TIMER_START) | BIT(TICKER_STOP) | BIT(BODY);

	for (int i = 0; i < 3; i++) {
		struct lt_go_sites sites;

		MAKE(i ? 22 : 16, of_time);
		if (i == 1)
			made.table.pointer_bytes = 4;
		if (i == 2)
			made.no_offsets = true;
		sites = find(wanted);
		assert_int_equal(sites.count, 0);
		assert_int_equal(sites.failed, wanted & ~BIT(BODY));
		assert_int_equal(sites.absent, BIT(BODY));
		lt_go_sites_free(&sites);
	}

	MAKE(16, cancel);
	made.info.minor = 0; /* by its table alone */
	made.table.format = 16;
	unknown = find(BIT(CANCEL));
	assert_int_equal(unknown.count, 0);
	assert_int_equal(unknown.failed, BIT(CANCEL));
	lt_go_sites_free(&unknown);
}

/* Of a function that is there twice no one knows which it is; sizes are what the file says. */
static void test_hostile_tables(void **state)
{
	static const struct made_function twice[] = {
		{ "time.stopTimer", PLAIN, NULL, 0, false, NULL },
		{ "time.stopTimer", PLAIN, NULL, 0, false, NULL },
	};
	static const uint64_t sizes[] = { LT_GO_CODE_MAX + 1ULL, 1ULL << 40,
					  0 - BASE /* ends at 0 */, 64 /* beyond what is there */ };
	struct lt_go_sites sites;

	MAKE(22, twice);
	sites = find(BIT(TICKER_STOP));
	assert_int_equal(sites.count, 0);
	assert_int_equal(sites.failed, BIT(TICKER_STOP));
	lt_go_sites_free(&sites);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		MAKE(22, twice);
		made.table.function_count = 1;
		made.long_size = sizes[i];
		sites = find(BIT(TICKER_STOP));
		assert_int_equal(sites.count, 0);
		assert_int_equal(sites.failed, BIT(TICKER_STOP));
		lt_go_sites_free(&sites);
	}
}

/* What was inlined somewhere, as with -pgo, has calls that no probe sees. */
static void test_inlined(void **state)
{
	struct made_function functions[] = {
		{ "context.(*cancelCtx).cancel", PLAIN, NULL, 0, false, NULL },
		{ "context.(*timerCtx).cancel", PLAIN, NULL, 0, false, NULL },
		{ "time.stopTimer", PLAIN, NULL, 0, false, NULL },
		{ "runtime.(*scavengerState).sleep", PLAIN, NULL, 0, false, NULL },
	};
	static const struct {
		int into;
		const char *inlined;
		bool cancel_fails, stop_fails;
	} expected[] = {
		{ 0, NULL, false, false },
		{ 1, "context.(*cancelCtx).cancel", true, false },
		{ 0, "context.(*timerCtx).cancel", false, false },
		{ 0, "time.stopTimer", false, true },
		{ 3, "time.stopTimer", false, false }, /* a timer of the runtime's own */
	};
	struct lt_go_sites sites;

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		functions[expected[i].into].inlined = expected[i].inlined;
		MAKE(22, functions);
		sites = find(BIT(CANCEL) | BIT(TICKER_STOP));
		assert_int_equal(sites.failed,
				 (expected[i].cancel_fails ? BIT(CANCEL) : 0) |
					 (expected[i].stop_fails ? BIT(TICKER_STOP) : 0));
		assert_int_equal(sites.count,
				 2 - expected[i].cancel_fails - expected[i].stop_fails);
		lt_go_sites_free(&sites);
		functions[expected[i].into].inlined = NULL;
	}

	MAKE(22, functions); /* so much so that nothing of it is left */
	functions[0].name = "main.main";
	functions[1].inlined = "context.(*cancelCtx).cancel";
	sites = find(BIT(CANCEL));
	assert_int_equal(sites.failed, BIT(CANCEL));
	lt_go_sites_free(&sites);
}

/* In 1.20 alone the pointer at a context's creation is not that at the embedded one's cancel(). */
static void test_contexts_of_1_20(void **state)
{
	static const struct made_function functions[] = {
		{ "context.(*cancelCtx).cancel", PLAIN, NULL, 0, false, NULL },
		{ "context.(*timerCtx).cancel", PLAIN, NULL, 0, false, NULL },
		{ "context.propagateCancel", CODE(PUSH_RBP, CALL(1), RET), "runtime.mapassign", 1,
		  false, NULL },
		{ "context.(*cancelCtx).propagateCancel", CODE(PUSH_RBP, CALL(1), RET),
		  "runtime.mapassign", 1, false, NULL },
		{ "runtime.mapassign", PLAIN, NULL, 0, false, NULL },
	};

	for (unsigned int minor = 19; minor <= 21; minor++) {
		struct lt_go_sites sites;

		MAKE(minor, functions);
		sites = find(BIT(CONTEXT) | BIT(CANCEL));
		assert_int_equal(sites.count, minor == 20 ? 3 : 2);
		assert_int_equal(sites.absent, 0);
		assert_int_equal(sites.failed, 0);
		lt_go_sites_free(&sites);
	}
}

static const struct made_function of_runtime[] = {
	{ "runtime.newproc", PLAIN, NULL, 0, false, NULL },
	{ "runtime.(*mcentral).grow", CODE(PUSH_RBP, CALL(1), TEST_RAX, 0x74, 1, RET, RET),
	  "runtime.(*mheap).alloc", 1, false, NULL },
	{ "runtime.(*mheap).alloc", PLAIN, NULL, 0, false, NULL },
	{ "runtime.newproc.func1", CODE(PUSH_RBP, CALL(1), RET), "runtime.(*mheap).alloc", 1, false,
	  NULL },
	{ "runtime.gosched0", PLAIN, NULL, 0, false, NULL },
	{ "runtime.(*mcache).allocLarge", CODE(PUSH_RBP, CALL(1), TEST_RAX, 0x74, 1, RET, RET),
	  "runtime.(*mheap).alloc", 1, false, NULL },
	{ "runtime.runqput", PLAIN, NULL, 0, false, NULL },
};

/* What each runtime has, but this one not under these names or not in this form, is a failure. */
static void test_runtime(void **state)
{
	uint32_t wanted = BIT(CREATE) | BIT(SPAN) | BIT(SPAN_FREE);
	struct lt_go_sites sites;

	MAKE(21, of_runtime);
	sites = find(wanted);
	assert_int_equal(sites.count, 2);
	assert_int_equal(sites.items[0].address, BASE + 0x109);
	assert_int_equal(sites.items[1].address, BASE + 0x509);
	assert_int_equal(sites.failed, BIT(CREATE) | BIT(SPAN_FREE));
	assert_int_equal(sites.absent, 0);
	lt_go_sites_free(&sites);

	MAKE(22, of_runtime); /* one function of SPAN's two is not there */
	made.table.function_count = 5;
	sites = find(wanted);
	assert_int_equal(sites.count, 0);
	assert_int_equal(sites.failed, wanted);
	lt_go_sites_free(&sites);

	MAKE(22, of_time); /* -linkshared: the runtime is in another module */
	sites = find(wanted);
	assert_int_equal(sites.failed, 0);
	assert_int_equal(sites.absent, wanted);
	lt_go_sites_free(&sites);
}

static void test_names(void **state)
{
	for (int i = 0; i < LT_GO_PROBES; i++)
		assert_non_null(lt_go_probe_names[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_code),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_code_lengths),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_only_wanted),
		cmocka_unit_test(test_unknown_modules),
		cmocka_unit_test(test_hostile_tables),
		cmocka_unit_test(test_inlined),
		cmocka_unit_test(test_contexts_of_1_20),
		cmocka_unit_test(test_runtime),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
