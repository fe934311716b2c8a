// SPDX-License-Identifier: GPL-2.0-or-later
#include "bpf/tracefs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

int lt_tracefs_open(void)
{
	static const char *const places[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	_lt_close_ int context = -1;
	int fd;

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		fd = open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && faccessat(fd, "events", R_OK, 0) == 0)
			return fd;
		lt_close_p(&fd);
	}
	context = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC);
	if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int lt_tracefs_event(int tracefs_fd, const char *name)
{
	_lt_close_ int fd = -1;
	char path[256], text[32] = "";
	int event;

	snprintf(path, sizeof(path), "events/%s/id", name);
	fd = openat(tracefs_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return -errno;
	event = (int)strtol(text, NULL, 10);
	return event > 0 ? event : -EIO;
}

int lt_tracefs_perf_event(int event, pid_t pid, bool inherit, int program_fd)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attributes),
		.config = (unsigned int)event,
		.inherit = inherit,
	};
	/* The program runs on every CPU, whichever the event is for. */
	_lt_close_ int fd = (int)syscall(SYS_perf_event_open, &attributes, pid, pid == -1 ? 0 : -1,
					 -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0 || (program_fd >= 0 && ioctl(fd, PERF_EVENT_IOC_SET_BPF, program_fd)))
		return -errno;
	return lt_take_fd(&fd);
}
