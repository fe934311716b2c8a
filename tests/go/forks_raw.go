// SPDX-License-Identifier: GPL-2.0-or-later

// See forks.go: in Go, by the number of the system call.
package main

import "syscall"

func fork() int {
	child, _, err := syscall.RawSyscall(syscall.SYS_FORK, 0, 0, 0)
	if err != 0 {
		panic(err)
	}
	return int(child)
}
