// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "export/caller.h"

#define MAX_FRAMES 8

static const struct lt_report_frame *find(const char *const *functions,
					  struct lt_report_frame *frames)
{
	struct lt_report_site site = { .frames = frames };

	while (site.frame_count < MAX_FRAMES && functions[site.frame_count]) {
		frames[site.frame_count] = (struct lt_report_frame){
			.function = functions[site.frame_count], .module = "/usr/bin/app"
		};
		site.frame_count++;
	}
	return lt_caller_find(&site);
}

static void the_caller_is_who_asked(void **state)
{
	static const struct {
		const char *functions[MAX_FRAMES + 1];
		size_t expected;
	} stacks[] = {
		{ { "leak", "main" }, 0 },
		{ { "operator new(unsigned long)", "make_session(int)", "main" }, 1 },
		{ { "operator new[](unsigned long)", "make_session(int)" }, 1 },
		{ { "operator new(unsigned long, std::align_val_t)", "a" }, 1 },
		{ { "operator new(unsigned long)",
		    "__gnu_cxx::new_allocator<int>::allocate(unsigned long, void const*)",
		    "std::_Vector_base<int, std::allocator<int> >::_M_allocate(unsigned long)",
		    "void std::vector<int, std::allocator<int> >::_M_realloc_insert<int>(int&&)",
		    "Pool::grow(unsigned long)", "main" },
		  4 },
		/* What a function returns is not where it is from. */
		{ { "std::unique_ptr<A, std::default_delete<A> > make<A>(int)", "main" }, 0 },
		{ { "void (anonymous namespace)::fill<int>(int)", "main" }, 0 },
		{ { "std::ostream& operator<< <char>(std::ostream&, A)", "main" }, 0 },
		{ { "A::operator std::string() const", "main" }, 0 },
		{ { "A::operator new(unsigned long)", "main" }, 0 }, /* their own pool */
		{ { "__rust_alloc_zeroed", "__rdl_alloc", "__rg_alloc", "__rust_realloc",
		    "__rustc::__rust_alloc", "alloc::raw_vec::finish_grow", "app::load" },
		  6 },
		{ { "<alloc::string::String as core::clone::Clone>::clone",
		    "<core::iter::Map<I,F> as core::iter::Iterator>::fold",
		    "hashbrown::raw::RawTable<T,A>::reserve_rehash",
		    "std::collections::hash::map::HashMap<K,V,S>::insert",
		    "<app::Session as core::clone::Clone>::clone" },
		  4 },
		/* In C++ anybody may call a namespace so. */
		{ { "operator new(unsigned long)", "core::Session::make(int)", "main" }, 1 },
		{ { "alloc::Pool::grow() const", "main" }, 0 },
		/* No name stands for itself: the next that has one is another function. */
		{ { "", "__libc_start_call_main" }, 0 },
		{ { "operator new(unsigned long)", "", "main" }, 1 },
		{ { "operator new(unsigned long)", "__libc_start_call_main" }, 0 },
		{ { "operator new(unsigned long)", "start_thread", "__clone3" }, 0 },
		{ { "__rust_alloc", "_start" }, 0 },
		{ { "operator new(unsigned long)", "std::string::_M_create(unsigned long)" }, 0 },
		{ { "operator new(unsigned long)", "clone_session", "main" }, 1 },
	};

	for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++) {
		struct lt_report_frame frames[MAX_FRAMES];
		const struct lt_report_frame *found = find(stacks[i].functions, frames);

		if (found != frames + stacks[i].expected)
			fail_msg("stack %zu: \"%s\", not \"%s\"", i, found->function,
				 frames[stacks[i].expected].function);
	}
}

/* The C library's functions say how it was asked for, whatever their names; the program's do not. */
static void the_c_library_asks_for_others(void **state)
{
	static const struct {
		struct lt_report_frame frames[5];
		uint32_t count, expected;
	} stacks[] = {
		{ { { .function = "__socket", .module = "/lib/x86_64-linux-gnu/libc.so.6" },
		    { .function = "", .module = "/lib/x86_64-linux-gnu/libc.so.6" },
		    { .function = "pool_get", .module = "/usr/bin/app" } },
		  3,
		  2 },
		{ { { .function = "accept", .module = "/lib/ld-musl-x86_64.so.1" },
		    { .function = "serve", .module = "/usr/bin/app" } },
		  2,
		  1 },
		{ { { .function = "accept", .module = "/usr/lib/libpthread-2.31.so" },
		    { .function = "accept", .module = "/usr/bin/app" },
		    { .function = "main", .module = "/usr/bin/app" } },
		  3,
		  1 },
		{ { { .function = "__clone3", .module = "/usr/lib/libc.so.6" },
		    { .function = "create_thread", .module = "/usr/lib/libc.so.6" },
		    { .function = "__pthread_create_2_1", .module = "/usr/lib/libc.so.6" },
		    { .function = "std::thread::_M_start_thread(std::unique_ptr<std::thread::"
				  "_State>, void (*)())",
		      .module = "/usr/lib/libstdc++.so.6" },
		    { .function = "Server::start()", .module = "/usr/bin/app" } },
		  5,
		  4 },
		{ { { .function = "getline", .module = "/usr/lib/libcurl.so.4" } }, 1, 0 },
		/* A thread of its own. */
		{ { { .function = "fopen", .module = "/usr/lib/libc.so.6" },
		    { .function = "start_thread", .module = "/usr/lib/libc.so.6" } },
		  2,
		  0 },
	};

	for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++) {
		struct lt_report_site site = { .frames = stacks[i].frames,
					       .frame_count = stacks[i].count };

		assert_ptr_equal(lt_caller_find(&site), &stacks[i].frames[stacks[i].expected]);
	}
}

#define GO(name)                                                                                   \
	{                                                                                          \
		.function = (name), .file = "x.go", .module = "/usr/bin/app"                       \
	}
#define MARK(info)                                                                                 \
	{                                                                                          \
		.function = "", .file = "", .module = "", .mark = (info)                           \
	}

/* The program's own code, in whichever goroutine it asked. */
static void go_asks_through_its_library(void **state)
{
	static const struct lt_mark_info waits = { LT_MARK_SELECT, LT_MARK_CLASS_WAIT, "select" };
	static const struct lt_mark_info created = { LT_MARK_CREATED, LT_MARK_CLASS_CHAIN,
						     "created by" };
	static const struct {
		struct lt_report_frame frames[MAX_FRAMES];
		uint32_t count;
		int expected; /* -1: none */
	} stacks[] = {
		{ { GO("runtime.mallocgc"), GO("runtime.growslice"), GO("main.fill"),
		    GO("main.main"), GO("runtime.main") },
		  5,
		  2 },
		{ { GO("runtime.makeslice"), GO("bytes.growSlice"), GO("bytes.(*Buffer).Write"),
		    GO("example.com/app/store.Put"), GO("main.main") },
		  5,
		  3 },
		{ { MARK(&waits), GO("runtime.gopark"), GO("net/http.(*persistConn).readLoop"),
		    MARK(&created), GO("net/http.(*Transport).dialConn") },
		  5,
		  2 },
		{ { GO("syscall.Socket"), GO("net.socket"), GO("net/http.(*Transport).dialConn"),
		    MARK(&created), GO("net/http.(*Transport).queueForDial"), GO("main.get") },
		  6,
		  5 },
		/* A goroutine of the library: what it runs. */
		{ { MARK(&waits), GO("net.(*netFD).Read"), GO("bufio.(*Reader).fill"),
		    GO("net/http.(*conn).serve"), GO("net/http.(*Server).Serve.gowrap3"),
		    GO("runtime.goexit"), MARK(&created), GO("net/http.(*Server).Serve") },
		  8,
		  3 },
		{ { MARK(&waits), MARK(&created), GO("main.serve") }, 3, 2 },
		{ { MARK(&waits), GO("runtime.gopark") }, 2, 1 },
		{ { MARK(&waits) }, 1, -1 },
	};

	for (size_t i = 0; i < sizeof(stacks) / sizeof(stacks[0]); i++) {
		struct lt_report_site site = { .frames = stacks[i].frames,
					       .frame_count = stacks[i].count };
		int expected = stacks[i].expected;

		assert_ptr_equal(lt_caller_find(&site),
				 expected < 0 ? NULL : &stacks[i].frames[expected]);
	}
}

static void hostile_names(void **state)
{
	static const char *const names[] = {
		">>>>)))}}}]]]",
		"<<<<((({{{[[[",
		" ",
		"operator",
		"operator ",
		"<",
		"(",
		" (a b (",
		"<&<&",
		"a operator ( new",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *const functions[] = { names[i], "main", NULL };
		struct lt_report_frame frames[MAX_FRAMES];

		assert_ptr_equal(find(functions, frames), frames);
	}
}

static void no_frames_no_caller(void **state)
{
	struct lt_report_site site = { .frame_count = 0 };

	assert_null(lt_caller_find(&site));
}

static void addresses(void **state)
{
	static const struct {
		const char *module;
		bool wide;
		const char *text;
	} cases[] = {
		{ "/usr/lib/libfoo.so.1", false, "libfoo.so.1+0xabcd" },
		{ "/usr/lib/libfoo.so.1", true, "/usr/lib/libfoo.so.1+0xabcd" },
		{ "/usr/lib/\x1b.so", false, "\xef\xbf\xbd.so+0xabcd" },
		{ "", false, "0xabcd" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lt_report_frame frame = { .module = cases[i].module, .offset = 0xabcd };
		_lt_buf_ struct lt_buf out = { 0 };

		lt_caller_address(&out, &frame, cases[i].wide);
		assert_int_equal(lt_buf_error(&out), 0);
		assert_string_equal(out.data, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_caller_is_who_asked),
		cmocka_unit_test(the_c_library_asks_for_others),
		cmocka_unit_test(go_asks_through_its_library),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(no_frames_no_caller),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
