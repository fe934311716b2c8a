// SPDX-License-Identifier: GPL-2.0-or-later
#include "elf/gopclntab.h"

#include <errno.h>
#include <string.h>

#include "leaktrace/limits.h"

#define PCDATA_INLINE 2         /* abi.PCDATA_InlTreeIndex */
#define MAX_RUNS      (1 << 20) /* of one pc-value table */

/*
 * What changed from magic to magic: runtime/symtab.go (pcHeader, functab, inlinedCall),
 * runtime/runtime2.go (_func), cmd/link/internal/ld/pcln.go.
 */
struct lt_gopclntab_form {
	uint32_t magic;
	uint8_t format;
	uint8_t parts; /* where the header says where the parts are; 0: it does not */
	/* Of a pc in functab and in _func: 8: an address; 4: an offset from the text. */
	uint8_t pc_bytes;
	/* In struct _func, behind its pc; 0: no such field */
	uint8_t cu, id;
	uint8_t inline_data; /* abi.FUNCDATA_InlTree */
	/* In struct inlinedCall */
	uint8_t call_bytes, call_id, call_name, call_parent;
};

static const struct lt_gopclntab_form forms[] = {
	{ 0xfffffffb, 15, 0, 8, 0, 28, 4, 20, 2, 12, 16 },
	{ 0xfffffffa, 16, 24, 8, 28, 32, 3, 20, 2, 12, 16 },
	{ 0xfffffff0, 18, 32, 4, 28, 32, 3, 20, 2, 12, 16 },
	{ 0xfffffff1, 20, 32, 4, 28, 36, 3, 16, 0, 4, 8 },
};
#define FORM_COUNT (sizeof(forms) / sizeof(forms[0]))

/* In struct _func, behind its pc, since 1.2 */
enum { FUNC_NAME = 0, FUNC_PCSP = 12, FUNC_PCFILE = 16, FUNC_PCLN = 20, FUNC_NPCDATA = 24 };
/* ... and behind its id */
enum { ID_FLAGS = 1, ID_NFUNCDATA = 3, ID_BYTES = 4 };

/*
 * By FuncID, for 1.15 and 1.16, where functions had no flags: runtime/traceback.go:
 * topofstack(), and those of runtime/asm_amd64.s that load SP.
 */
static const uint8_t old_flags[] = {
	[2] = LT_GO_FLAG_TOP_FRAME | LT_GO_FLAG_ASM, /* goexit */
	[4] = LT_GO_FLAG_SP_WRITE | LT_GO_FLAG_ASM,  /* mcall */
	[5] = LT_GO_FLAG_SP_WRITE | LT_GO_FLAG_ASM,  /* morestack */
	[6] = LT_GO_FLAG_TOP_FRAME,                  /* mstart */
	[7] = LT_GO_FLAG_TOP_FRAME | LT_GO_FLAG_ASM, /* rt0_go */
	[8] = LT_GO_FLAG_SP_WRITE | LT_GO_FLAG_ASM,  /* asmcgocall */
	[13] = LT_GO_FLAG_SP_WRITE | LT_GO_FLAG_ASM, /* systemstack */
	[14] = LT_GO_FLAG_SP_WRITE | LT_GO_FLAG_ASM, /* cgocallback, cgocallback_gofunc */
	[15] = LT_GO_FLAG_SP_WRITE | LT_GO_FLAG_ASM, /* gogo */
};

static bool get(const struct lt_gopclntab *table, uint64_t offset, void *to, size_t len)
{
	if (offset > table->source.size || len > table->source.size - offset)
		return false;
	memcpy(to, table->source.bytes + offset, len);
	return true;
}

static bool get32(const struct lt_gopclntab *table, uint64_t offset, uint32_t *value)
{
	return get(table, offset, value, sizeof(*value));
}

/* A string that ends inside of the table, or NULL. */
static const char *text_at(const struct lt_gopclntab *table, uint64_t offset)
{
	const char *text;
	size_t left;

	if (offset >= table->source.size)
		return NULL;
	text = (const char *)table->source.bytes + offset;
	left = table->source.size - offset;
	return memchr(text, 0, left < LT_MAX_NAME ? left : LT_MAX_NAME) ? text : NULL;
}

/* A pc as functab and _func have them. */
static bool get_pc(const struct lt_gopclntab *table, uint64_t offset, uint64_t *pc)
{
	uint32_t relative;

	if (table->form->pc_bytes == sizeof(*pc))
		return get(table, offset, pc, sizeof(*pc));
	if (!get32(table, offset, &relative))
		return false;
	*pc = table->source.text + relative;
	return true;
}

static uint64_t entry_offset(const struct lt_gopclntab *table, uint64_t index)
{
	return table->functions + index * table->form->pc_bytes * 2;
}

/* functab[index]: where struct _func is; the end of all functions has none. */
static bool get_function_offset(const struct lt_gopclntab *table, uint64_t index, uint64_t *offset)
{
	uint64_t wide, at = entry_offset(table, index) + table->form->pc_bytes;
	uint32_t narrow;

	if (table->form->pc_bytes == sizeof(wide) ? !get(table, at, &wide, sizeof(wide))
						  : !get32(table, at, &narrow))
		return false;
	*offset = table->form->pc_bytes == sizeof(wide) ? wide : narrow;
	/* Up to 1.15 all offsets are those in the table. */
	if (table->form->parts && __builtin_add_overflow(*offset, table->functions, offset))
		return false;
	return *offset < table->source.size;
}

static bool read_parts(struct lt_gopclntab *table)
{
	uint64_t *const parts[] = { &table->names, &table->cus, &table->files, &table->pcs,
				    &table->functions };
	uint64_t last;
	uint32_t files;

	if (table->form->parts) {
		for (size_t i = 0; i < 5; i++)
			if (!get(table, table->form->parts + i * 8, parts[i], 8) ||
			    *parts[i] >= table->source.size)
				return false;
	} else {
		table->functions = 16;
	}
	if (!table->function_count ||
	    table->function_count >= table->source.size / (2 * table->form->pc_bytes))
		return false;
	last = entry_offset(table, table->function_count) + table->form->pc_bytes;
	if (last > table->source.size)
		return false;
	if (!table->form->parts) {
		if (!get32(table, last, &files))
			return false;
		table->files = files;
	}
	return true;
}

/* In every version the last FuncID of the list, and runtime.deferreturn has it at least. */
static uint8_t greatest_id(const struct lt_gopclntab *table)
{
	uint64_t offset;
	uint8_t id, greatest = 0;

	for (uint64_t i = 0; i < table->function_count; i++)
		if (get_function_offset(table, i, &offset) &&
		    get(table, offset + table->form->pc_bytes + table->form->id, &id, 1) &&
		    id > greatest)
			greatest = id;
	return greatest;
}

int lt_gopclntab_open(struct lt_gopclntab *result, const struct lt_gopclntab_source *source)
{
	struct lt_gopclntab table = { .source = *source };
	struct {
		uint32_t magic;
		uint8_t padding[2], quantum, pointer_bytes;
		uint64_t function_count;
	} header;
	struct lt_go_function first;

	if (!get(&table, 0, &header, sizeof(header)) || header.padding[0] || header.padding[1] ||
	    header.pointer_bytes != 8 || header.quantum != 1)
		return -EBADMSG;
	for (size_t i = 0; i < FORM_COUNT && !table.form; i++)
		if (forms[i].magic == header.magic)
			table.form = &forms[i];
	if (!table.form)
		return -EBADMSG;
	table.format = table.form->format;
	table.pointer_bytes = header.pointer_bytes;
	table.function_count = header.function_count;
	if (!read_parts(&table) || !lt_gopclntab_at(&table, 0, &first))
		return -EBADMSG;
	table.wrapper_id = greatest_id(&table);
	*result = table;
	return 0;
}

/* What follows the pc of a struct _func. */
static bool read_function(const struct lt_gopclntab *table, uint64_t offset,
			  struct lt_go_function *function)
{
	const struct lt_gopclntab_form *form = table->form;
	uint64_t fields = offset + form->pc_bytes;
	uint8_t id[ID_BYTES];
	uint32_t name;

	if (!get32(table, fields + FUNC_NAME, &name) ||
	    !get32(table, fields + FUNC_PCSP, &function->pcsp) ||
	    !get32(table, fields + FUNC_PCFILE, &function->pcfile) ||
	    !get32(table, fields + FUNC_PCLN, &function->pcln) ||
	    !get32(table, fields + FUNC_NPCDATA, &function->npcdata) ||
	    !get(table, fields + form->id, id, sizeof(id)))
		return false;
	function->name = text_at(table, table->names + name);
	function->offset = (uint32_t)offset;
	function->id = id[0];
	function->flags = id[ID_FLAGS];
	if ((table->format == 15 || table->source.minor == 16) && id[0] < sizeof(old_flags))
		function->flags = old_flags[id[0]];
	function->nfuncdata = id[ID_NFUNCDATA];
	function->wrapper = id[0] && id[0] == table->wrapper_id;
	return function->name != NULL;
}

bool lt_gopclntab_at(const struct lt_gopclntab *table, uint64_t index,
		     struct lt_go_function *function)
{
	struct lt_go_function found;
	uint64_t offset;

	if (index >= table->function_count ||
	    !get_pc(table, entry_offset(table, index), &found.entry) ||
	    !get_pc(table, entry_offset(table, index + 1), &found.end) || found.entry > found.end ||
	    !get_function_offset(table, index, &offset) || offset > UINT32_MAX ||
	    !read_function(table, offset, &found))
		return false;
	*function = found;
	return true;
}

bool lt_gopclntab_find(const struct lt_gopclntab *table, uint64_t pc,
		       struct lt_go_function *function)
{
	uint64_t low = 0, high = table->function_count, entry;
	struct lt_go_function found;

	while (low < high) { /* the first that begins behind it */
		uint64_t middle = low + (high - low) / 2;

		if (!get_pc(table, entry_offset(table, middle), &entry))
			return false;
		if (entry <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || !lt_gopclntab_at(table, low - 1, &found) || pc < found.entry || pc >= found.end)
		return false;
	*function = found;
	return true;
}

bool lt_gopclntab_named(const struct lt_gopclntab *table, const char *name,
			struct lt_go_function *function)
{
	struct lt_go_function found;

	for (uint64_t i = 0; i < table->function_count; i++) {
		if (!lt_gopclntab_at(table, i, &found) || strcmp(found.name, name) != 0)
			continue;
		*function = found;
		return true;
	}
	return false;
}

/* A pc-value table: pairs of differences, of the value and of the pc up to which it holds. */
struct runs {
	const uint8_t *at, *end;
	uint64_t start, pc; /* of the run in hand */
	uint64_t limit;     /* of the function */
	unsigned int left;  /* runs */
	uint32_t value;
	bool begun;
};

/* False: there is no such table. */
static bool begin_runs(const struct lt_gopclntab *table, const struct lt_go_function *function,
		       uint32_t offset, struct runs *runs)
{
	uint64_t at = table->pcs + offset;

	if (!offset || at >= table->source.size)
		return false;
	*runs = (struct runs){ .at = table->source.bytes + at,
			       .end = table->source.bytes + table->source.size,
			       .start = function->entry,
			       .pc = function->entry,
			       .limit = function->end,
			       .left = MAX_RUNS,
			       .value = UINT32_MAX };
	return true;
}

static bool get_varint(struct runs *runs, uint32_t *value)
{
	*value = 0;
	for (unsigned int shift = 0; shift < 32 && runs->at < runs->end; shift += 7) {
		uint8_t byte = *runs->at++;

		*value |= (uint32_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/* runtime/symtab.go: step(), with a quantum of 1 */
static bool next_run(struct runs *runs)
{
	uint32_t value, length;

	if (runs->pc >= runs->limit || !runs->left-- || !get_varint(runs, &value) ||
	    (!value && runs->begun) || !get_varint(runs, &length) || !length)
		return false;
	runs->begun = true;
	runs->value += value & 1 ? ~(value >> 1) : value >> 1;
	runs->start = runs->pc;
	runs->pc += length;
	if (runs->pc > runs->limit)
		runs->pc = runs->limit;
	return true;
}

/* The value at pc; false: none. */
static bool value_at(const struct lt_gopclntab *table, const struct lt_go_function *function,
		     uint32_t offset, uint64_t pc, int32_t *value)
{
	struct runs runs;

	if (!begin_runs(table, function, offset, &runs))
		return false;
	while (next_run(&runs)) {
		if (pc >= runs.pc)
			continue;
		*value = (int32_t)runs.value;
		return true;
	}
	return false;
}

bool lt_gopclntab_sp_delta(const struct lt_gopclntab *table, const struct lt_go_function *function,
			   uint64_t pc, int32_t *delta)
{
	return pc >= function->entry && value_at(table, function, function->pcsp, pc, delta);
}

int lt_gopclntab_each_sp_delta(
	const struct lt_gopclntab *table, const struct lt_go_function *function,
	int (*visit)(void *context, uint64_t start, uint64_t end, int32_t delta), void *context)
{
	struct runs runs;
	int err = 0;

	if (!begin_runs(table, function, function->pcsp, &runs))
		return 0;
	while (!err && next_run(&runs))
		err = visit(context, runs.start, runs.pc, (int32_t)runs.value);
	return err;
}

/* The offset of what follows struct _func: pcdata, then funcdata. */
static uint64_t behind(const struct lt_gopclntab *table, const struct lt_go_function *function)
{
	return (uint64_t)function->offset + table->form->pc_bytes + table->form->id + ID_BYTES;
}

/* Where the function's inline tree is in source.funcdata; false: nothing is inlined into it. */
static bool find_calls(const struct lt_gopclntab *table, const struct lt_go_function *function,
		       uint64_t *calls)
{
	uint64_t at = behind(table, function) + (uint64_t)function->npcdata * 4, address;
	uint32_t index = table->form->inline_data, offset;

	if (!table->source.funcdata || index >= function->nfuncdata ||
	    function->npcdata <= PCDATA_INLINE)
		return false;
	if (table->form->pc_bytes == sizeof(offset)) {
		if (!get32(table, at + index * sizeof(offset), &offset) || offset == UINT32_MAX)
			return false;
		*calls = offset;
		return true;
	}
	at = (at + 7) & ~7ULL; /* runtime/symtab.go: funcdata() */
	if (!get(table, at + index * sizeof(address), &address, sizeof(address)) || !address)
		return false;
	*calls = address - table->source.funcdata_address;
	return true;
}

struct call { /* struct inlinedCall */
	uint32_t name, parent;
	uint8_t id;
};

static bool read_call(const struct lt_gopclntab *table, uint64_t calls, uint32_t index,
		      struct call *call)
{
	const struct lt_gopclntab_form *form = table->form;
	uint64_t at = calls + (uint64_t)index * form->call_bytes;
	const uint8_t *bytes;

	if (at < calls || at > table->source.funcdata_size ||
	    table->source.funcdata_size - at < form->call_bytes)
		return false;
	bytes = table->source.funcdata + at;
	memcpy(&call->name, bytes + form->call_name, sizeof(call->name));
	memcpy(&call->parent, bytes + form->call_parent, sizeof(call->parent));
	call->id = bytes[form->call_id];
	return true;
}

/* The innermost call at pc that was inlined; false: none. */
static bool call_at(const struct lt_gopclntab *table, const struct lt_go_function *function,
		    uint64_t pc, struct call *call)
{
	uint64_t calls;
	uint32_t offset;
	int32_t index;

	return find_calls(table, function, &calls) &&
	       get32(table, behind(table, function) + PCDATA_INLINE * sizeof(offset), &offset) &&
	       value_at(table, function, offset, pc, &index) && index >= 0 &&
	       read_call(table, calls, (uint32_t)index, call);
}

/* Calls come behind those they were inlined into; each has a byte of code or its callees have. */
int lt_gopclntab_each_inlined(const struct lt_gopclntab *table,
			      const struct lt_go_function *function,
			      int (*visit)(void *context, const char *name), void *context)
{
	uint64_t calls, size = function->end - function->entry;
	uint32_t offset, next = 0;
	struct runs runs;
	struct call call;
	int err = 0;

	if (!find_calls(table, function, &calls) ||
	    !get32(table, behind(table, function) + PCDATA_INLINE * sizeof(offset), &offset) ||
	    !begin_runs(table, function, offset, &runs))
		return 0;
	while (!err && next_run(&runs)) {
		for (; !err && (int32_t)runs.value >= 0 && next <= runs.value && next < size &&
		       read_call(table, calls, next, &call);
		     next++) {
			const char *name = text_at(table, table->names + call.name);

			err = name ? visit(context, name) : 0;
		}
	}
	return err;
}

/* runtime/symtab.go: funcfile() */
static const char *file_at(const struct lt_gopclntab *table, const struct lt_go_function *function,
			   uint64_t pc)
{
	const struct lt_gopclntab_form *form = table->form;
	const char *name = NULL;
	uint32_t cu = 0, offset;
	int32_t number;
	uint64_t at;

	if (!value_at(table, function, function->pcfile, pc, &number) || number < 0)
		return "";
	if (form->cu && !get32(table, function->offset + form->pc_bytes + form->cu, &cu))
		return "";
	at = (form->cu ? table->cus : table->files) + ((uint64_t)cu + (uint32_t)number) * 4;
	if (get32(table, at, &offset) && offset != UINT32_MAX)
		name = text_at(table, (form->cu ? table->files : 0) + (uint64_t)offset);
	return name ? name : "";
}

/* runtime/symtabinl.go: inlineUnwinder; up to 1.20 in runtime/traceback.go: gentraceback() */
bool lt_gopclntab_frames(const struct lt_gopclntab *table, uint64_t pc,
			 struct lt_source_frame frames[LT_MAX_INLINE_DEPTH], size_t *result)
{
	struct lt_go_function function;
	struct call call;
	size_t count = 0;
	bool inlined = true;

	if (!lt_gopclntab_find(table, pc, &function))
		return false;
	for (int depth = 0; inlined && depth < LT_MAX_INLINE_DEPTH; depth++) {
		const char *name = function.name;
		bool wrapper = function.wrapper;
		int32_t line = 0;

		inlined = call_at(table, &function, pc, &call);
		if (inlined) {
			name = text_at(table, table->names + call.name);
			wrapper = call.id && call.id == table->wrapper_id;
		}
		if (!wrapper) {
			value_at(table, &function, function.pcln, pc, &line);
			frames[count++] = (struct lt_source_frame){ name ? name : "",
								    file_at(table, &function, pc),
								    line > 0 ? (uint32_t)line : 0,
								    inlined };
		}
		if (inlined)
			pc = function.entry + call.parent;
	}
	*result = count;
	return true;
}
