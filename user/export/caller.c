// SPDX-License-Identifier: GPL-2.0-or-later
#include "export/caller.h"

#include <inttypes.h>
#include <string.h>

#include "base/utf8.h"

/* How much of a demangled function tells whose it is. */
enum language { ANY, RUST };

/*
 * Leading frames that say how memory was asked for, not who asked: every site of a C++ or Rust
 * program has them.  Inlined or not: a library keeps its slow paths out of line, as
 * std::string::_M_create and alloc::raw_vec::finish_grow are.
 */
static const struct {
	const char *prefix;
	enum language language; /* RUST: in C++ anybody may call a namespace so */
} wrappers[] = {
	{ "operator new", ANY }, /* and operator new[] */
	{ "std::", ANY },        /* containers, strings; in Rust also its std */
	{ "__gnu_cxx::", ANY },  /* libstdc++'s new_allocator */
	{ "__rust_alloc", ANY }, /* also __rust_alloc_zeroed; what Rust's Global calls */
	{ "__rust_realloc", ANY }, { "__rustc::", RUST }, /* the same from Rust 1.87 on */
	{ "__rdl_", ANY },                                /* Rust's default allocator */
	{ "__rg_", ANY },                                 /* #[global_allocator] */
	{ "alloc::", RUST },                              /* Vec, String, Box, Rc */
	{ "core::", RUST },                               /* iterators that feed them */
	{ "hashbrown::", RUST },
};

/* Below these there is nobody who could have asked (glibc, musl). */
static const char *const beginnings[] = {
	"_start", "start_thread", "clone", "clone3", "__clone", "__clone3",
};

struct name {
	const char *start; /* without the type it returns */
	bool parameters;   /* has a list of them: C++, not Rust */
};

/*
 * Templates are demangled with the type they return ("void std::vector<…>::push_back(…)"), Rust's
 * implementations with the type they are for in front ("<alloc::vec::Vec<T> as …>::clone").
 */
static struct name parse(const char *text)
{
	static const char operator[] = "operator";
	struct name name = { text + strspn(text, "<&"), false };
	size_t depth = 0;

	if (name.start != text)
		return name;
	for (const char *at = text; *at; at++) {
		size_t before = (size_t)(at - text);

		if (*at == '(' && !depth && before && at[-1] != ' ') {
			name.parameters = true;
			break;
		}
		if (strchr("<([{", *at))
			depth++;
		else if (strchr(">)]}", *at))
			depth -= depth > 0;
		else if (*at == ' ' && !depth &&
			 (before < sizeof(operator) - 1 ||
			  memcmp(at - (sizeof(operator) - 1), operator, sizeof(operator) - 1) != 0))
			name.start = at + 1;
	}
	return name;
}

static bool is_wrapper(const char *function)
{
	struct name name = parse(function);

	for (size_t i = 0; i < sizeof(wrappers) / sizeof(wrappers[0]); i++)
		if (!strncmp(name.start, wrappers[i].prefix, strlen(wrappers[i].prefix)) &&
		    !(wrappers[i].language == RUST && name.parameters))
			return true;
	return false;
}

static bool is_beginning(const char *function)
{
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (!strcmp(function, beginnings[i]))
			return true;
	return !strncmp(function, "__libc_start_", strlen("__libc_start_"));
}

const struct lt_report_frame *lt_caller_find(const struct lt_report_site *site)
{
	uint32_t i = 0;

	while (i < site->frame_count && is_wrapper(site->frames[i].function))
		i++;
	if (i < site->frame_count && !is_beginning(site->frames[i].function))
		return &site->frames[i];
	return site->frame_count ? site->frames : NULL;
}

const char *lt_caller_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

void lt_caller_address(struct lt_buf *out, const struct lt_report_frame *frame, bool wide)
{
	lt_utf8_clean(out, wide ? frame->module : lt_caller_base_name(frame->module));
	lt_buf_printf(out, "%s0x%" PRIx64, frame->module[0] ? "+" : "", frame->offset);
}
