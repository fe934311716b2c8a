/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts a command so that it is seen from its first instruction: it stops whenever its start-up
 * has mapped code, before any of that code runs, and is let go when all is mapped.
 *
 *	err = lt_launch_start(argv, &launch);
 *	while (!err && (err = lt_launch_next(launch)) == 1)
 *		look at the mappings of lt_launch_pid(launch), attach to what is new
 *	if (!err) it runs, untraced by ptrace
 *
 * The command is our child and has our environment, streams, process group, signal mask, ignored
 * signals and limits, as they are at lt_launch_start(): call it before any of these are changed.
 * Being in our process group, it gets the terminal's SIGINT as well as we do.  If we die, it goes on.
 *
 * All functions of one launch belong to one thread, as ptrace(2) wants it.
 */
#ifndef LT_PROC_LAUNCH_H
#define LT_PROC_LAUNCH_H

#include <sys/types.h>

struct lt_launch;

/*
 * The command stands before its first instruction.  argv[0] is looked up in PATH, as by execvp(3).
 * 0 or -errno: what exec said (-ENOENT, -EACCES, ...); -EOPNOTSUPP a 32-bit program; -EPERM we may
 * not trace, or lack CAP_SYS_PTRACE, without which a set-uid program would run without its rights.
 * Nothing of the command has run then, and it is gone.
 */
int lt_launch_start(char *const argv[], struct lt_launch **launch);

pid_t lt_launch_pid(const struct lt_launch *launch);

/*
 * 1: it stands, at its first instruction or right after a system call that made a mapping
 * executable; 0: its start-up is over and it has been let go; -ECHILD: it has ended meanwhile;
 * another -errno.  Waits for the command, which at that stage does nothing but to map files.
 */
int lt_launch_next(struct lt_launch *launch);

/* Does not wait: 1 and its status (waitpid(2)) if it has ended, 0 if not, -errno. */
int lt_launch_wait(struct lt_launch *launch, int *status);

/* As shells put it: the exit code, or 128 + the signal that ended it. */
int lt_launch_exit_code(int status);

/* A command whose start-up is not over is killed; another one goes on. */
void lt_launch_free(struct lt_launch *launch);

#endif
