// SPDX-License-Identifier: GPL-2.0-or-later
#include "symbol/symbolizer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"

/* A failed insertion leaves hh.tbl NULL instead of ending the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct module {
	struct lt_event_module event; /* path owned */
	uint8_t build_id[LT_MAX_BUILD_ID];
	int fd; /* owned until it is added */
};

struct job {
	struct job *next;
	struct module *module;         /* to be added; NULL: an address to be looked up */
	struct lt_event_symbol symbol; /* frames and their strings owned, in one block */
	/* Of the caller's thread alone: */
	UT_hash_handle hh;
	bool outdated; /* a module came after it was asked */
};

struct list {
	struct job *first, *last;
};

struct lt_symbolizer {
	struct lt_lookups lookups; /* of the worker alone, once it runs */
	struct job *asked;         /* hash by address; of the caller's thread alone */
	int event_fd;
	pthread_t worker;
	pthread_mutex_t mutex; /* held for list operations only; guards all below */
	pthread_cond_t wake;
	struct list queue, done;
	bool stop, in_hand;
	uint64_t pc_in_hand;
	int error; /* the first of the worker's */
};

static void append(struct list *list, struct job *job)
{
	job->next = NULL;
	if (list->last)
		list->last->next = job;
	else
		list->first = job;
	list->last = job;
}

static struct job *take_first(struct list *list)
{
	struct job *job = list->first;

	if (job) {
		list->first = job->next;
		if (!list->first)
			list->last = NULL;
	}
	return job;
}

static void free_module(struct module *module)
{
	lt_close_p(&module->fd);
	free((char *)module->event.path);
	free(module);
}

LT_CLEANUP(struct module *, free_module)

static void free_job(struct job *job)
{
	if (job->module)
		free_module(job->module);
	free((void *)job->symbol.frames);
	free(job);
}

static void free_list(struct list *list)
{
	for (struct job *job; (job = take_first(list));)
		free_job(job);
}

static const char *copy_text(char **to, const char *text)
{
	char *copy = *to;

	*to = stpcpy(copy, text) + 1;
	return copy;
}

/* Frames and strings into one block. */
static int copy_symbol(const struct lt_event_symbol *from, struct lt_event_symbol *to)
{
	size_t size = from->frame_count * sizeof(*from->frames);
	struct lt_source_frame *frames;
	char *text;

	if (!from->frame_count)
		return 0;
	for (uint32_t i = 0; i < from->frame_count; i++)
		size += strlen(from->frames[i].function) + 1 + strlen(from->frames[i].file) + 1;
	frames = malloc(size);
	if (!frames)
		return -ENOMEM;
	text = (char *)&frames[from->frame_count];
	for (uint32_t i = 0; i < from->frame_count; i++) {
		frames[i] = from->frames[i];
		frames[i].function = copy_text(&text, from->frames[i].function);
		frames[i].file = copy_text(&text, from->frames[i].file);
	}
	to->frames = frames;
	to->frame_count = from->frame_count;
	return 0;
}

static int add_module(const struct lt_lookups *lookups, struct module *module)
{
	return lookups->add_module(lookups->context, &module->event, lt_take_fd(&module->fd));
}

static int look_up(const struct lt_lookups *lookups, struct job *job)
{
	struct lt_event_symbol symbol = { 0 };
	int err = lookups->lookup(lookups->context, job->symbol.pc, &symbol);

	return err ? err : copy_symbol(&symbol, &job->symbol);
}

/* Under the mutex.  An address goes on to the list of answers, also after a failure. */
static void finish_job(struct lt_symbolizer *symbolizer, struct job *job, int err)
{
	static const uint64_t one = 1;

	symbolizer->in_hand = false;
	/* All other failures are of one file: it is known less. */
	if (err == -ENOMEM)
		symbolizer->error = err;
	if (job->module) {
		free_job(job);
		return;
	}
	append(&symbolizer->done, job);
	/* It can fail by a full counter only, which is readable as well. */
	(void)!write(symbolizer->event_fd, &one, sizeof(one));
}

static void *work(void *argument)
{
	struct lt_symbolizer *symbolizer = argument;
	struct job *job;
	int err;

	pthread_mutex_lock(&symbolizer->mutex);
	for (;;) {
		while (!symbolizer->stop && !symbolizer->queue.first)
			pthread_cond_wait(&symbolizer->wake, &symbolizer->mutex);
		if (symbolizer->stop)
			break;
		job = take_first(&symbolizer->queue);
		symbolizer->in_hand = !job->module;
		symbolizer->pc_in_hand = job->symbol.pc;
		pthread_mutex_unlock(&symbolizer->mutex);
		err = job->module ? add_module(&symbolizer->lookups, job->module)
				  : look_up(&symbolizer->lookups, job);
		pthread_mutex_lock(&symbolizer->mutex);
		finish_job(symbolizer, job, err);
	}
	pthread_mutex_unlock(&symbolizer->mutex);
	return NULL;
}

/* Signals are for the thread that waits for them. */
static int start_worker(struct lt_symbolizer *symbolizer)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&symbolizer->worker, NULL, work, symbolizer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}

int lt_symbolizer_new_with(struct lt_symbolizer **result, const struct lt_lookups *lookups)
{
	struct lt_symbolizer *symbolizer = calloc(1, sizeof(*symbolizer));
	int err;

	if (!symbolizer)
		return -ENOMEM;
	symbolizer->lookups = *lookups;
	pthread_mutex_init(&symbolizer->mutex, NULL); /* neither fails, in glibc */
	pthread_cond_init(&symbolizer->wake, NULL);
	symbolizer->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = symbolizer->event_fd < 0 ? -errno : start_worker(symbolizer);
	if (err) {
		lt_close_p(&symbolizer->event_fd);
		free(symbolizer);
		return err;
	}
	*result = symbolizer;
	return 0;
}

static int resolver_add_module(void *resolver, const struct lt_event_module *module, int fd)
{
	return lt_resolver_add_module(resolver, module, fd);
}

static int resolver_lookup(void *resolver, uint64_t pc, struct lt_event_symbol *symbol)
{
	return lt_resolver_lookup(resolver, pc, symbol);
}

static void resolver_free(void *resolver)
{
	lt_resolver_free(resolver);
}

int lt_symbolizer_new(struct lt_symbolizer **symbolizer, struct lt_resolver *resolver)
{
	struct lt_lookups lookups = { resolver_add_module, resolver_lookup, resolver_free,
				      resolver };

	return lt_symbolizer_new_with(symbolizer, &lookups);
}

void lt_symbolizer_free(struct lt_symbolizer *symbolizer)
{
	if (!symbolizer)
		return;
	pthread_mutex_lock(&symbolizer->mutex);
	symbolizer->stop = true;
	pthread_cond_signal(&symbolizer->wake);
	pthread_mutex_unlock(&symbolizer->mutex);
	pthread_join(symbolizer->worker, NULL);
	HASH_CLEAR(hh, symbolizer->asked);
	free_list(&symbolizer->queue);
	free_list(&symbolizer->done);
	symbolizer->lookups.free(symbolizer->lookups.context);
	lt_close_p(&symbolizer->event_fd);
	pthread_cond_destroy(&symbolizer->wake);
	pthread_mutex_destroy(&symbolizer->mutex);
	free(symbolizer);
}

static void enqueue(struct lt_symbolizer *symbolizer, struct job *job)
{
	pthread_mutex_lock(&symbolizer->mutex);
	append(&symbolizer->queue, job);
	pthread_cond_signal(&symbolizer->wake);
	pthread_mutex_unlock(&symbolizer->mutex);
}

int lt_symbolizer_add_module(struct lt_symbolizer *symbolizer, const struct lt_event_module *module,
			     int fd)
{
	_lt_close_ int owned_fd = fd;
	_lt_cleanup_(free_module_p) struct module *made = NULL;
	struct job *job;

	if (module->start >= module->end || module->build_id_len > LT_MAX_BUILD_ID)
		return -EINVAL;
	made = calloc(1, sizeof(*made));
	if (!made)
		return -ENOMEM;
	made->event = *module;
	made->event.build_id = made->build_id;
	if (module->build_id_len)
		memcpy(made->build_id, module->build_id, module->build_id_len);
	made->fd = lt_take_fd(&owned_fd);
	made->event.path = strdup(module->path);
	job = made->event.path ? calloc(1, sizeof(*job)) : NULL;
	if (!job)
		return -ENOMEM;
	for (struct job *asked = symbolizer->asked; asked; asked = asked->hh.next)
		if (asked->symbol.pc >= module->start && asked->symbol.pc < module->end)
			asked->outdated = true;
	job->module = lt_take_ptr(made);
	enqueue(symbolizer, job);
	return 0;
}

int lt_symbolizer_ask(struct lt_symbolizer *symbolizer, uint64_t pc)
{
	struct job *job;

	HASH_FIND(hh, symbolizer->asked, &pc, sizeof(pc), job);
	if (job)
		return 0;
	if (HASH_COUNT(symbolizer->asked) >= LT_MAX_LOOKUPS)
		return -ENOSPC;
	job = calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	job->symbol.pc = pc;
	HASH_ADD(hh, symbolizer->asked, symbol.pc, sizeof(pc), job);
	if (!job->hh.tbl) {
		free(job);
		return -ENOMEM;
	}
	enqueue(symbolizer, job);
	return 0;
}

size_t lt_symbolizer_pending(const struct lt_symbolizer *symbolizer)
{
	return HASH_COUNT(symbolizer->asked);
}

bool lt_symbolizer_current(struct lt_symbolizer *symbolizer, uint64_t *pc)
{
	bool in_hand;

	pthread_mutex_lock(&symbolizer->mutex);
	in_hand = symbolizer->in_hand;
	if (in_hand)
		*pc = symbolizer->pc_in_hand;
	pthread_mutex_unlock(&symbolizer->mutex);
	return in_hand;
}

int lt_symbolizer_fd(const struct lt_symbolizer *symbolizer)
{
	return symbolizer->event_fd;
}

/* What was mapped there is not any more: the address goes to the end of the queue. */
static void ask_again(struct lt_symbolizer *symbolizer, struct job *job)
{
	free((void *)job->symbol.frames);
	job->symbol = (struct lt_event_symbol){ .pc = job->symbol.pc };
	job->outdated = false;
	enqueue(symbolizer, job);
}

int lt_symbolizer_fetch(struct lt_symbolizer *symbolizer,
			int (*answer)(void *context, const struct lt_event_symbol *symbol),
			void *context)
{
	struct list done;
	struct job *job;
	uint64_t count;
	int err;

	pthread_mutex_lock(&symbolizer->mutex);
	/* Emptied together with the list: neither is readable for nothing, nor silent about more. */
	(void)!read(symbolizer->event_fd, &count, sizeof(count));
	done = symbolizer->done;
	symbolizer->done = (struct list){ 0 };
	err = symbolizer->error;
	pthread_mutex_unlock(&symbolizer->mutex);
	/* Whatever is done was asked: said for the analyzer. */
	while (symbolizer->asked && (job = take_first(&done))) {
		if (job->outdated) {
			ask_again(symbolizer, job);
			continue;
		}
		if (!err)
			err = answer(context, &job->symbol);
		HASH_DEL(symbolizer->asked, job);
		free_job(job);
	}
	return err;
}
