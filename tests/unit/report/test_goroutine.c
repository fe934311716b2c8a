// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/goroutine.h"

#define GO(name)                                                                                   \
	{                                                                                          \
		.function = (name), .file = "x.go", .module = ""                                   \
	}
#define MARK(info)                                                                                 \
	{                                                                                          \
		.function = "", .file = "", .module = "", .mark = &(info)                          \
	}

static const struct lt_mark_info receive = { LT_MARK_CHAN_RECEIVE, LT_MARK_CLASS_WAIT, "" };
static const struct lt_mark_info selects = { LT_MARK_SELECT, LT_MARK_CLASS_WAIT, "" };
static const struct lt_mark_info running = { LT_MARK_RUNNING, LT_MARK_CLASS_STATE, "" };
static const struct lt_mark_info created = { LT_MARK_CREATED, LT_MARK_CLASS_CHAIN, "" };

static struct lt_goroutine read(const struct lt_report_frame *frames, uint32_t count)
{
	struct lt_report_site site = { .frames = frames, .frame_count = count };
	struct lt_goroutine goroutine;

	lt_goroutine_read(&site, &goroutine);
	return goroutine;
}

static void where_it_is_and_who_made_it(void **state)
{
	static const struct lt_report_frame frames[] = {
		MARK(receive),          GO("runtime.gopark"), GO("runtime.chanrecv1"),
		GO("main.serve.func1"), MARK(created),        GO("runtime.newproc"),
		GO("main.serve"),       GO("main.main"),
	};
	struct lt_goroutine goroutine = read(frames, 8);

	assert_ptr_equal(goroutine.state, &receive);
	assert_ptr_equal(goroutine.at, &frames[3]);
	assert_null(goroutine.within);
	assert_ptr_equal(goroutine.created, &frames[6]);
	assert_null(goroutine.own);
	assert_null(goroutine.shape);
}

static void the_library_called_by_the_program(void **state)
{
	static const struct lt_report_frame frames[] = {
		MARK(selects),
		GO("net/http.(*persistConn).roundTrip"),
		GO("net/http.(*Client).Do"),
		GO("main.fetch"),
		MARK(created),
		GO("main.main"),
	};
	struct lt_goroutine goroutine = read(frames, 6);

	assert_ptr_equal(goroutine.at, &frames[3]);
	assert_ptr_equal(goroutine.within, &frames[1]);
	assert_ptr_equal(goroutine.created, &frames[5]);
}

static void a_chain_leads_to_the_program(void **state)
{
	static const struct lt_report_frame frames[] = {
		MARK(selects),    GO("net/http.(*persistConn).readLoop"),
		MARK(created),    GO("net/http.(*Transport).dialConn"),
		MARK(created),    GO("net/http.(*Transport).queueForDial"),
		GO("main.fetch"),
	};
	struct lt_goroutine goroutine = read(frames, 7);

	assert_ptr_equal(goroutine.at, &frames[1]);
	assert_null(goroutine.within);
	assert_ptr_equal(goroutine.created, &frames[3]);
	assert_ptr_equal(goroutine.own, &frames[6]);
	assert_non_null(goroutine.shape);
}

static void parts_may_be_missing(void **state)
{
	static const struct lt_report_frame frames[] = { MARK(running), MARK(created),
							 GO("main.f") };
	struct lt_goroutine goroutine = read(frames, 3);

	assert_ptr_equal(goroutine.state, &running);
	assert_null(goroutine.at);
	assert_ptr_equal(goroutine.created, &frames[2]);
	goroutine = read(frames, 1);
	assert_ptr_equal(goroutine.state, &running);
	assert_null(goroutine.created);
	goroutine = read(frames, 2);
	assert_null(goroutine.created);
	goroutine = read(frames + 1, 2);
	assert_null(goroutine.state);
	assert_ptr_equal(goroutine.created, &frames[2]);
	goroutine = read(frames + 2, 1);
	assert_null(goroutine.state);
	assert_ptr_equal(goroutine.at, &frames[2]);
	goroutine = read(NULL, 0);
	assert_null(goroutine.state);
	assert_null(goroutine.at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_it_is_and_who_made_it),
		cmocka_unit_test(the_library_called_by_the_program),
		cmocka_unit_test(a_chain_leads_to_the_program),
		cmocka_unit_test(parts_may_be_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
