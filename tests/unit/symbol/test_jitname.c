/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "symbol/jitname.h"

/* As Node.js 20, CPython 3.12 and OpenJDK 17 write them, unless said otherwise. */
static const struct {
	const char *name, *function, *file;
	uint32_t line;
} vectors[] = {
	{ "JS:~leak /srv/app.js:2:14", "leak", "/srv/app.js", 2 },
	{ "JS:^leak /srv/app.js:2:14", "leak", "/srv/app.js", 2 },
	{ "JS:*leak /srv/app.js:2:14", "leak", "/srv/app.js", 2 },
	{ "JS:*hot file:///srv/mod.mjs:1:20", "hot", "/srv/mod.mjs", 1 },
	{ "JS:^ /srv/app.js:9:59", "<anonymous>", "/srv/app.js", 9 },
	{ "JS:~get n /srv/app.js:1:80", "get n", "/srv/app.js", 1 },
	{ "JS:~#p /srv/my app.js:5:12", "#p", "/srv/my app.js", 5 },
	{ "JS:~a b /srv/my app.js:4:24", "a b", "/srv/my app.js", 4 },
	{ "JS:~Readable.removeListener node:internal/streams/readable:1159:45",
	  "Readable.removeListener", "node:internal/streams/readable", 1159 },
	{ "JS:*vmf evalmachine.<anonymous>:1:13", "vmf", "evalmachine.<anonymous>", 1 },
	{ "JS:~ev :1:12", "ev", "", 0 },
	{ "Eval:~ :1:1", "<anonymous>", "", 0 },
	{ "Eval:~ /srv/app.js:1:1", "<anonymous>", "/srv/app.js", 1 },
	{ "Script:~ file:///srv/mod.mjs:1:1", "<anonymous>", "/srv/mod.mjs", 1 },
	{ "JS:wasm-function[0]-0-liftoff", "JS:wasm-function[0]-0-liftoff", "", 0 },
	{ "Builtin:ArrayPrototypePush", "Builtin:ArrayPrototypePush", "", 0 },
	{ "BytecodeHandler:LdaSmi", "BytecodeHandler:LdaSmi", "", 0 },
	{ "RegExp:(a+)+b(c|d)*e", "RegExp:(a+)+b(c|d)*e", "", 0 },
	{ "Stub:js-to-wasm:ii:i", "Stub:js-to-wasm:ii:i", "", 0 },
	/* older V8, and its middle tier */
	{ "LazyCompile:*foo /srv/app.js:12:3", "foo", "/srv/app.js", 12 },
	{ "JS:+foo /srv/app.js:12:3", "foo", "/srv/app.js", 12 },
	/* CPython */
	{ "py::A.f:/srv/t.py", "A.f", "/srv/t.py", 0 },
	{ "py::<module>:/srv/t.py", "<module>", "/srv/t.py", 0 },
	{ "py::_read_directory:<frozen zipimport>", "_read_directory", "<frozen zipimport>", 0 },
	/* HotSpot */
	{ "int App.leak(int, java.lang.String[], java.util.List)",
	  "int App.leak(int, java.lang.String[], java.util.List)", "", 0 },
	{ "void App$$Lambda$1/0x00007ff8f8000c20.run()",
	  "void App$$Lambda$1/0x00007ff8f8000c20.run()", "", 0 },
	{ "I2C/C2I adapters", "I2C/C2I adapters", "", 0 },
	/* what does not fit stays whole */
	{ "", "", "", 0 },
	{ "JS:", "JS:", "", 0 },
	{ "JS:* ", "JS:* ", "", 0 },
	{ "LazyCompile:~f /x.js:4", "f", "/x.js", 4 },
	{ "JS:*f /x.js", "JS:*f /x.js", "", 0 },
	{ "JS:*f /x.js:1:", "JS:*f /x.js:1:", "", 0 },
	{ "JS:*f /x.js::1", "JS:*f /x.js::1", "", 0 },
	{ "JS:*f 1:1", "JS:*f 1:1", "", 0 },
	{ "JS:*f /x.js:9999999999:1", "JS:*f /x.js:9999999999:1", "", 0 },
	{ "py::", "py::", "", 0 },
	{ "py::f", "py::f", "", 0 },
};

static void test_vectors(void **state)
{
	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		char name[128];
		struct lt_source_frame frame;

		strcpy(name, vectors[i].name);
		lt_jitname_split(name, &frame);
		assert_string_equal(frame.function, vectors[i].function);
		assert_string_equal(frame.file, vectors[i].file);
		assert_int_equal(frame.line, vectors[i].line);
		assert_false(frame.inlined);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
