// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/manual.h"

#include <stdbool.h>
#include <string.h>

#include "base/kind.h"
#include "cli/options.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define HELP_COLUMN       25

static const struct row {
	char letter;
	const char *name, *argument, *section;
	unsigned int modes;
	const char *help, *man;
} rows[] = {
#define LT_OPTION(symbol, letter, name, argument, section, modes, take, member, help, man)         \
	{ letter, name, argument, section, modes, help, man },
#include "cli/options.def"
#undef LT_OPTION
};

static bool is_optional(const struct row *row)
{
	return row->argument && row->argument[0] == '[';
}

static void put_option(struct lt_buf *out, const struct row *row)
{
	if (row->letter)
		lt_buf_printf(out, "-%c, ", row->letter);
	lt_buf_printf(out, "--%s%s%s", row->name, row->argument && !is_optional(row) ? " " : "",
		      row->argument ? row->argument : "");
}

void lt_manual_help(struct lt_buf *out)
{
	const char *section = "";

	lt_buf_str(
		out,
		"Usage: leaktrace [OPTIONS] -p PID[,PID...] [INTERVAL [COUNT]]\n"
		"       leaktrace [OPTIONS] -n NAME | --cgroup PATH [INTERVAL [COUNT]]\n"
		"       leaktrace [OPTIONS] [INTERVAL [COUNT]] -- COMMAND [ARG...]\n"
		"       leaktrace [OPTIONS] replay FILE\n"
		"\n"
		"Watches running processes and names the lines of code whose memory, sockets,\n"
		"descriptors or threads grow without end. Reports every INTERVAL seconds (default\n"
		"10), COUNT times or until Ctrl-C or the end of the processes. With -- COMMAND it\n"
		"starts one and watches it from its first instruction. replay reports from a\n"
		"recording.\n");
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
	".B leaktrace\n[\\fIOPTIONS\\fR] \\fB\\-p\\fR \\fIPID\\fR[,\\fIPID\\fR...] "
	"[\\fIINTERVAL\\fR [\\fICOUNT\\fR]]\n"
	".br\n"
	".B leaktrace\n[\\fIOPTIONS\\fR] \\fB\\-n\\fR \\fINAME\\fR | \\fB\\-\\-cgroup\\fR "
	"\\fIPATH\\fR [\\fIINTERVAL\\fR [\\fICOUNT\\fR]]\n"
	".br\n"
	".B leaktrace\n[\\fIOPTIONS\\fR] [\\fIINTERVAL\\fR [\\fICOUNT\\fR]] \\fB\\-\\-\\fR "
	"\\fICOMMAND\\fR [\\fIARG\\fR...]\n"
	".br\n"
	".B leaktrace\n[\\fIOPTIONS\\fR] \\fBreplay\\fR \\fIFILE\\fR\n"
	".SH DESCRIPTION\n"
	".B leaktrace\n"
	"attaches with BPF to live processes, which are neither changed nor restarted, and "
	"reports\n"
	"which of their allocations, mappings, descriptors, sockets and threads grow without end,\n"
	"with the call stack that makes them.\n"
	".PP\n"
	"It prints a report every \\fIINTERVAL\\fR seconds (decimals allowed, at least 0.1, "
	"default\n"
	"10) and a final one after \\fICOUNT\\fR reports, at Ctrl\\-C or at the end of the "
	"processes.\n"
	".PP\n"
	"With \\fB\\-\\-\\fR \\fICOMMAND\\fR it starts the command and watches it from its first\n"
	"instruction. The command has the terminal, the environment and the rights of leaktrace, "
	"and\n"
	"is not ended with it: Ctrl\\-C in the terminal goes to both, as the shell does it; after\n"
	"\\fICOUNT\\fR reports, or after a signal that was sent to leaktrace alone, it runs on.\n"
	".PP\n"
	".B leaktrace replay\n"
	"makes the same reports from a recording, on any machine and without privileges.\n"
	".SH OPTIONS\n";

static const char man_kinds[] =
	".PP\nKinds that the same system calls serve come together: socket and fd, mmap and "
	"stack.\n"
	"What events miss of descriptors and threads, /proc shows at each report: totals are "
	"those\n"
	"of the kernel, and what differs is said. Detaching takes the kernel some 40 ms for each\n"
	"system call that was watched: the process is free at once, and the report does not wait,\n"
	"but leaktrace ends two or three seconds later. With \\fB\\-\\-kinds heap\\fR it ends at "
	"once.\n";

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
	".PP\nWith \\fB\\-\\-propagate\\-exit\\fR, 0 and 3 give way to what that option says.\n"
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
	".TP\n.I /sys/fs/cgroup\nControl groups, for \\fB\\-\\-cgroup\\fR.\n"
	".TP\n.I /tmp/perf\\-PID.map\nNames of code made at run time, as the target sees it.\n"
	".TP\n.I /usr/lib/debug\nSeparate debug information.\n"
	".SH EXAMPLES\n"
	"Watch process 1234, with a report every minute:\n"
	".PP\n.RS\nleaktrace \\-p 1234 60\n.RE\n"
	".PP\nWatch a service and what it starts:\n"
	".PP\n.RS\nleaktrace \\-\\-follow \\-\\-cgroup system.slice/nginx.service\n.RE\n"
	".PP\nRecord for ten minutes, and look at it elsewhere:\n"
	".PP\n.RS\nleaktrace \\-p 1234 \\-\\-record app.ltrec 60 10\n.br\n"
	"leaktrace \\-\\-top 50 replay app.ltrec\n.RE\n"
	".PP\nFail a test that leaks more than 1 MiB an hour:\n"
	".PP\n.RS\nleaktrace \\-p 1234 \\-\\-fail\\-on\\-leak \\-\\-min\\-growth 1M/h 10 30\n.RE\n"
	".PP\nWatch a test from its first instruction, and exit as it does:\n"
	".PP\n.RS\nleaktrace \\-q \\-\\-propagate\\-exit \\-\\- ./test \\-\\-all\n.RE\n"
	".SH SEE ALSO\n"
	".BR proc (5),\n.BR bpf (2),\n.BR malloc (3)\n";

void lt_manual_page(struct lt_buf *out)
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
		lt_buf_str(out, ".TP\n.B ");
		put_roff(out, lt_kind_infos[i].name);
		lt_buf_char(out, '\n');
		put_roff(out, lt_kind_infos[i].help);
		lt_buf_str(out, ".\n");
	}
	lt_buf_str(out, man_kinds);
	lt_buf_str(out, man_tail);
}

/* What completes an argument, by its placeholder. */
static const struct {
	const char *argument, *compgen;
} completions[] = {
	{ "FILE", "-f" },
	{ "FILE:PREFIX", "-f" },
	{ "FILE|-", "-f" },
	{ "PID[,PID...]", "-W \"$(cd /proc && echo [0-9]*)\"" },
	/* compgen expands these words as the shell does: any process may call itself "$(reboot)" */
	{ "NAME", "-W \"$(cat /proc/[0-9]*/comm 2>/dev/null | grep -x '[[:alnum:]_.-]*')\"" },
	{ "PATH", "-d" },
	{ "LIST", "-W \"$kinds\"" },
};

void lt_manual_completion(struct lt_buf *out)
{
	lt_buf_str(out, "# bash completion for leaktrace\n_leaktrace()\n{\n\tlocal kinds=\"");
	for (size_t i = 0; i < LT_KINDS; i++)
		lt_buf_printf(out, "%s%s", i ? " " : "", lt_kind_infos[i].name);
	lt_buf_str(out, "\"\n\tlocal word=\"${COMP_WORDS[COMP_CWORD]}\""
			" previous=\"${COMP_WORDS[COMP_CWORD - 1]}\" i\n\n"
			"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
			"\t\t[ \"${COMP_WORDS[i]}\" = -- ] || continue\n"
			"\t\tif declare -F _command_offset >/dev/null; then\n"
			"\t\t\t_command_offset $((i + 1))\n"
			"\t\telse\n"
			"\t\t\tCOMPREPLY=($(compgen -c -f -- \"$word\"))\n"
			"\t\tfi\n"
			"\t\treturn\n"
			"\tdone\n"
			"\tcase \"$previous\" in\n"
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
