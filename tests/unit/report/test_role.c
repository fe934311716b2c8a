// SPDX-License-Identifier: GPL-2.0-or-later
/* Wrappers are tested by those who look behind them: tests/unit/export/test_caller.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/role.h"

static void files_of_the_c_library(void **state)
{
	static const struct {
		const char *module;
		bool libc;
	} modules[] = {
		{ "/lib/x86_64-linux-gnu/libc.so.6", true },
		{ "/lib64/libc-2.31.so", true },
		{ "/lib64/libpthread-2.31.so", true },
		{ "/lib/ld-musl-x86_64.so.1", true },
		{ "libc.so.6", true },
		{ "/usr/lib/libcurl.so.4", false },
		{ "/usr/lib/libc-client.so.2007e", false },
		{ "/opt/libc.so.6/app", false },
		{ "", false },
	};

	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		struct lt_report_frame frame = { .function = "", .module = modules[i].module };

		assert_int_equal(lt_role_is_libc(&frame), modules[i].libc);
	}
}

static void names(void **state)
{
	static const struct {
		const char *function;
		bool wrapper, beginning;
	} functions[] = {
		{ "__libc_start_main_impl", false, true },
		{ "start_thread", false, true },
		{ "_start", false, true },
		{ "start", false, false },
		{ "operator new(unsigned long)", true, false },
		{ "__pthread_create_2_1", true, false }, /* in a static program */
		{ "connection_open", false, false },
		{ "", false, false },
	};

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		struct lt_report_frame frame = { .function = functions[i].function, .module = "" };

		assert_int_equal(lt_role_is_wrapper(&frame), functions[i].wrapper);
		assert_int_equal(lt_role_is_beginning(&frame), functions[i].beginning);
	}
}

static void interpreters(void **state)
{
	static const struct {
		const char *function;
		bool interpreter;
	} functions[] = {
		{ "_PyEval_EvalFrameDefault", true },
		{ "_PyEval_EvalFrameDefault.cold", true },
		{ "_PyEval_EvalFrameDefault.lto_priv.0", true },
		{ "Builtins_InterpreterEntryTrampoline", true },
		{ "vm_exec_core", true },
		{ "vm_exec", true },
		{ "rb_vm_exec", true },
		{ "Perl_runops_standard", true },
		{ "luaV_execute", true },
		{ "luaV_execute(lua_State*)", true }, /* built as C++ */
		{ "execute_ex", true },
		{ "Interpreter", true },
		{ "Interpreter::run()", false }, /* anybody's */
		{ "vm_exec_all", false },
		{ "_PyEval_Vector", false },
		{ "execute", false },
		{ "", false },
	};

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		struct lt_report_frame frame = { .function = functions[i].function, .module = "" };

		assert_int_equal(lt_role_is_interpreter(&frame), functions[i].interpreter);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_of_the_c_library),
		cmocka_unit_test(names),
		cmocka_unit_test(interpreters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
