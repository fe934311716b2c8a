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
#include "leaktrace/events.h"
#include "leaktrace/limits.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MIN_INTERVAL_S    0.1
#define MAX_INTERVAL_S    1e6
#define MIN_RING          4096                /* a page: the kernel takes no less */
#define MAX_RING          (UINT64_C(1) << 30) /* positions in a ring are 32-bit on old kernels */
#define MAX_PID           (4 * 1024 * 1024)   /* PID_MAX_LIMIT, linux/threads.h */
#define HELP_COLUMN       25

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

static const char *take_pid(const char *text, void *member)
{
	uint64_t value;

	if (!whole(text, strlen(text), MAX_PID, &value) || !value)
		return "a process id";
	*(uint32_t *)member = (uint32_t)value;
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

static const char *take_kinds(const char *text, void *member)
{
	uint64_t mask = 0;

	for (;;) {
		size_t len = strcspn(text, ","), i;

		for (i = 0; i < LT_KINDS; i++)
			if (strlen(lt_kind_infos[i].name) == len &&
			    !memcmp(lt_kind_infos[i].name, text, len))
				break;
		if (i == LT_KINDS)
			return "names of kinds, separated by commas (see KINDS in leaktrace(8))";
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
	FIRST_OPTION = 256, /* beyond every short option */
	BEFORE_OPTIONS = FIRST_OPTION - 1,
#define LT_OPTION(symbol, ...) OPTION_##symbol,
#include "cli/options.def"
#undef LT_OPTION
};

static const struct row {
	char letter;
	const char *name, *argument, *section;
	unsigned int modes;
	take_function take;
	size_t offset;
	const char *help, *man;
} rows[] = {
#define LT_OPTION(symbol, letter, name, argument, section, modes, take, member, help, man)         \
	{ letter, name, argument, section, modes, take, offsetof(struct lt_options, member),       \
	  help,   man },
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
	char shorts[3 * ARRAY_SIZE(rows) + 2];
};

static void make_grammar(struct grammar *grammar)
{
	char *letter = grammar->shorts;

	memset(grammar, 0, sizeof(*grammar));
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
		lt_options_help(text);
		break;
	case OPTION_VERSION:
		lt_buf_str(text, "leaktrace " LT_VERSION "\n");
		break;
	case OPTION_GENERATE_MAN:
		lt_options_man(text);
		break;
	case OPTION_GENERATE_COMPLETION:
		lt_options_completion(text);
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

static int take_replay(struct lt_options *options, char **args, struct lt_buf *text)
{
	options->mode = LT_MODE_REPLAY;
	if (!args[0] || !args[0][0])
		return usage(text, "replay wants the FILE of a recording (see leaktrace --help)");
	options->replay_file = args[0];
	return args[1] ? usage(text, "replay takes one file: '%.64s' is too much", args[1]) : 0;
}

static int take_attach(struct lt_options *options, char **args, struct lt_buf *text)
{
	const char *wanted;

	if (!options->pid)
		return usage(text, "no target: give -p PID (see leaktrace --help)");
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
	return args[2] ? usage(text, "'%.64s' is too much: after COUNT comes nothing", args[2]) : 0;
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

int lt_options_parse(struct lt_options *result, int argc, char **argv, struct lt_buf *text)
{
	struct lt_options options = { .interval_s = 10, .top = 10 };
	struct grammar grammar;
	uint64_t seen = 0;
	int option, err;

	_Static_assert(ARRAY_SIZE(rows) <= 64, "a bit for each option");
	for (size_t i = 0; i < LT_KINDS; i++)
		options.kinds |= UINT64_C(1) << lt_kind_infos[i].value;
	make_grammar(&grammar);
	optind = 0; /* makes getopt_long start anew */
	opterr = 0;
	while ((option = getopt_long(argc, argv, grammar.shorts, grammar.longs, NULL)) != -1) {
		err = take_option(&options, option, argv, &seen, text);
		if (err)
			return lt_buf_error(text) ? lt_buf_error(text) : err;
	}
	argv += optind;
	err = argv[0] && !strcmp(argv[0], "replay") ? take_replay(&options, argv + 1, text)
						    : take_attach(&options, argv, text);
	if (!err)
		err = check_together(&options, seen, text);
	if (!err)
		*result = options;
	return err;
}

static void put_option(struct lt_buf *out, const struct row *row)
{
	if (row->letter)
		lt_buf_printf(out, "-%c, ", row->letter);
	lt_buf_printf(out, "--%s%s%s", row->name, row->argument && !is_optional(row) ? " " : "",
		      row->argument ? row->argument : "");
}

void lt_options_help(struct lt_buf *out)
{
	const char *section = "";

	lt_buf_str(
		out,
		"Usage: leaktrace [OPTIONS] -p PID [INTERVAL [COUNT]]\n"
		"       leaktrace [OPTIONS] replay FILE\n"
		"\n"
		"Watches a running process and names the lines of code whose memory grows\n"
		"without end. Reports every INTERVAL seconds (default 10), COUNT times or until\n"
		"Ctrl-C or the end of the process. replay reports from a recording.\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t start = out->len;

		if (!rows[i].section)
			continue;
		if (strcmp(section, rows[i].section)) {
			section = rows[i].section;
			lt_buf_printf(out, "\n%s:\n", section);
			start = out->len;
		}
		lt_buf_str(out, rows[i].letter ? "  " : "      ");
		put_option(out, &rows[i]);
		do
			lt_buf_char(out, ' ');
		while (!lt_buf_error(out) && out->len < start + HELP_COLUMN);
		lt_buf_printf(out, "%s\n", rows[i].help);
	}
	lt_buf_str(out,
		   "\nExit codes: 0 done, 1 failure, 2 usage, 3 leak found (--fail-on-leak),\n"
		   "4 permission or kernel unsupported, 5 no such target. More: man leaktrace\n");
}

/* Text into roff: no escapes, no minus that a pager shows as a hyphen, no line taken as a request.
 */
static void put_roff(struct lt_buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '-')
			lt_buf_str(out, "\\-");
		else if (*text == '\\')
			lt_buf_str(out, "\\e");
		else
			lt_buf_char(out, *text);
	}
}

static const char man_head[] =
	".TH LEAKTRACE 8 2026-01-01 \"leaktrace " LT_VERSION "\" \"System Administration\"\n"
	".SH NAME\n"
	"leaktrace \\- name the line of a running process that leaks\n"
	".SH SYNOPSIS\n"
	".B leaktrace\n[\\fIOPTIONS\\fR] \\fB\\-p\\fR \\fIPID\\fR [\\fIINTERVAL\\fR "
	"[\\fICOUNT\\fR]]\n"
	".br\n"
	".B leaktrace\n[\\fIOPTIONS\\fR] \\fBreplay\\fR \\fIFILE\\fR\n"
	".SH DESCRIPTION\n"
	".B leaktrace\n"
	"attaches with BPF to a live process, which is neither changed nor restarted, and reports\n"
	"which of its allocations grow without end, with the call stack that makes them.\n"
	".PP\n"
	"It prints a report every \\fIINTERVAL\\fR seconds (decimals allowed, at least 0.1, "
	"default\n"
	"10) and a final one after \\fICOUNT\\fR reports, at Ctrl\\-C or at the end of the "
	"process.\n"
	".PP\n"
	".B leaktrace replay\n"
	"makes the same reports from a recording, on any machine and without privileges.\n"
	".SH OPTIONS\n";

static const char man_tail[] =
	".SH VERDICTS\n"
	".TP\n.B leaking\nSurvivors accumulate all the time, old ones are not released, and no "
	"lost\n"
	"event can explain it.\n"
	".TP\n.B suspect\nIt looks like a leak, but the evidence is incomplete: the report says "
	"why.\n"
	".TP\n.B warming\nIt grows, as caches and pools do while they fill; time will tell.\n"
	".TP\n.B stable\nNo growth that matters.\n"
	".TP\n.B insufficient\\-data\nWatched for too short a time, or too few survivors, to say.\n"
	".SH OUTPUT\n"
	"Reports go to standard output, diagnostics to standard error. Sites are sorted by "
	"verdict,\n"
	"then growth. Everything that could not be seen (lost events, cut stacks) is counted by "
	"name\n"
	"in the report, and the verdicts take it into account.\n"
	".SH EXIT STATUS\n"
	".TP\n.B 0\nDone.\n"
	".TP\n.B 1\nFailure at run time.\n"
	".TP\n.B 2\nUsage.\n"
	".TP\n.B 3\nA leak was found; only with \\fB\\-\\-fail\\-on\\-leak\\fR.\n"
	".TP\n.B 4\nNot permitted, or the kernel lacks something.\n"
	".TP\n.B 5\nNo such target.\n"
	".SH SIGNALS\n"
	"The first SIGINT or SIGTERM detaches, prints the final report and closes all files. The\n"
	"report waits for names that are still looked up, for a minute at most; a second signal\n"
	"prints it without them. A third one, or a second one while a report is being written,\n"
	"leaves at once. After \\fICOUNT\\fR reports or the end of the process, the first signal\n"
	"ends the wait for names.\n"
	".SH ENVIRONMENT\n"
	".TP\n.B NO_COLOR\nNot empty: no colours, unless \\fB\\-\\-color\\fR asks for them.\n"
	".TP\n.B COLUMNS\nThe width of reports that do not go to a terminal.\n"
	".TP\n.B DEBUGINFOD_URLS\nServers for \\fB\\-\\-debuginfod\\fR without URLs.\n"
	".TP\n.BR DEBUGINFOD_TIMEOUT \", \" DEBUGINFOD_MAXTIME \", \" DEBUGINFOD_RETRY_LIMIT\n"
	"As in\n.BR debuginfod_find_debuginfo (3),\nbut 10, 60 and 0 if unset.\n"
	".SH FILES\n"
	".TP\n.I FILE.prom\nMetrics of \\fB\\-\\-prom\\fR; removed at a clean exit unless\n"
	"\\fB\\-\\-keep\\-prom\\fR is given.\n"
	".TP\n.I /proc/PID\nWhat the kernel says about the target.\n"
	".TP\n.I /tmp/perf\\-PID.map\nNames of code made at run time, as the target sees it.\n"
	".TP\n.I /usr/lib/debug\nSeparate debug information.\n"
	".SH EXAMPLES\n"
	"Watch process 1234, with a report every minute:\n"
	".PP\n.RS\nleaktrace \\-p 1234 60\n.RE\n"
	".PP\nRecord for ten minutes, and look at it elsewhere:\n"
	".PP\n.RS\nleaktrace \\-p 1234 \\-\\-record app.ltrec 60 10\n.br\n"
	"leaktrace \\-\\-top 50 replay app.ltrec\n.RE\n"
	".PP\nFail a test that leaks more than 1 MiB an hour:\n"
	".PP\n.RS\nleaktrace \\-p 1234 \\-\\-fail\\-on\\-leak \\-\\-min\\-growth 1M/h 10 30\n.RE\n"
	".SH SEE ALSO\n"
	".BR proc (5),\n.BR bpf (2),\n.BR malloc (3)\n";

void lt_options_man(struct lt_buf *out)
{
	lt_buf_str(out, man_head);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];

		if (!row->section)
			continue;
		lt_buf_str(out, ".TP\n\\fB");
		if (row->letter)
			lt_buf_printf(out, "\\-%c\\fR, \\fB", row->letter);
		lt_buf_str(out, "\\-\\-");
		put_roff(out, row->name);
		lt_buf_str(out, "\\fR");
		if (row->argument) {
			lt_buf_str(out, is_optional(row) ? "" : " ");
			lt_buf_str(out, "\\fI");
			put_roff(out, row->argument);
			lt_buf_str(out, "\\fR");
		}
		lt_buf_char(out, '\n');
		put_roff(out, row->help);
		lt_buf_char(out, '.');
		put_roff(out, row->man);
		lt_buf_str(out, row->modes >> LT_MODE_REPLAY & 1 ? "\n" : " Not for replay.\n");
	}
	lt_buf_str(out, ".SH KINDS\nKinds of resources that can be watched:\n");
	for (size_t i = 0; i < LT_KINDS; i++) {
		lt_buf_str(out, i ? ",\n" : "");
		put_roff(out, lt_kind_infos[i].name);
	}
	lt_buf_str(out, ".\n");
	lt_buf_str(out, man_tail);
}

/* What completes an argument, by its placeholder. */
static const struct {
	const char *argument, *compgen;
} completions[] = {
	{ "FILE", "-f" },
	{ "FILE|-", "-f" },
	{ "PID", "-W \"$(cd /proc && echo [0-9]*)\"" },
	{ "LIST", "-W \"$kinds\"" },
};

void lt_options_completion(struct lt_buf *out)
{
	lt_buf_str(out, "# bash completion for leaktrace\n_leaktrace()\n{\n\tlocal kinds=\"");
	for (size_t i = 0; i < LT_KINDS; i++)
		lt_buf_printf(out, "%s%s", i ? " " : "", lt_kind_infos[i].name);
	lt_buf_str(out, "\"\n\tlocal word=\"${COMP_WORDS[COMP_CWORD]}\""
			" previous=\"${COMP_WORDS[COMP_CWORD - 1]}\"\n\n\tcase \"$previous\" in\n"
			"\treplay)\n\t\tCOMPREPLY=($(compgen -f -- \"$word\"))\n\t\treturn ;;\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *compgen = "-W \"\"";

		if (!rows[i].section || !rows[i].argument || is_optional(&rows[i]))
			continue;
		for (size_t j = 0; j < ARRAY_SIZE(completions); j++)
			if (!strcmp(rows[i].argument, completions[j].argument))
				compgen = completions[j].compgen;
		lt_buf_char(out, '\t');
		if (rows[i].letter)
			lt_buf_printf(out, "-%c | ", rows[i].letter);
		lt_buf_printf(out,
			      "--%s)\n\t\tCOMPREPLY=($(compgen %s -- \"$word\"))\n\t\treturn ;;\n",
			      rows[i].name, compgen);
	}
	lt_buf_str(out, "\tesac\n\tCOMPREPLY=($(compgen -W \"replay");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].section)
			lt_buf_printf(out, " --%s", rows[i].name);
	lt_buf_str(out, "\" -- \"$word\"))\n}\ncomplete -F _leaktrace leaktrace\n");
}
