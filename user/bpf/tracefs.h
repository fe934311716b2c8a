/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's tracefs, mounted or not, and perf events on what it defines. */
#ifndef LT_BPF_TRACEFS_H
#define LT_BPF_TRACEFS_H

#include <stdbool.h>
#include <sys/types.h>

/* A directory fd: where it is mounted, or of a mount of it that nobody else sees.  Or -errno. */
int lt_tracefs_open(void);
/* The number of an event, such as "syscalls/sys_enter_mmap"; or -errno. */
int lt_tracefs_event(int tracefs_fd, const char *name);
/*
 * A perf event of this number for one thread, and with inherit for what it forks; pid -1: for all
 * of the machine.  program_fd: the BPF program that it brings, -1: none.  An fd or -errno.
 */
int lt_tracefs_perf_event(int event, pid_t pid, bool inherit, int program_fd);

#endif
