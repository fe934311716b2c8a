// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "report/groups.h"

#define NS             1000000000ULL
#define NOW_S          1000
#define SITES          3
#define NAME_MAX_BYTES 64

/* Sites 0 and 2 are shown, in the order 2, 0. */
struct scene {
	struct lt_site sites[SITES];
	struct lt_ranked ranking[2];
	struct lt_report_site shown[2];
	struct lt_symbol_store *symbols;
	struct lt_event_target target;
	struct lt_report_input input;
	struct lt_arena arena;
	struct lt_groups *groups;
	char names[1000][NAME_MAX_BYTES];
	size_t named;
};

static int setup(void **state)
{
	static struct scene scene;
	static const struct lt_source_frame frames[] = { { "inlined", "a.c", 1, true },
							 { "serve", "a.c", 2, false } };
	static const struct lt_event_module module = { 0,    0x1000, 0x9000, 0x100, "/opt/app/bin",
						       NULL, 0 };
	static const struct lt_event_symbol symbol = { 0x2000, frames, 2 },
					    unknown = { .pc = 0x3000 };

	memset(&scene, 0, sizeof(scene));
	for (uint32_t i = 0; i < SITES; i++)
		scene.sites[i].index = i;
	scene.ranking[0].site = &scene.sites[2];
	scene.ranking[1].site = &scene.sites[0];
	assert_int_equal(lt_symbol_store_new(&scene.symbols), 0);
	assert_int_equal(lt_symbol_store_add_module(scene.symbols, &module), 0);
	assert_int_equal(lt_symbol_store_add_symbol(scene.symbols, &symbol), 0);
	assert_int_equal(lt_symbol_store_add_symbol(scene.symbols, &unknown), 0);
	assert_int_equal(lt_groups_new(scene.ranking, 2, SITES, &scene.groups), 0);
	scene.target.comm = "server";
	scene.input = (struct lt_report_input){ .symbols = scene.symbols,
						.target = &scene.target,
						.time_ns = NOW_S * NS };
	*state = &scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	lt_groups_free(scene->groups);
	lt_symbol_store_free(scene->symbols);
	lt_arena_free(&scene->arena);
	return 0;
}

__attribute__((format(printf, 2, 3))) static const char *text(struct scene *scene,
							      const char *format, ...)
{
	char *name = scene->names[scene->named++];
	va_list values;

	va_start(values, format);
	vsnprintf(name, NAME_MAX_BYTES, format, values);
	va_end(values);
	return name;
}

static void add(struct scene *scene, struct lt_handle handle)
{
	handle.described = handle.type;
	handle.type = handle.type ? handle.type : "";
	handle.name = handle.name ? handle.name : "";
	handle.local = handle.local ? handle.local : "";
	handle.state = handle.state ? handle.state : "";
	for (size_t i = 0; i < 2; i++)
		if (scene->ranking[i].site->index == handle.site)
			scene->shown[i].live_count++;
	lt_groups_add(scene->groups, &handle);
}

static void add_socket(struct scene *scene, const char *remote, const char *local,
		       const char *state, uint64_t born_s)
{
	add(scene, (struct lt_handle){ .kind = LT_KIND_SOCKET,
				       .site = 2,
				       .born_ns = born_s * NS,
				       .type = "TCP",
				       .name = remote,
				       .local = local,
				       .state = state });
}

static void add_file(struct scene *scene, const char *type, const char *path)
{
	add(scene, (struct lt_handle){ .kind = LT_KIND_FD, .site = 2, .type = type, .name = path });
}

static void add_thread(struct scene *scene, uint64_t start, const char *name)
{
	add(scene, (struct lt_handle){ .kind = LT_KIND_THREAD,
				       .site = 2,
				       .type = "thread",
				       .key = start,
				       .name = name });
}

static const struct lt_report_site *fill(struct scene *scene)
{
	assert_int_equal(lt_groups_fill(scene->groups, &scene->input, &scene->arena, scene->shown),
			 0);
	return &scene->shown[0];
}

static void check(const struct lt_report_site *site, size_t at, const char *type,
		  const char *relation, const char *what, uint64_t count)
{
	assert_true(at < site->group_count);
	assert_string_equal(site->groups[at].type, type);
	assert_string_equal(site->groups[at].relation, relation);
	assert_string_equal(site->groups[at].what, what);
	assert_int_equal(site->groups[at].count, count);
}

static void nothing_lives(void **state)
{
	struct scene *scene = *state;

	scene->shown[0].oldest_age_s = 7;
	fill(scene);
	assert_int_equal(scene->shown[0].group_count, 0);
	assert_int_equal(scene->shown[0].group_rest, 0);
	assert_true(scene->shown[0].oldest_age_s == 7);
}

static void sockets_by_their_remote_end(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_site *site;

	for (int i = 0; i < 412; i++)
		add_socket(scene, "10.0.0.5:5432", text(scene, "10.0.0.9:%d", 30000 + i),
			   i < 409 ? "CLOSE_WAIT" : "ESTABLISHED", i == 100 ? 1 : 500);
	add_socket(scene, "10.0.0.6:5432", "10.0.0.9:1", "ESTABLISHED", 0);
	site = fill(scene);
	assert_int_equal(site->group_count, 2);
	check(site, 0, "TCP", "to", "10.0.0.5:5432", 412);
	assert_int_equal(site->groups[0].state_count, 2);
	assert_string_equal(site->groups[0].states[0].name, "CLOSE_WAIT");
	assert_int_equal(site->groups[0].states[0].count, 409);
	assert_string_equal(site->groups[0].states[1].name, "ESTABLISHED");
	assert_int_equal(site->groups[0].states[1].count, 3);
	assert_true(site->groups[0].oldest_age_s == NOW_S - 1);
	check(site, 1, "TCP", "to", "10.0.0.6:5432", 1);
	assert_true(isnan(site->groups[1].oldest_age_s));
	assert_int_equal(site->group_rest, 0);
	assert_true(site->oldest_age_s == NOW_S - 1);
}

static void accepted_sockets_by_their_local_end(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_site *site;

	for (int i = 0; i < 40; i++)
		add_socket(scene, text(scene, "192.0.2.1:%d", 40000 + i),
			   i % 4 ? "10.0.0.1:80" : "10.0.0.1:443", "ESTABLISHED", 0);
	site = fill(scene);
	assert_int_equal(site->group_count, 2);
	check(site, 0, "TCP", "at", "10.0.0.1:80", 30);
	check(site, 1, "TCP", "at", "10.0.0.1:443", 10);
}

static void sockets_with_nothing_in_common(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_site *site;

	for (int i = 0; i < 20; i++)
		add_socket(scene, text(scene, "192.0.2.%d:443", i),
			   text(scene, "10.0.0.1:%d", 40000 + i), "", 0);
	site = fill(scene);
	assert_int_equal(site->group_count, 1);
	check(site, 0, "TCP", "", "", 20);
	assert_int_equal(site->groups[0].state_count, 0);
}

/* Three are shown; ties by text; the rest is counted. */
static void a_few_groups(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_site *site;

	for (int i = 0; i < 24; i++)
		add_socket(scene, text(scene, "192.0.2.%d:443", (i * 5) % 6),
			   text(scene, "10.0.0.1:%d", 40000 + i), "", 0);
	add_socket(scene, "192.0.2.4:443", "10.0.0.1:39999", "", 0);
	site = fill(scene);
	assert_int_equal(site->group_count, LT_GROUPS_SHOWN);
	check(site, 0, "TCP", "to", "192.0.2.4:443", 5);
	check(site, 1, "TCP", "to", "192.0.2.0:443", 4);
	check(site, 2, "TCP", "to", "192.0.2.1:443", 4);
	assert_int_equal(site->group_rest, 12);
}

/* What is diverse must not hide what is not: each is told at the level that fits it. */
static void a_mixed_site(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_site *site;

	for (int i = 0; i < 60; i++)
		add_socket(scene, text(scene, "192.0.2.1:%d", 40000 + i), "10.0.0.1:80",
			   "ESTABLISHED", 500);
	for (int i = 0; i < 40; i++)
		add_socket(scene, "10.0.0.5:5432", text(scene, "10.0.0.9:%d", 30000 + i),
			   "CLOSE_WAIT", i == 7 ? 300 : 500);
	add_socket(scene, "10.0.0.6:53", "10.0.0.9:1", "", 0);
	add_socket(scene, "10.0.0.7:53", "10.0.0.9:2", "", 0);
	site = fill(scene);
	assert_int_equal(site->group_count, 3);
	check(site, 0, "TCP", "at", "10.0.0.1:80", 60);
	assert_string_equal(site->groups[0].states[0].name, "ESTABLISHED");
	assert_int_equal(site->groups[0].state_count, 1);
	check(site, 1, "TCP", "to", "10.0.0.5:5432", 40);
	assert_int_equal(site->groups[1].states[0].count, 40);
	assert_true(site->groups[1].oldest_age_s == NOW_S - 300);
	check(site, 2, "TCP", "", "", 2);
	assert_int_equal(site->group_rest, 0);
}

static void half_to_one_hub(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_site *site;

	for (int i = 0; i < 100; i++)
		add_socket(scene, i % 2 ? "10.0.0.5:5432" : text(scene, "192.0.2.%d:443", i),
			   text(scene, "10.0.0.9:%d", 30000 + i), "", 0);
	site = fill(scene);
	assert_int_equal(site->group_count, 2);
	check(site, 0, "TCP", "", "", 50);
	check(site, 1, "TCP", "to", "10.0.0.5:5432", 50);
}

/* One part in twelve is a good share; less goes on to the next level. */
static void a_good_share(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_site *site;

	for (int i = 0; i < 120; i++)
		add_file(scene, "file",
			 i < 10   ? "/var/log/big"
			 : i < 19 ? "/tmp/small"
				  : text(scene, "/tmp/%d", i));
	site = fill(scene);
	assert_int_equal(site->group_count, 2);
	check(site, 0, "file", "in", "/tmp", 110);
	check(site, 1, "file", "", "/var/log/big", 10);
}

static void a_log_among_many_paths(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_site *site;

	for (int i = 0; i < 200; i++)
		add_file(scene, "file", i % 2 ? "/var/log/big" : text(scene, "/srv/%d/data", i));
	site = fill(scene);
	assert_int_equal(site->group_count, 2);
	check(site, 0, "file", "", "", 100);
	check(site, 1, "file", "", "/var/log/big", 100);
}

/* More groups than are shown, from all levels: the largest. */
static void the_largest_of_all_levels(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_site *site;

	for (int i = 0; i < 100; i++)
		add_file(scene, "file",
			 i < 10   ? "/a"
			 : i < 21 ? "/b"
			 : i < 33 ? "/c"
			 : i < 60 ? text(scene, "/srv/%d", i)
				  : text(scene, "/opt/%d", i));
	site = fill(scene);
	assert_int_equal(site->group_count, 3);
	check(site, 0, "file", "in", "/opt", 40);
	check(site, 1, "file", "in", "/srv", 27);
	check(site, 2, "file", "", "/c", 12);
	assert_int_equal(site->group_rest, 21);
}

/* Each is one part in ten, and so they are no groups. */
static void a_few_different_ones(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 10; i++)
		add_file(scene, "file", text(scene, "/srv/%d", i));
	fill(scene);
	assert_int_equal(scene->shown[0].group_count, 1);
	check(&scene->shown[0], 0, "file", "in", "/srv", 10);
}

/* Some have a name of their own, each another one: what is common to all is told once. */
static void no_group_is_told_twice(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 50; i++)
		add_thread(scene, 0x2000, i < 20 ? "server" : text(scene, "worker-%d", i));
	for (int i = 0; i < 10; i++)
		add_thread(scene, 0x2000, "io");
	fill(scene);
	assert_int_equal(scene->shown[0].group_count, 2);
	check(&scene->shown[0], 0, "thread", "running", "serve", 50);
	check(&scene->shown[0], 1, "thread", "running", "serve (io)", 10);
}

static void listeners_and_their_connections(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 40; i++)
		add_socket(scene, i < 8 ? "" : text(scene, "192.0.2.1:%d", 40000 + i),
			   "10.0.0.1:80", i < 8 ? "LISTEN" : "ESTABLISHED", 0);
	fill(scene);
	assert_int_equal(scene->shown[0].group_count, 1);
	check(&scene->shown[0], 0, "TCP", "at", "10.0.0.1:80", 40);
	assert_int_equal(scene->shown[0].groups[0].state_count, 2);
}

/* Up to three are told one by one. */
static void three_different_ones(void **state)
{
	struct scene *scene = *state;

	add_file(scene, "file", "/c");
	add_file(scene, "file", "/b");
	add_file(scene, "file", "/a");
	fill(scene);
	assert_int_equal(scene->shown[0].group_count, 3);
	check(&scene->shown[0], 0, "file", "", "/a", 1);
	check(&scene->shown[0], 2, "file", "", "/c", 1);
}

static void listeners_and_unnamed(void **state)
{
	struct scene *scene = *state;

	add_socket(scene, "", "0.0.0.0:80", "LISTEN", 0);
	add_socket(scene, "", "", "", 0);
	add(scene, (struct lt_handle){ .kind = LT_KIND_SOCKET, .site = 2 });
	fill(scene);
	check(&scene->shown[0], 0, "TCP", "", "", 1);
	check(&scene->shown[0], 1, "TCP", "at", "0.0.0.0:80", 1);
	check(&scene->shown[0], 2, "socket", "", "", 1); /* nobody told what it is */
}

static void files_by_path_or_folder(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_site *site;

	for (int i = 0; i < 30; i++)
		add_file(scene, "file", text(scene, "/var/tmp/upload-%d", i));
	for (int i = 0; i < 5; i++)
		add_file(scene, "file", text(scene, "/%d", i));
	for (int i = 0; i < 2; i++)
		add_file(scene, "pipe", "");
	site = fill(scene);
	check(site, 0, "file", "in", "/var/tmp", 30);
	check(site, 1, "file", "in", "/", 5);
	check(site, 2, "pipe", "", "", 2);
	assert_int_equal(site->group_count, 3);
}

static void the_same_path(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 30; i++)
		add_file(scene, "file", "/etc/hosts");
	fill(scene);
	assert_int_equal(scene->shown[0].group_count, 1);
	check(&scene->shown[0], 0, "file", "", "/etc/hosts", 30);
}

/* dup() of a socket makes a descriptor. */
static void a_descriptor_may_be_a_socket(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 5; i++)
		add(scene, (struct lt_handle){ .kind = LT_KIND_FD,
					       .site = 2,
					       .type = "TCP",
					       .name = "192.0.2.1:443",
					       .local = text(scene, "10.0.0.1:%d", 40000 + i) });
	fill(scene);
	check(&scene->shown[0], 0, "TCP", "to", "192.0.2.1:443", 5);
}

static void threads_by_function_and_name(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_site *site;

	for (int i = 0; i < 6; i++)
		add_thread(scene, 0x2000, i % 2 ? "io" : "server");
	add_thread(scene, 0, "server"); /* the first thread */
	site = fill(scene);
	assert_int_equal(site->group_count, 3);
	check(site, 0, "thread", "running", "serve", 3); /* its name is the process's */
	check(site, 1, "thread", "running", "serve (io)", 3);
	check(site, 2, "thread", "", "", 1);
}

static void threads_with_names_of_their_own(void **state)
{
	struct scene *scene = *state;
	const struct lt_report_site *site;

	for (int i = 0; i < 12; i++)
		add_thread(scene, i < 8 ? 0x2000 : 0x3000, text(scene, "worker-%d", i));
	site = fill(scene);
	assert_int_equal(site->group_count, 2);
	check(site, 0, "thread", "running", "serve", 8);
	check(site, 1, "thread", "running", "bin+0x2100", 4); /* looked up, and without a name */
}

static void code_without_a_module(void **state)
{
	struct scene *scene = *state;

	add_thread(scene, 0x7f0000000010, "jit");
	fill(scene);
	check(&scene->shown[0], 0, "thread", "running", "0x7f0000000010 (jit)", 1);
}

static void only_shown_sites_count(void **state)
{
	struct scene *scene = *state;

	add(scene, (struct lt_handle){ .kind = LT_KIND_FD, .site = 1, .type = "file" });
	add(scene, (struct lt_handle){ .kind = LT_KIND_FD, .site = 77, .type = "file" });
	add(scene, (struct lt_handle){
			   .kind = LT_KIND_FD, .site = 0, .type = "pipe", .born_ns = 999 * NS });
	add(scene, (struct lt_handle){
			   .kind = LT_KIND_FD, .site = 2, .type = "epoll", .born_ns = 2000 * NS });
	fill(scene);
	assert_int_equal(scene->shown[0].group_count, 1);
	check(&scene->shown[0], 0, "epoll", "", "", 1);
	assert_true(scene->shown[0].oldest_age_s == 0); /* its clock is ahead */
	assert_int_equal(scene->shown[1].group_count, 1);
	check(&scene->shown[1], 0, "pipe", "", "", 1);
	assert_true(scene->shown[1].oldest_age_s == 1);
}

/* Beyond the bound, resources are counted only. */
static void too_many(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < LT_GROUPS_MAX + 10; i++)
		add(scene,
		    (struct lt_handle){ .kind = LT_KIND_FD,
					.site = 2,
					.type = "file",
					.name = i % 3 ? "/a" : "/b",
					.born_ns = (i == LT_GROUPS_MAX + 5 ? 1 : 900) * NS });
	fill(scene);
	assert_int_equal(scene->shown[0].group_count, 2);
	assert_int_equal(scene->shown[0].groups[0].count + scene->shown[0].groups[1].count,
			 LT_GROUPS_MAX);
	assert_int_equal(scene->shown[0].group_rest, 10);
	assert_true(scene->shown[0].oldest_age_s == NOW_S - 1);
}

/* More states than there can be. */
static void hostile_states(void **state)
{
	struct scene *scene = *state;

	for (int i = 0; i < 100; i++)
		add_socket(scene, "a:1", "b:2", text(scene, "%03d", i / 2), 0);
	fill(scene);
	assert_int_equal(scene->shown[0].groups[0].count, 100);
	assert_int_equal(scene->shown[0].groups[0].state_count, LT_GROUPS_STATES);
	assert_int_equal(scene->shown[0].groups[0].states[0].count, 2);
	assert_string_equal(scene->shown[0].groups[0].states[0].name, "000");
}

struct wanted {
	uint64_t pcs[8];
	size_t count;
	int answer;
};

static int want(void *context, uint64_t pc)
{
	struct wanted *wanted = context;

	wanted->pcs[wanted->count++] = pc;
	return wanted->answer;
}

static void start_functions_are_wanted(void **state)
{
	struct scene *scene = *state;
	struct wanted wanted = { .count = 0 };

	add_thread(scene, 0x2000, "a"); /* known */
	add_thread(scene, 0x3000, "a"); /* known to have no name */
	add_thread(scene, 0x4000, "a");
	add_thread(scene, 0x4000, "b");
	add_thread(scene, 0, "c");
	assert_int_equal(lt_groups_wanted(scene->groups, &scene->input, want, &wanted), 0);
	assert_int_equal(wanted.count, 1);
	assert_int_equal(wanted.pcs[0], 0x4000);
	wanted.answer = -EIO;
	assert_int_equal(lt_groups_wanted(scene->groups, &scene->input, want, &wanted), -EIO);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_lives),
		TEST(sockets_by_their_remote_end),
		TEST(accepted_sockets_by_their_local_end),
		TEST(sockets_with_nothing_in_common),
		TEST(a_few_groups),
		TEST(a_mixed_site),
		TEST(half_to_one_hub),
		TEST(a_good_share),
		TEST(a_log_among_many_paths),
		TEST(the_largest_of_all_levels),
		TEST(a_few_different_ones),
		TEST(no_group_is_told_twice),
		TEST(listeners_and_their_connections),
		TEST(three_different_ones),
		TEST(listeners_and_unnamed),
		TEST(files_by_path_or_folder),
		TEST(the_same_path),
		TEST(a_descriptor_may_be_a_socket),
		TEST(threads_by_function_and_name),
		TEST(threads_with_names_of_their_own),
		TEST(code_without_a_module),
		TEST(only_shown_sites_count),
		TEST(too_many),
		TEST(hostile_states),
		TEST(start_functions_are_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
