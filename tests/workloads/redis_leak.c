// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A library for LD_PRELOAD that leaks in a server which is not ours: it notes each connection that
 * is accepted, keeps the latest notes, and of those that it drops it forgets to free every second.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define NOTES_KEPT 16

struct note {
	int fd;
	socklen_t len;
	char peer[83]; /* the note has a size that nothing else in the server asks for */
};

int accept4(int fd, struct sockaddr *restrict peer, socklen_t *restrict len, int flags);

static struct note *notes[NOTES_KEPT];
static unsigned long noted;

/* One thread accepts in the servers that this is for. */
__attribute__((noinline)) static void note_connection(int fd)
{
	struct note *note = malloc(sizeof(*note)); /* LEAK */
	struct note **slot = &notes[noted % NOTES_KEPT];
	int error = errno;

	if (!note)
		return;
	memset(note, 0, sizeof(*note));
	note->fd = fd;
	note->len = sizeof(note->peer);
	if (getpeername(fd, (struct sockaddr *)note->peer, &note->len))
		note->len = 0;
	errno = error;
	if (noted++ % 2)
		free(*slot);
	*slot = note;
}

int accept4(int fd, struct sockaddr *restrict peer, socklen_t *restrict len, int flags)
{
	int (*next)(int, struct sockaddr *restrict, socklen_t *restrict, int) = dlsym(RTLD_NEXT,
										      "accept4");
	int accepted = next ? next(fd, peer, len, flags) : -1;

	if (accepted >= 0)
		note_connection(accepted);
	return accepted;
}
