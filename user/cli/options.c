// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <linux/types.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/kind.h"
#include "cli/manual.h"
#include "leaktrace/events.h"
#include "leaktrace/limits.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MIN_INTERVAL_S    0.1
#define MAX_INTERVAL_S    1e6
#define MIN_RING          4096                /* a page: the kernel takes no less */
#define MAX_RING          (UINT64_C(1) << 30) /* positions in a ring are 32-bit on old kernels */
#define MAX_PID           (4 * 1024 * 1024)   /* PID_MAX_LIMIT, linux/threads.h */

/* Readers of arguments: NULL, or what is wanted instead, to follow "wants". */
typedef const char *(*take_function)(const char *text, void *member);

static bool whole(const char *text, size_t len, uint64_t max, uint64_t *result)
{
	uint64_t value = 0;

	if (!len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return false;
	}
	if (value > max)
		return false;
	*result = value;
	return true;
}

/* Digits with at most one point; no sign, exponent, hexadecimal or "nan", which strtod would take.
 */
static bool decimal(const char *text, const char **rest, double *result)
{
	size_t len = strspn(text, "0123456789.");
	char *end;

	if (!len)
		return false;
	*result = strtod(text, &end);
	*rest = text + len;
	return end == *rest && isfinite(*result);
}

/* k, M, G as powers of 1024; passes over it. */
static uint64_t take_suffix(const char **text)
{
	static const char letters[] = "kKmMgG";
	const char *letter = **text ? strchr(letters, **text) : NULL;

	if (!letter)
		return 1;
	(*text)++;
	return UINT64_C(1) << 10 * ((letter - letters) / 2 + 1);
}

static const char *take_true(const char *text, void *member)
{
	*(bool *)member = true;
	return NULL;
}

/* -p may be given several times. */
static const char *take_pids(const char *text, void *member)
{
	uint64_t value;

	_Static_assert(LT_MAX_TARGETS == 256, "the texts say so");
	for (;;) {
		size_t len = strcspn(text, ",");

		if (!whole(text, len, MAX_PID, &value) || !value)
			return "process ids, separated by commas";
		if (!lt_pids_add(member, (pid_t)value))
			return "at most 256 process ids";
		if (!text[len])
			return NULL;
		text += len + 1;
	}
}

static const char *take_name(const char *text, void *member)
{
	if (!*text || strchr(text, '/'))
		return "the name of a program, without its path";
	*(const char **)member = text;
	return NULL;
}

static const char *take_cgroup(const char *text, void *member)
{
	if (!*text)
		return "a control group";
	*(const char **)member = text;
	return NULL;
}

static const char *take_allocator(const char *text, void *member)
{
	struct lt_plan_options *plan = member;

	_Static_assert(LT_MAX_ALLOCATORS == 8, "the texts say so");
	if (!lt_plan_allocator_valid(text))
		return "FILE:PREFIX, such as libpool.so:pool_";
	if (plan->allocator_count == LT_MAX_ALLOCATORS)
		return "to be given 8 times at most";
	plan->allocators[plan->allocator_count++] = text;
	return NULL;
}

static const char *take_top(const char *text, void *member)
{
	uint64_t value;

	_Static_assert(LT_MAX_REPORT_SITES == 1000, "the texts say so");
	if (!whole(text, strlen(text), LT_MAX_REPORT_SITES, &value) || !value)
		return "a whole number from 1 to 1000";
	*(uint32_t *)member = (uint32_t)value;
	return NULL;
}

static const char *take_max_frames(const char *text, void *member)
{
	uint64_t value;

	_Static_assert(LT_MAX_FRAMES == 127, "the texts say so");
	if (!whole(text, strlen(text), LT_MAX_FRAMES, &value) || !value)
		return "a whole number from 1 to 127";
	*(uint32_t *)member = (uint32_t)value;
	return NULL;
}

static const char *take_count(const char *text, void *member)
{
	return whole(text, strlen(text), UINT32_MAX, member) && *(uint64_t *)member
		       ? NULL
		       : "a whole number above 0";
}

static const char *take_interval(const char *text, void *member)
{
	const char *rest;
	double value;

	if (!decimal(text, &rest, &value) || *rest || value < MIN_INTERVAL_S ||
	    value > MAX_INTERVAL_S)
		return "seconds, from 0.1 to 1000000";
	*(double *)member = value;
	return NULL;
}

static const char *take_growth(const char *text, void *member)
{
	const char *rest;
	double value;

	if (!decimal(text, &rest, &value))
		return "a rate such as 500k, 1M/h or 2G/h";
	value *= (double)take_suffix(&rest);
	if (*rest && strcmp(rest, "/h"))
		return "a rate such as 500k, 1M/h or 2G/h";
	*(double *)member = value;
	return NULL;
}

static const char *take_ring_size(const char *text, void *member)
{
	const char *rest = text + strspn(text, "0123456789");
	uint64_t value;

	if (!whole(text, (size_t)(rest - text), MAX_RING, &value))
		value = 0;
	value *= take_suffix(&rest);
	if (*rest || value < MIN_RING || value > MAX_RING || (value & (value - 1)))
		return "a power of two from 4096 to 1G";
	*(uint64_t *)member = value;
	return NULL;
}

static const char *take_file(const char *text, void *member)
{
	if (!*text)
		return "a file name";
	*(const char **)member = text;
	return NULL;
}

/* The textfile collector passes over every other name without a word. */
static const char *take_prom(const char *text, void *member)
{
	size_t length = strlen(text);

	if (length < sizeof(".prom") || strcmp(text + length - strlen(".prom"), ".prom") != 0)
		return "a file name that ends in .prom";
	*(const char **)member = text;
	return NULL;
}

static const char *take_urls(const char *text, void *member)
{
	if (text && !strstr(text, "://"))
		return "URLs such as https://debuginfod.elfutils.org";
	*(const char **)member = text ? text : "";
	return NULL;
}

static const char *take_color(const char *text, void *member)
{
	static const char *const names[] = {
		[LT_COLOR_AUTO] = "auto", [LT_COLOR_ALWAYS] = "always", [LT_COLOR_NEVER] = "never"
	};

	if (!text)
		text = "always";
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(text, names[i])) {
			*(enum lt_color *)member = (enum lt_color)i;
			return NULL;
		}
	}
	return "auto, always or never";
}

uint64_t lt_options_all_kinds(void)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < LT_KINDS; i++)
		mask |= UINT64_C(1) << lt_kind_infos[i].value;
	return mask;
}

static const char *take_kinds(const char *text, void *member)
{
	uint64_t mask = 0;

	if (!strcmp(text, "all")) {
		*(uint64_t *)member = lt_options_all_kinds();
		return NULL;
	}
	for (;;) {
		size_t len = strcspn(text, ","), i;

		for (i = 0; i < LT_KINDS; i++)
			if (strlen(lt_kind_infos[i].name) == len &&
			    !memcmp(lt_kind_infos[i].name, text, len))
				break;
		if (i == LT_KINDS)
			return "all, or some of"
#define LT_KIND(symbol, value, name, ...) " " name
#include "leaktrace/kinds.def"
#undef LT_KIND
			       ", separated by commas";
		mask |= UINT64_C(1) << lt_kind_infos[i].value;
		if (!text[len])
			break;
		text += len + 1;
	}
	*(uint64_t *)member = mask;
	return NULL;
}

static const char *take_shell(const char *text, void *member)
{
	return strcmp(text, "bash") ? "bash" : NULL;
}

enum {
	POSITIONAL = 1,     /* what getopt_long calls an argument that is no option */
	FIRST_OPTION = 256, /* beyond every short option */
	BEFORE_OPTIONS = FIRST_OPTION - 1,
#define LT_OPTION(symbol, ...) OPTION_##symbol,
#include "cli/options.def"
#undef LT_OPTION
};

static const struct row {
	char letter;
	const char *name, *argument;
	unsigned int modes;
	take_function take;
	size_t offset;
} rows[] = {
#define LT_OPTION(symbol, letter, name, argument, section, modes, take, member, help, man)         \
	{ letter, name, argument, modes, take, offsetof(struct lt_options, member) },
#include "cli/options.def"
#undef LT_OPTION
};

static bool is_optional(const struct row *row)
{
	return row->argument && row->argument[0] == '[';
}

/* What getopt_long wants to know, made from the table. */
struct grammar {
	struct option longs[ARRAY_SIZE(rows) + 1];
	char shorts[3 * ARRAY_SIZE(rows) + 3];
};

static void make_grammar(struct grammar *grammar)
{
	char *letter = grammar->shorts;

	memset(grammar, 0, sizeof(*grammar));
	*letter++ = '-'; /* hand over everything in its order */
	*letter++ = ':'; /* tell a missing argument from an unknown option */
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		grammar->longs[i] = (struct option){ rows[i].name,
						     is_optional(&rows[i]) ? optional_argument
						     : rows[i].argument    ? required_argument
									   : no_argument,
						     NULL, FIRST_OPTION + (int)i };
		if (!rows[i].letter)
			continue;
		*letter++ = rows[i].letter;
		if (rows[i].argument)
			*letter++ = ':';
	}
}

static const struct row *row_of(int option)
{
	if (option >= FIRST_OPTION)
		return &rows[option - FIRST_OPTION];
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].letter && rows[i].letter == option)
			return &rows[i];
	return NULL;
}

__attribute__((format(printf, 2, 3))) static int usage(struct lt_buf *text, const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	lt_buf_str(text, line);
	return -EINVAL;
}

/* The generators: options that print and exit. */
static int print(struct lt_buf *text, int option)
{
	switch (option) {
	case OPTION_HELP:
		lt_manual_help(text);
		break;
	case OPTION_VERSION:
		lt_buf_str(text, "leaktrace " LT_VERSION "\n");
		break;
	case OPTION_GENERATE_MAN:
		lt_manual_page(text);
		break;
	case OPTION_GENERATE_COMPLETION:
		lt_manual_completion(text);
		break;
	default:
		return LT_OPTIONS_RUN;
	}
	return LT_OPTIONS_EXIT;
}

static int take_option(struct lt_options *options, int option, char **argv, uint64_t *seen,
		       struct lt_buf *text)
{
	const struct row *row;
	const char *wanted;

	if (option == '?') {
		if (optopt >= FIRST_OPTION)
			return usage(text, "--%s takes no argument", row_of(optopt)->name);
		if (optopt)
			return usage(text, "unknown option '-%c' (see leaktrace --help)", optopt);
		return usage(text, "unknown option '%.64s' (see leaktrace --help)",
			     argv[optind - 1]);
	}
	row = row_of(option == ':' ? optopt : option);
	if (option == ':')
		return usage(text, "--%s wants %s (see leaktrace --help)", row->name,
			     row->argument);
	wanted = row->take ? row->take(optarg, (char *)options + row->offset) : NULL;
	if (wanted)
		return usage(text, "--%s wants %s, not '%.64s'", row->name, wanted, optarg);
	*seen |= UINT64_C(1) << (row - rows);
	return print(text, FIRST_OPTION + (int)(row - rows));
}

/* Arguments that are no options: INTERVAL and COUNT, or replay and FILE, and one too many. */
struct positionals {
	char *args[4]; /* ends with NULL */
	size_t count;
};

static void take_positional(struct positionals *positionals, char *arg)
{
	if (positionals->count < ARRAY_SIZE(positionals->args) - 1)
		positionals->args[positionals->count++] = arg;
}

static int take_replay(struct lt_options *options, char **args, struct lt_buf *text)
{
	options->mode = LT_MODE_REPLAY;
	if (options->command)
		return usage(text, "a COMMAND does not go with replay: leave it out");
	if (!args[0] || !args[0][0])
		return usage(text, "replay wants the FILE of a recording (see leaktrace --help)");
	options->replay_file = args[0];
	return args[1] ? usage(text, "replay takes one file: '%.64s' is too much", args[1]) : 0;
}

static int check_target(const struct lt_options *options, struct lt_buf *text)
{
	int ways = (options->pids.count > 0) + !!options->name + !!options->cgroup +
		   !!options->command;

	if (!ways)
		return usage(text, "no target: give -p PID, -n NAME, --cgroup PATH or -- COMMAND "
				   "(see leaktrace --help)");
	if (ways > 1)
		return usage(text, "one kind of target at a time: give either -p PID, -n NAME, "
				   "--cgroup PATH or -- COMMAND");
	if (options->command && !options->command[0])
		return usage(text, "-- wants a COMMAND to follow (see leaktrace --help)");
	if (options->propagate_exit && !options->command)
		return usage(text, "--propagate-exit wants -- COMMAND as well");
	if (options->explain && options->command)
		return usage(text, "--explain starts nothing: give -p PID of a running process");
	return 0;
}

static int take_attach(struct lt_options *options, char **args, struct lt_buf *text)
{
	const char *wanted;
	int err = check_target(options, text);

	if (err)
		return err;
	options->pid = options->pids.count ? (uint32_t)options->pids.ids[0] : 0;
	if (!args[0])
		return 0;
	wanted = take_interval(args[0], &options->interval_s);
	if (wanted)
		return usage(text, "INTERVAL wants %s, not '%.64s'", wanted, args[0]);
	if (!args[1])
		return 0;
	wanted = take_count(args[1], &options->count);
	if (wanted)
		return usage(text, "COUNT wants %s, not '%.64s'", wanted, args[1]);
	return args[2] ? usage(text, "'%.64s' is too much: a command stands behind --", args[2])
		       : 0;
}

static int check_together(const struct lt_options *options, uint64_t seen, struct lt_buf *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (seen >> i & 1 && !(rows[i].modes >> options->mode & 1))
			return usage(text, "--%s does not go with replay: leave it out",
				     rows[i].name);
	if (options->quiet && options->verbose)
		return usage(text, "--quiet and --verbose contradict each other: leave one out");
	if (options->keep_prom && !options->prom)
		return usage(text, "--keep-prom wants --prom FILE as well");
	if (options->explain && options->record)
		return usage(text,
			     "--explain traces nothing that --record could write: leave one out");
	return 0;
}

/* All of argv up to "--", behind which a command stands whose options are not ours. */
static int take_all(struct lt_options *options, int argc, char **argv,
		    struct positionals *positionals, uint64_t *seen, struct lt_buf *text)
{
	struct grammar grammar;
	int option, before, err;

	make_grammar(&grammar);
	optind = 0; /* makes getopt_long start anew */
	opterr = 0;
	for (;;) {
		before = optind ? optind : 1;
		option = getopt_long(argc, argv, grammar.shorts, grammar.longs, NULL);
		if (option == -1)
			break;
		if (option == POSITIONAL) {
			take_positional(positionals, optarg);
			continue;
		}
		err = take_option(options, option, argv, seen, text);
		if (err)
			return lt_buf_error(text) ? lt_buf_error(text) : err;
	}
	if (optind > before) /* it passed over a "--" */
		options->command = argv + optind;
	return 0;
}

int lt_options_parse(struct lt_options *result, int argc, char **argv, struct lt_buf *text)
{
	struct lt_options options = { .interval_s = 10, .top = 10 };
	struct positionals rest = { 0 };
	uint64_t seen = 0;
	int err;

	_Static_assert(ARRAY_SIZE(rows) <= 64, "a bit for each option");
	err = take_all(&options, argc, argv, &rest, &seen, text);
	if (err)
		return err;
	err = rest.args[0] && !strcmp(rest.args[0], "replay")
		      ? take_replay(&options, rest.args + 1, text)
		      : take_attach(&options, rest.args, text);
	if (!err)
		err = check_together(&options, seen, text);
	if (!err)
		*result = options;
	return err;
}
