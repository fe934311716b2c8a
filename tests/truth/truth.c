// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Are leaktrace's stacks true?  Stops a process at random returns of its allocator's functions and
 * compares the stack that leaktrace's unwinder found with that of libdwfl, frame by frame.
 *
 *	truth PID COUNT		one line of JSON on stdout; stacks that differ on stderr
 *
 * Exit status 0: all COUNT stops were made; whether the figures are good is for others to say.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/types.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "base/cleanup.h"
#include "judge.h"
#include "leaktrace/config.h"
#include "leaktrace/events.h"
#include "mappings.h"
#include "probe/plan.h"

#include "stops.skel.h" /* needs the types above */

#define PATIENCE_MS       20000 /* for one stop: a limit, not an expectation */
#define MAX_PAUSE_US      10000 /* between stops, random */
#define MAX_ONE_IN        32    /* stop at one of so many returns, random */
#define MAX_THREADS       1024
#define DIFFERENCES       3 /* stacks shown */
#define SHOWN_FRAMES      40
#define TRAMPOLINE_PUSHES 24 /* bytes: RAX, RCX, R11 */

/* VERDICT(SYMBOL, name): how the two stacks compare. */
#define VERDICTS                                                                                   \
	VERDICT(EQUAL, "equal")                                                                    \
	VERDICT(OURS_SHORTER, "ours_shorter")                                                      \
	VERDICT(THEIRS_SHORTER, "theirs_shorter")                                                  \
	VERDICT(DIFFERENT, "different")

enum verdict {
#define VERDICT(symbol, name) symbol,
	VERDICTS
#undef VERDICT
		VERDICT_COUNT
};

static const char *const verdict_names[] = {
#define VERDICT(symbol, name) [symbol] = (name),
	VERDICTS
#undef VERDICT
};

static const char *const end_names[LT_STACK_END_COUNT] = {
#define LT_STACK_END(symbol, value, counter, phrase) [value] = #symbol,
	LT_STACK_ENDS
#undef LT_STACK_END
};

/* FIGURE(name): a count of stops */
#define FIGURES                                                                                    \
	FIGURE(stops)                                                                              \
	FIGURE(outermost) /* ours reached the outermost frame */                                   \
	FIGURE(theirs_outermost)                                                                   \
	FIGURE(signals)   /* with a signal handler in the stack */                                 \
	FIGURE(trapped)   /* with another pending return probe in the stack */                     \
	FIGURE(remapped)  /* executable mappings changed just before */                            \
	FIGURE(elsewhere) /* the thread stopped at other registers than the probe saw */

struct tally {
#define FIGURE(name) unsigned int name;
	FIGURES
#undef FIGURE
	unsigned int verdicts[VERDICT_COUNT];
	unsigned int ends[LT_STACK_END_COUNT];
	unsigned int longest; /* frames */
	uint64_t frames;
	/* Of the returns of the same time, stops or not: */
	uint64_t recalled, misremembered;
};

struct session {
	struct lt_process process;
	struct stops *bpf;
	struct lt_code *code;
	struct mappings mappings;
	struct judge *judge;
	struct bpf_link **links;
	size_t link_count;
	struct tally tally;
	unsigned int shown;
};

static void pause_us(unsigned int us)
{
	struct timespec time = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L };

	nanosleep(&time, NULL);
}

/* The target by number 1, in space 1. */
static int trace(struct session *session)
{
	struct lt_bpf_target target = { .process = 1 };
	uint32_t pid = (uint32_t)session->process.tgid_init, space;
	int err = lt_code_add_space(session->code, &space);

	if (!err)
		err = lt_code_assign(session->code, target.process, space);
	if (!err && bpf_map__update_elem(session->bpf->maps.lt_targets, &pid, sizeof(pid), &target,
					 sizeof(target), BPF_ANY))
		err = -errno;
	return err ? err : space == MAPPINGS_SPACE ? 0 : -EINVAL;
}

static int load(struct session *session)
{
	struct lt_bpf_config *config;
	struct lt_code_maps maps;
	int err;

	session->bpf = stops__open();
	if (!session->bpf)
		return -errno;
	config = (struct lt_bpf_config *)&session->bpf->rodata->lt_config;
	config->ring_mask = 1;
	config->max_frames = LT_MAX_FRAMES;
	bpf_map__set_max_entries(session->bpf->maps.lt_threads, MAX_THREADS);
	err = stops__load(session->bpf);
	if (err)
		return err;
	maps = (struct lt_code_maps){
		.spaces_fd = bpf_map__fd(session->bpf->maps.lt_code_spaces),
		.process_spaces_fd = bpf_map__fd(session->bpf->maps.lt_process_spaces),
		.segments_fd = bpf_map__fd(session->bpf->maps.lt_unwind_segments),
		.rules_fd = bpf_map__fd(session->bpf->maps.lt_unwind_rules),
		.generations = session->bpf->bss->lt_code_generations,
		.spaces_round = &session->bpf->bss->lt_spaces_round,
	};
	err = lt_code_new(&session->code, &maps);
	if (!err)
		err = trace(session);
	return err ? err : mappings_new(&session->mappings, session->code);
}

static int attach(struct session *session, const struct lt_plan *plan)
{
	LIBBPF_OPTS(bpf_uprobe_opts, options, .retprobe = true);

	session->links = calloc(plan->probe_count + 1, sizeof(struct bpf_link *));
	if (!session->links)
		return -ENOMEM;
	for (size_t i = 0; i < plan->probe_count; i++) {
		const struct lt_plan_probe *probe = &plan->probes[i];
		struct bpf_link *link;

		if (!lt_op_table[probe->op].return_program)
			continue;
		link = bpf_program__attach_uprobe_opts(
			session->bpf->progs.stop_at_return, session->process.pid,
			plan->files[probe->file].open_path, probe->file_offset, &options);
		if (!link)
			return -errno;
		session->links[session->link_count++] = link;
	}
	session->bpf->bss->lt_active = 1;
	return session->link_count ? 0 : -ENOENT;
}

static int open_session(struct session *session, pid_t pid)
{
	struct lt_plan plan = { 0 };
	struct lt_maps maps = { 0 };
	int err;

	session->process.proc_fd = session->process.pid_fd = -1;
	err = lt_process_open(pid, &session->process);
	if (!err)
		err = lt_maps_read(&session->process, &maps);
	if (!err)
		err = lt_plan_make(&session->process, &maps, NULL, &plan);
	if (!err)
		err = load(session);
	if (!err)
		err = judge_new(&session->judge, pid);
	if (!err)
		err = attach(session, &plan);
	lt_plan_free(&plan);
	lt_maps_free(&maps);
	return err;
}

static void close_session(struct session *session)
{
	for (size_t i = 0; i < session->link_count; i++)
		bpf_link__destroy(session->links[i]);
	free(session->links);
	if (session->tally.stops)
		kill(session->process.pid, SIGCONT); /* whatever came between */
	mappings_free(&session->mappings);
	lt_code_free(session->code);
	judge_free(session->judge);
	stops__destroy(session->bpf);
	lt_process_close(&session->process);
}

/* A file of the stopped thread in /proc, as one line. */
static bool read_thread(const struct session *session, uint32_t tid, const char *name, char *text,
			size_t size)
{
	_lt_fclose_ FILE *file = NULL;
	char path[64];
	size_t length;

	snprintf(path, sizeof(path), "/proc/%d/task/%u/%s", session->process.pid, tid, name);
	file = fopen(path, "re");
	length = file ? fread(text, 1, size - 1, file) : 0;
	text[length] = '\0';
	return length > 0;
}

/* True once the thread is in a group stop. */
static bool is_stopped(const struct session *session, uint32_t tid)
{
	char text[512];
	const char *name_end;

	if (!read_thread(session, tid, "stat", text, sizeof(text)))
		return false;
	name_end = strrchr(text, ')');
	return name_end && strncmp(name_end, ") T", 3) == 0;
}

/*
 * Whether the kernel shows the stopped thread with the registers that the probe saw.  Where return
 * probes end in a system call (6.11 on), that is still inside the trampoline, which is about to
 * restore three registers and to return to the caller.
 */
static bool at_probe(const struct session *session, const struct truth_stop *stop)
{
	const struct lt_mapping *trampoline = mappings_trampoline(&session->mappings);
	uint64_t sp = 0, ip = 0;
	char text[512], *word;

	if (!read_thread(session, stop->tid, "syscall", text, sizeof(text)))
		return false;
	/* "NUMBER ARGUMENTS SP PC" */
	for (word = strtok(text, " \n"); word; word = strtok(NULL, " \n")) {
		sp = ip;
		ip = strtoull(word, NULL, 16);
	}
	if (sp == stop->registers[TRUTH_SP])
		return ip == stop->registers[TRUTH_IP];
	return sp + TRAMPOLINE_PUSHES == stop->registers[TRUTH_SP] && trampoline &&
	       ip - trampoline->start < trampoline->end - trampoline->start;
}

static int wait_stop(struct session *session)
{
	const struct truth_stop *stop = &session->bpf->bss->truth_stop;

	for (int waited = 0; waited < PATIENCE_MS * 5; waited++) {
		if (__atomic_load_n(&session->bpf->bss->truth_state, __ATOMIC_ACQUIRE) ==
			    TRUTH_STOPPED &&
		    is_stopped(session, stop->tid))
			return 0;
		if (lt_process_check(&session->process))
			return -ESRCH;
		pause_us(200);
	}
	return -ETIMEDOUT;
}

static enum verdict compare(const struct truth_stop *ours, const struct judged_stack *theirs)
{
	size_t count = theirs->count < LT_MAX_FRAMES ? theirs->count : LT_MAX_FRAMES;

	for (size_t i = 0; i < count && i < ours->frame_count; i++)
		if (theirs->frames[i] != ours->frames[i])
			return DIFFERENT;
	return ours->frame_count < count   ? OURS_SHORTER
	       : ours->frame_count > count ? THEIRS_SHORTER
					   : EQUAL;
}

static void show(struct session *session, enum verdict verdict, const struct judged_stack *theirs)
{
	const struct truth_stop *ours = &session->bpf->bss->truth_stop;
	_lt_buf_ struct lt_buf text = { 0 };

	lt_buf_printf(&text, "%s: ours %u frames (%s), theirs %zu (%s)\n", verdict_names[verdict],
		      ours->frame_count, end_names[ours->end % LT_STACK_END_COUNT], theirs->count,
		      theirs->error ? theirs->error : "outermost");
	for (size_t i = 0; i < SHOWN_FRAMES && (i < ours->frame_count || i < theirs->count); i++) {
		uint64_t a = i < ours->frame_count ? ours->frames[i] : 0;
		uint64_t b = i < theirs->count ? theirs->frames[i] : 0;

		lt_buf_printf(&text, "  %2zu ", i);
		if (a)
			mappings_print(&session->mappings, a, &text);
		if (a != b) {
			lt_buf_str(&text, " / ");
			if (b)
				mappings_print(&session->mappings, b, &text);
		}
		lt_buf_char(&text, '\n');
	}
	fputs(text.data ? text.data : "", stderr);
}

/* The target is stopped: both stacks. */
static int judge_stop(struct session *session)
{
	static struct judged_stack theirs;
	const struct truth_stop *ours = &session->bpf->bss->truth_stop;
	const struct lt_mapping *trampoline;
	struct tally *tally = &session->tally;
	enum verdict verdict;
	bool changed = false;
	int err = mappings_update(&session->mappings, &session->process, &changed);

	if (!err && changed)
		err = judge_update(session->judge);
	if (err)
		return err;
	trampoline = mappings_trampoline(&session->mappings);
	judge_unwind(session->judge, ours, trampoline ? trampoline->start : 0, &theirs);
	verdict = compare(ours, &theirs);
	tally->verdicts[verdict]++;
	tally->ends[ours->end % LT_STACK_END_COUNT]++;
	tally->outermost += (ours->end == LT_STACK_COMPLETE || ours->end == LT_STACK_UNSURE);
	tally->theirs_outermost += theirs.outermost;
	tally->elsewhere += !at_probe(session, ours);
	tally->remapped += changed;
	tally->signals += theirs.signal;
	tally->trapped += theirs.trapped;
	tally->frames += ours->frame_count;
	if (ours->frame_count > tally->longest)
		tally->longest = ours->frame_count;
	if (verdict != EQUAL && session->shown++ < DIFFERENCES)
		show(session, verdict, &theirs);
	return 0;
}

/* One stop at a random place and time. */
static int stop_once(struct session *session)
{
	bool changed = false;
	int err;

	pause_us((unsigned int)random() % MAX_PAUSE_US);
	err = mappings_update(&session->mappings, &session->process, &changed);
	if (!err && changed)
		err = judge_update(session->judge);
	if (err)
		return err;
	session->bpf->bss->truth_one_in = 1 + (uint32_t)random() % MAX_ONE_IN;
	__atomic_store_n(&session->bpf->bss->truth_state, TRUTH_ARMED, __ATOMIC_RELEASE);
	err = wait_stop(session);
	if (err == -ETIMEDOUT)
		return err;
	session->tally.stops++;
	if (!err)
		err = judge_stop(session);
	__atomic_store_n(&session->bpf->bss->truth_state, TRUTH_IDLE, __ATOMIC_RELEASE);
	kill(session->process.pid, SIGCONT);
	return err;
}

static void print(const struct tally *tally)
{
	printf("{\"frames\":%.1f,\"longest\":%u,\"recalled\":%" PRIu64
	       ",\"misremembered\":%" PRIu64,
	       tally->stops ? (double)tally->frames / tally->stops : 0.0, tally->longest,
	       tally->recalled, tally->misremembered);
#define FIGURE(name) printf(",\"" #name "\":%u", tally->name);
	FIGURES
#undef FIGURE
	for (int i = 0; i < VERDICT_COUNT; i++)
		printf(",\"%s\":%u", verdict_names[i], tally->verdicts[i]);
	fputs(",\"ends\":{", stdout);
	for (int i = 0; i < LT_STACK_END_COUNT; i++)
		printf("%s\"%s\":%u", i ? "," : "", end_names[i], tally->ends[i]);
	puts("}}");
}

int main(int argc, char **argv)
{
	struct session session = { 0 };
	unsigned int count;
	int err;

	if (argc != 3) {
		fprintf(stderr, "usage: truth PID COUNT\n");
		return 2;
	}
	count = (unsigned int)atoi(argv[2]);
	srandom((unsigned int)getpid());
	err = open_session(&session, atoi(argv[1]));
	while (!err && session.tally.stops < count)
		err = stop_once(&session);
	if (session.tally.stops) {
		session.tally.recalled = session.bpf->bss->truth_recalled;
		session.tally.misremembered = session.bpf->bss->truth_misremembered;
	}
	close_session(&session);
	if (err)
		fprintf(stderr, "truth: after %u stops: %s\n", session.tally.stops, strerror(-err));
	print(&session.tally);
	return err ? 1 : 0;
}
