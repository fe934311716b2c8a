// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Any tables, registers and stack: the unwinder ends, names code alone, and finds what a plain one
 * finds that reads each word anew and remembers nothing.
 */
#include <stdio.h>

#include "../native/bpf_native.h"

#define RANGES      6
#define RANGE_BYTES 8192
#define RANGE_PAGES (RANGE_BYTES / LT_UNWIND_PAGE)
#define RANGE_WORDS 128
#define RULES       24
#define STACK_PAGES 4
#define STACK_WORDS (STACK_PAGES * USER_PAGE / 8)
#define STACKS      2
#define TRAPS       4
#define ROUNDS      4

static __u8 code[RANGE_BYTES];
static __u64 stacks[STACKS][STACK_WORDS];
static const __u64 stack_bases[STACKS] = { 0x7ffd00003000ULL, 0x7f0000001000ULL };
static __u32 range_count;
static bool corrupt;

/* Bytes of the input, then what a generator makes of the last of them. */
static struct {
	const uint8_t *data;
	size_t size;
	__u64 state;
} input;

static __u64 next(void)
{
	__u64 value;

	if (input.size) {
		value = *input.data++;
		input.size--;
		input.state = (input.state ^ value) * 0x9e3779b97f4a7c15ULL + 1;
		return value;
	}
	input.state ^= input.state << 13; /* G. Marsaglia: Xorshift RNGs, 2003 */
	input.state ^= input.state >> 7;
	input.state ^= input.state << 17;
	return input.state >> 32;
}

static __u64 raw(void)
{
	__u64 value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | (next() & 0xff);
	return value;
}

static __u64 below(__u64 limit)
{
	return (next() << 8 ^ next()) % limit;
}

static __u64 range_start(__u32 range)
{
	return (range + 1ULL) << 20;
}

static __u64 code_address(void)
{
	return range_start(below(range_count)) + below(RANGE_BYTES + 16);
}

static __u64 stack_address(void)
{
	__u64 at = stack_bases[below(16) == 0] + below(sizeof(stacks[0]));

	return below(32) ? at & ~7ULL : at;
}

/* What may lie on a stack. */
static __u64 stack_value(void)
{
	switch (below(16)) {
	case 0:
		return 0;
	case 1:
		return raw();
	case 2:
		return code_address() ^ 1ULL << below(64);
	case 3:
		return code_address() ^ (__u64)(lt_code_generation ^ below(8)) << 48;
	case 4 ... 7:
		return stack_address();
	}
	return code_address();
}

static __u64 any_rule(void)
{
	static const __u8 forms[] = { LT_CFA_SP,   LT_CFA_SP,  LT_CFA_SP,       LT_CFA_SP,
				      LT_CFA_BP,   LT_CFA_BP,  LT_CFA_NONE,     LT_CFA_REGISTER,
				      LT_CFA_PLT,  LT_CFA_END, LT_CFA_BP_DEREF, LT_CFA_SIGNAL,
				      LT_CFA_NONE, LT_CFA_SP,  LT_CFA_SWITCH,   LT_CFA_START };
	__u8 form = below(32) ? forms[below(sizeof(forms))] : next();
	__s16 bp = 0;
	__s32 offset = (__s32)(8 * (1 + below(24)));

	switch (below(8)) {
	case 0:
		bp = (__s16)LT_BP_LOST;
		break;
	case 1:
		bp = (__s16)raw();
		break;
	case 2:
		bp = (__s16)LT_BP_AT_BP;
		break;
	case 3 ... 5:
		bp = (__s16)(-8 * (2 + (int)below(4)));
		break;
	}
	if (below(16) == 0)
		offset = (__s32)raw();
	else if (below(16) == 0)
		offset *= 64;
	else if (form == LT_CFA_PLT)
		offset = (__s32)below(17);
	return LT_RULE(form, below(18), bp, offset);
}

/* Ranges of one half with their tables, which have words of their own. */
static void make_tables(__u32 half)
{
	struct lt_code_range *ranges = native.ranges + half * LT_MAX_CODE_RANGES;

	for (__u32 i = 0; i < range_count; i++) {
		__u32 base = (half * RANGES + i) * RANGE_WORDS, row = RANGE_PAGES + 1;

		ranges[i] = (struct lt_code_range){
			.start = range_start(i),
			.end = range_start(i) + RANGE_BYTES,
			.origin = range_start(i) - (below(8) ? 0 : LT_UNWIND_PAGE),
			.word = base,
			.page_count = below(8) ? RANGE_PAGES : RANGE_PAGES / 2,
			.source = below(8) ? LT_CODE_TABLE : below(4),
		};
		for (__u32 page = 0; page < RANGE_PAGES; page++) {
			__u32 offset = 0;

			native_set_word(base + page, row);
			for (int rows = 1 + below(12); rows && offset < LT_UNWIND_PAGE; rows--) {
				native_set_word(base + row++, LT_ROW(offset, below(RULES)));
				offset += 1 + below(200);
			}
		}
		native_set_word(base + RANGE_PAGES, row);
	}
	for (int i = 0; corrupt && i < 4; i++) {
		native_set_word(half * RANGES * RANGE_WORDS + below(RANGE_WORDS), (__u32)raw());
		((__u64 *)ranges)[below(range_count * sizeof(*ranges) / 8)] = raw() >> 17;
	}
	for (__u32 i = 0; i < range_count; i++)
		if (ranges[i].end < ranges[i].start)
			ranges[i].end = ranges[i].start;
}

static void make_code(void)
{
	static const __u8 sigreturn[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };

	memset(code, below(2) ? 0xe8 : 0x90, sizeof(code));
	for (int i = 0; i < 32; i++)
		memcpy(code + below(RANGE_BYTES - 16), i & 1 ? (const __u8 *)"\xff\xd0" : sigreturn,
		       i & 1 ? 2 : sizeof(sigreturn));
}

static void make_traps(void)
{
	static struct return_instance traps[TRAPS];

	for (int i = 0; i < TRAPS; i++) {
		traps[i].stack = stack_address();
		traps[i].orig_ret_vaddr = below(8) ? code_address() : raw();
		traps[i].next = below(4) ? &traps[below(TRAPS)] : NULL;
	}
	native.task.utask = below(2) ? &native.utask : NULL;
	native.utask.return_instances = below(2) ? traps : NULL;
}

static void make_regs(struct pt_regs *regs)
{
	*regs = (struct pt_regs){
		.rip = below(16) ? code_address() : raw() | 1,
		.rsp = below(16) ? stack_bases[0] + 8 * below(64) : stack_address(),
		.rbp = below(16) ? stack_address() : raw(),
		.rbx = stack_address(),
		.r12 = stack_address(),
		.r13 = stack_address(),
		.r14 = raw(),
		.r15 = 0,
	};
}

/* What the plain unwinder read last. */
static __u64 words_read[256];
static __u32 read_count;

static bool read_word(__u64 address, __u64 *word)
{
	words_read[read_count++ % 256] = address;
	return bpf_probe_read_user(word, sizeof(*word), (void *)address) == 0;
}

static void broken(const char *what, int line)
{
	fprintf(stderr, "line %d: not so: %s\n", line, what);
	abort();
}

#define require(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static bool in_code(__u64 address)
{
	const struct lt_code_range *range = native.ranges +
					    (lt_code_generation & 1) * LT_MAX_CODE_RANGES;

	for (__u32 i = 0; i < range_count; i++)
		if (address - range[i].start < range[i].end - range[i].start)
			return true;
	return false;
}

/* The rule by a search of every range and row. */
static __u64 plain_rule(__u64 address)
{
	const struct lt_code_range *range = native.ranges +
					    (lt_code_generation & 1) * LT_MAX_CODE_RANGES;
	__u64 page;
	__u32 row, last;

	if (!in_code(address))
		return LT_RULE(LT_CFA_NO_CODE, 0, 0, 0);
	while (address - range->start >= range->end - range->start)
		range++;
	if (range->source == LT_CODE_PENDING)
		return LT_RULE(LT_CFA_PENDING, 0, 0, 0);
	page = (address - range->origin) / LT_UNWIND_PAGE;
	if (range->source != LT_CODE_TABLE || page >= range->page_count)
		return LT_RULE(LT_CFA_NONE, 0, 0, 0);
	row = last = range->word + table_word(range->word + (__u32)page);
	while (++row < range->word + table_word(range->word + (__u32)page + 1))
		if (table_word(row) >> 16 <= (address - range->origin) % LT_UNWIND_PAGE)
			last = row;
	return native.rules[LT_ROW_RULE(table_word(last))];
}

/* The plain unwinder. */
struct plain {
	__u64 frames[LT_MAX_FRAMES];
	__u32 count;
	__u64 sp, bp, context, rule;
	bool bp_known, by_bp;
	bool unsure;  /* the caller's RBP was found by the frame pointer */
	bool by_zero; /* ended by a mark that may be chance: no return address, no RBP */
	int signals, switches;
};

#define GOES_ON LT_STACK_END_COUNT

static __u64 find_rule(__u64 address)
{
	__u64 rule = rule_find(address, lt_code_generation);

	require(corrupt || rule == plain_rule(address));
	return rule;
}

/* Of a frame: its call, or its first byte if it was not called. */
static __u64 frame_rule(__u64 frame, bool returned_to)
{
	__u64 rule = find_rule(frame - 1), at = find_rule(frame);
	__u8 form = LT_RULE_CFA(at);

	if (LT_RULE_CFA(rule) != LT_CFA_NONE || form == LT_CFA_NONE || form == LT_CFA_NO_CODE ||
	    form == LT_CFA_PENDING)
		return rule;
	if (form == LT_CFA_SIGNAL)
		return at;
	return !returned_to || behind_call(frame) ? rule : LT_RULE(LT_CFA_START, 0, 0, 0);
}

static int plain_enter(struct plain *plain, __u64 frame, __u64 slot)
{
	plain->by_zero = frame == 0;
	if (frame == 0)
		return slot ? LT_STACK_COMPLETE : LT_STACK_NO_CODE;
	plain->rule = frame_rule(frame, slot);
	if (LT_RULE_CFA(plain->rule) == LT_CFA_NO_CODE && slot) {
		frame = return_trap(slot);
		if (frame)
			plain->rule = frame_rule(frame, true);
	}
	if (LT_RULE_CFA(plain->rule) == LT_CFA_NO_CODE)
		return LT_STACK_NO_CODE;
	if (plain->count == lt_config.max_frames)
		return LT_STACK_LIMIT;
	plain->frames[plain->count++] = frame;
	return GOES_ON;
}

static int plain_over(struct plain *plain, __u64 cfa, __s16 bp)
{
	__u64 frame, at = bp == (__s16)LT_BP_AT_BP ? plain->bp : cfa + (__s64)bp;

	if (cfa - plain->sp < 8 || cfa - plain->sp > MAX_FRAME_BYTES || cfa % 8)
		return LT_STACK_IMPLAUSIBLE;
	if (!read_word(cfa - 8, &frame))
		return LT_STACK_FAULT;
	if (bp == (__s16)LT_BP_LOST)
		plain->bp_known = false;
	else if (bp == (__s16)LT_BP_AT_BP && !plain->bp_known)
		return LT_STACK_UNSUPPORTED;
	else if (bp && !read_word(at, &plain->bp))
		return LT_STACK_FAULT;
	else if (bp)
		plain->bp_known = true;
	plain->sp = cfa;
	plain->context = 0;
	return plain_enter(plain, frame, cfa - 8);
}

static int plain_signal(struct plain *plain)
{
	__u64 ip;

	plain->context = plain->sp;
	if (++plain->signals > LT_MAX_SIGNAL_FRAMES)
		return LT_STACK_IMPLAUSIBLE;
	plain->frames[plain->count - 1]++;
	if (!read_word(plain->context + CONTEXT_RIP, &ip) ||
	    !read_word(plain->context + CONTEXT_RBP, &plain->bp) ||
	    !read_word(plain->context + CONTEXT_RSP, &plain->sp))
		return LT_STACK_FAULT;
	plain->bp_known = true;
	plain->by_bp = false;
	return plain_enter(plain, ip + 1, 0);
}

static int plain_bp(struct plain *plain)
{
	__u64 frame;
	bool again = plain->by_bp;

	plain->by_bp = true;
	if (!plain->bp_known)
		return LT_STACK_NO_FRAME;
	plain->by_zero = plain->bp == 0;
	if (plain->bp == 0)
		return again ? LT_STACK_COMPLETE : LT_STACK_NO_FRAME;
	if (!same_stack(plain->sp, plain->bp))
		return LT_STACK_NO_FRAME;
	if (!read_word(plain->bp + 8, &frame))
		return LT_STACK_FAULT;
	plain->by_zero = frame == 0;
	if (frame ? !behind_call(frame) && LT_RULE_CFA(find_rule(frame - 1)) != LT_CFA_NO_CODE
		  : !again)
		return LT_STACK_NO_FRAME;
	plain->unsure = true;
	return plain_over(plain, plain->bp + 16, -16);
}

static int plain_switch(struct plain *plain)
{
	__u64 base = plain->bp, note = LT_RULE_REGISTER(plain->rule), cfa, depth, g, frame;

	if (note &&
	    (!read_word(plain->sp + 8 * note - 8, &depth) || !read_word(plain->sp + 8 * note, &g)))
		return LT_STACK_FAULT;
	if (note && g && !read_word(g + 8, &base))
		return LT_STACK_FAULT;
	if (note)
		base = g ? base - depth : depth;
	else if (!plain->bp_known)
		return LT_STACK_UNSUPPORTED;
	if (++plain->switches > MAX_SWITCHES)
		return LT_STACK_IMPLAUSIBLE;
	cfa = base + (__s64)LT_RULE_OFFSET(plain->rule);
	if (!read_word(cfa - 8, &frame))
		return LT_STACK_FAULT;
	if (!behind_call(frame))
		return LT_STACK_IMPLAUSIBLE;
	plain->sp = base;
	return plain_over(plain, cfa, LT_RULE_BP(plain->rule));
}

static bool plain_register(const struct plain *plain, const struct pt_regs *regs, __u8 number,
			   __u64 *value)
{
	const __u64 known[DWARF_LAST + 1] = { [3] = regs->rbx,
					      [12] = regs->r12,
					      [13] = regs->r13,
					      [14] = regs->r14,
					      [15] = regs->r15 };

	if (plain->context)
		return number <= DWARF_LAST &&
		       read_word(plain->context + CONTEXT_WORD(number) * 8, value);
	if (plain->count != 1 || (number != 3 && (number < 12 || number > DWARF_LAST)))
		return false;
	*value = known[number];
	return true;
}

static int plain_step(struct plain *plain, const struct pt_regs *regs)
{
	__u64 frame = plain->frames[plain->count - 1], offset = (__s64)LT_RULE_OFFSET(plain->rule);
	__s16 bp = LT_RULE_BP(plain->rule);
	__u8 form = LT_RULE_CFA(plain->rule);
	__u64 cfa = 0;

	plain->frames[plain->count - 1] += form == LT_CFA_START;
	if (form == LT_CFA_END || (form == LT_CFA_START && !offset))
		return LT_STACK_COMPLETE;
	if (form == LT_CFA_PENDING)
		return LT_STACK_PENDING;
	if (form == LT_CFA_SIGNAL || (form == LT_CFA_NONE && at_sigreturn(frame)))
		return plain_signal(plain);
	if (form == LT_CFA_NONE)
		return plain_bp(plain);
	plain->by_bp = false;
	if (form == LT_CFA_SP || form == LT_CFA_START)
		return plain_over(plain, plain->sp + offset, bp);
	if (form == LT_CFA_PLT)
		return plain_over(plain, plain->sp + ((frame - 1) % 16 >= offset ? 16 : 8), bp);
	if (form == LT_CFA_BP && plain->bp_known)
		return plain_over(plain, plain->bp + offset, bp);
	if (form == LT_CFA_SWITCH)
		return plain_switch(plain);
	if (form == LT_CFA_BP_DEREF && plain->bp_known)
		return read_word(plain->bp + offset, &cfa) ? plain_over(plain, cfa, bp)
							   : LT_STACK_FAULT;
	if (form == LT_CFA_REGISTER &&
	    plain_register(plain, regs, LT_RULE_REGISTER(plain->rule), &cfa))
		return plain_over(plain, cfa + offset, bp);
	return LT_STACK_UNSUPPORTED;
}

static int plain_walk(struct plain *plain, const struct pt_regs *regs)
{
	int end;

	*plain = (struct plain){ .sp = regs->rsp, .bp = regs->rbp, .bp_known = true };
	end = plain_enter(plain, regs->rip, 0);
	if (plain->count == 0) {
		plain->frames[plain->count++] = regs->rip;
		return end;
	}
	if (lt_config.max_frames == 1)
		return LT_STACK_LIMIT;
	while (end == GOES_ON)
		end = plain_step(plain, regs);
	return end == LT_STACK_COMPLETE && plain->unsure ? LT_STACK_UNSURE : end;
}

static void walk(struct pt_regs *regs)
{
	struct lt_thread *thread = native.thread;
	struct plain plain;
	__u64 recalled = stack_recall(regs, thread), id = stack_walk(regs, thread);
	int end, plain_end;

	read_count = 0;
	plain_end = plain_walk(&plain, regs);
	end = thread->stack.end;
	require(thread->stack.frame_count == plain.count);
	require(end == plain_end ||
		(plain.by_zero && (end == LT_STACK_NO_FRAME || end == LT_STACK_NO_CODE)));
	require(!memcmp(thread->frames, plain.frames, plain.count * sizeof(__u64)));
	for (__u32 i = 1; i < plain.count; i++)
		require(in_code(thread->frames[i] - 1) || in_code(thread->frames[i] - 2));
	require(recalled == 0 || recalled == id);
	require(stack_identify(regs, thread) == id);
	recalled = stack_recall(regs, thread);
	require(recalled == 0 ||
		(recalled == id && (end == LT_STACK_COMPLETE || end == LT_STACK_UNSURE)));
	native.sent[id % LT_STACK_SLOTS] = id;
	require(stack_identify(regs, thread) == id);
}

/* Is a stack recalled that is not the same any more? */
static void recall_changed(struct pt_regs *regs)
{
	struct pt_regs changed = *regs;
	__u64 recalled;

	layout_of(native.thread, regs->rip, regs->rsp)->misses = 0;
	(void)stack_walk(regs, native.thread);
	if (below(4) == 0)
		changed.rbp = stack_address();
	if (below(4) == 0)
		changed.rbx = changed.r12 = stack_address();
	recalled = stack_recall(&changed, native.thread);
	require(recalled == 0 || recalled == stack_walk(&changed, native.thread));
}

/* One word that the walk read is another for a while. */
static void change_word(struct pt_regs *regs)
{
	__u32 count = read_count < 256 ? read_count : 256;
	__u64 address = count ? words_read[below(count)] : 0, before, *word;

	for (int i = 0; i < STACKS; i++) {
		if (address - stack_bases[i] >= sizeof(stacks[i]))
			continue;
		word = &stacks[i][(address - stack_bases[i]) / 8];
		layout_of(native.thread, regs->rip, regs->rsp)->misses = 0;
		(void)stack_walk(regs, native.thread);
		before = *word;
		*word = stack_value();
		walk(regs);
		*word = before;
	}
}

static __u32 reads_left;

static void change_tables(void)
{
	lt_code_generation += reads_left-- == 0;
}

/* Nothing but the caller is told of a walk during which the tables changed. */
static void walk_changing(struct pt_regs *regs)
{
	__u32 generation = lt_code_generation;

	reads_left = below(64);
	native.on_read = change_tables;
	(void)stack_walk(regs, native.thread);
	native.on_read = NULL;
	if (lt_code_generation != generation)
		require(native.thread->stack.frame_count == 1 &&
			native.thread->stack.end == LT_STACK_PENDING);
	lt_code_generation = generation;
}

static void next_generation(void)
{
	static const __u32 steps[] = { 1, 2, 3, 0x100, 0x8000, 0x10000, 0x20000, 0x1000000 };

	lt_code_generation += steps[below(sizeof(steps) / sizeof(steps[0]))];
	native.rules[below(RULES)] = any_rule();
	make_tables(lt_code_generation & 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pt_regs regs;

	input.data = data;
	input.size = size;
	input.state = 1;
	native_reset();
	corrupt = below(4) == 0;
	range_count = 1 + below(RANGES);
	lt_config.max_frames = below(8) ? LT_MAX_FRAMES : 1 + below(LT_MAX_FRAMES);
	for (int i = 0; i < RULES; i++)
		native.rules[i] = any_rule();
	make_tables(0);
	make_tables(1);
	make_code();
	make_traps();
	for (__u32 i = 0; i < range_count; i++)
		native_region(range_start(i), RANGE_BYTES, code);
	for (int i = 0; i < STACKS; i++) {
		native_region(stack_bases[i], sizeof(stacks[i]), stacks[i]);
		for (int word = 0; word < STACK_WORDS; word++)
			stacks[i][word] = stack_value();
	}
	make_regs(&regs);
	for (int i = 0; i < ROUNDS; i++) {
		walk(&regs);
		recall_changed(&regs);
		for (int word = 0; word < 4; word++)
			change_word(&regs);
		if (below(4) == 0)
			walk_changing(&regs);
		for (int changes = below(4); changes; changes--)
			stacks[0][below(256)] = stack_value();
		if (below(2))
			next_generation();
		if (below(4) == 0)
			make_regs(&regs);
	}
	return 0;
}
