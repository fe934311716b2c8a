// SPDX-License-Identifier: GPL-2.0-or-later
#include "report/role.h"

#include <string.h>

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
	{ "__rust_realloc", ANY },
	{ "__rustc::", RUST }, /* the same from Rust 1.87 on */
	{ "__rdl_", ANY },     /* Rust's default allocator */
	{ "__rg_", ANY },      /* #[global_allocator] */
	{ "alloc::", RUST },   /* Vec, String, Box, Rc */
	{ "core::", RUST },    /* iterators that feed them */
	{ "hashbrown::", RUST },
	{ "pthread_create", ANY }, /* of a program that is linked statically */
	{ "__pthread_create", ANY },
};

/* The beginnings of its files' names: glibc, before 2.34 in two files, and musl. */
static const char *const libc_files[] = {
	"libc.so.", "libc-2.",  "libpthread.so.", "libpthread-2.",
	"ld-linux", "ld-musl-", "libc.musl-",
};

/* Below these there is nobody who could have asked (glibc, musl). */
static const char *const beginnings[] = {
	"_start", "start_thread", "clone", "clone3", "__clone", "__clone3",
};

/* Loops that run bytecode, by what their authors or a perf map call them. */
static const char *const interpreters[] = {
	"_PyEval_EvalFrameDefault",            /* CPython, Python/ceval.c */
	"PyEval_EvalFrameEx",                  /* before 3.6 */
	"Builtins_InterpreterEntryTrampoline", /* V8, in the program itself ... */
	"Builtin:InterpreterEntryTrampoline",  /* ... and in perf maps */
	"rb_vm_exec",                          /* Ruby, vm.c */
	"vm_exec",                             /* the same, static */
	"vm_exec_core",                        /* Ruby, vm_exec.c */
	"Perl_runops_standard",                /* Perl, run.c */
	"Perl_runops_debug",
	"luaV_execute", /* Lua, lvm.c */
	"execute_ex",   /* PHP, Zend/zend_vm_execute.h */
	"Interpreter",  /* HotSpot, in perf maps */
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

bool lt_role_is_wrapper(const struct lt_report_frame *frame)
{
	struct name name = parse(frame->function);

	for (size_t i = 0; i < sizeof(wrappers) / sizeof(wrappers[0]); i++)
		if (!strncmp(name.start, wrappers[i].prefix, strlen(wrappers[i].prefix)) &&
		    !(wrappers[i].language == RUST && name.parameters))
			return true;
	return false;
}

bool lt_role_is_beginning(const struct lt_report_frame *frame)
{
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++)
		if (!strcmp(frame->function, beginnings[i]))
			return true;
	return !strncmp(frame->function, "__libc_start_", strlen("__libc_start_"));
}

bool lt_role_is_libc(const struct lt_report_frame *frame)
{
	const char *slash = strrchr(frame->module, '/');
	const char *file = slash ? slash + 1 : frame->module;

	for (size_t i = 0; i < sizeof(libc_files) / sizeof(libc_files[0]); i++)
		if (!strncmp(file, libc_files[i], strlen(libc_files[i])))
			return true;
	return false;
}

/* Compilers put ".cold", ".lto_priv.0" and the like behind a name, C++ its parameters. */
bool lt_role_is_interpreter(const struct lt_report_frame *frame)
{
	for (size_t i = 0; i < sizeof(interpreters) / sizeof(interpreters[0]); i++) {
		size_t len = strlen(interpreters[i]);

		if (!strncmp(frame->function, interpreters[i], len) &&
		    strchr(".(", frame->function[len])) /* or its end */
			return true;
	}
	return false;
}
