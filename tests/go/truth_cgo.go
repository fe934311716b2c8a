// SPDX-License-Identifier: GPL-2.0-or-later

// Built into truth where C is wanted beside Go: goroutines that are in a C function, and in Go called by one.
package main

/*
#include <unistd.h>

static void block(void)
{
	int fds[2];
	char byte;

	if (pipe(fds) == 0 && read(fds[0], &byte, 1) < 0)
		_exit(1);
}

extern void leaktraceCallback(void);
static void call_back(void) { leaktraceCallback(); }
*/
import "C"

//export leaktraceCallback
func leaktraceCallback() { <-never }

func inC()         { C.block() }
func calledFromC() { C.call_back() }

func init() {
	more = append(more, func() {
		start(3, inC)
		start(2, calledFromC)
	})
}
