// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/images.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "base/log.h"

static void free_image(struct lt_image *image)
{
	lt_modules_free(image->modules);
	lt_naming_free(&image->naming);
	lt_symbolizer_free(image->symbolizer);
	lt_symbol_store_free(image->symbols);
	lt_process_close(&image->process);
	free(image);
}

/*
 * Images that nobody holds; a lookup in hand may take long, and would be waited for.  all: at the
 * end of the session, but for those with lookups in hand: exit() comes soon.
 */
static void sweep_images(struct lt_session *session)
{
	for (struct lt_image **slot = &session->images, *image; (image = *slot);) {
		if (image->holders || lt_symbolizer_pending(image->symbolizer)) {
			slot = &image->next;
			continue;
		}
		*slot = image->next;
		free_image(image);
	}
}

static int open_symbolizer(struct lt_session *session, struct lt_image *image)
{
	_lt_buf_ struct lt_buf error = { 0 };
	struct lt_resolver *resolver;
	int err = lt_resolver_new(&resolver);

	if (err)
		return err;
	err = lt_resolver_set_process(resolver, &image->process);
	if (!err && session->options->debuginfod)
		err = lt_resolver_set_debuginfod(resolver, session->options->debuginfod, &error);
	if (!err)
		err = lt_symbolizer_new(&image->symbolizer, resolver);
	if (err) {
		if (error.data)
			lt_error("%s", error.data);
		lt_resolver_free(resolver);
		return err;
	}
	image->resolver = resolver;
	image->naming.symbolizer = image->symbolizer;
	return 0;
}

int lt_images_add(struct lt_session *session, struct lt_target *target)
{
	struct lt_image *image = calloc(1, sizeof(*image));
	struct epoll_event event = { .events = EPOLLIN };
	int err;

	if (!image)
		return -ENOMEM;
	image->process = (struct lt_process){ .proc_fd = -1, .pid_fd = -1 };
	err = lt_process_open(target->process.pid, &image->process);
	if (!err)
		err = open_symbolizer(session, image);
	if (!err)
		err = lt_modules_new(&image->modules, &image->process, target->number,
				     &session->shared, image->symbolizer);
	if (!err)
		err = lt_modules_serve(image->modules, target->number);
	if (!err &&
	    epoll_ctl(session->wake_fd, EPOLL_CTL_ADD, lt_symbolizer_fd(image->symbolizer), &event))
		err = -errno;
	if (err) {
		free_image(image);
		return err;
	}
	image->holders = 1;
	image->next = session->images;
	session->images = image;
	target->image = image;
	return 0;
}

/* Another one of those who share the image speaks for it from now on. */
static void move_image(struct lt_session *session, struct lt_image *image)
{
	struct lt_process process;

	for (struct lt_target *target = session->targets; target; target = target->hh.next) {
		if (target->image != image)
			continue;
		lt_modules_move(image->modules, &image->process, target->number);
		if (target->ended || lt_process_open(target->process.pid, &process))
			continue;
		lt_process_close(&image->process);
		image->process = process;
		return;
	}
}

void lt_images_leave(struct lt_session *session, struct lt_target *target)
{
	struct lt_image *image = target->image;

	target->image = NULL;
	if (image && --image->holders)
		move_image(session, image);
	else if (image)
		lt_resolver_stop_network(image->resolver);
	sweep_images(session);
}
