// SPDX-License-Identifier: GPL-2.0-or-later

// At each line on standard input it makes goroutines, then forks in C: the child makes goroutines as well,
// which Go does not support but does, and ends.  Prints the child's wait status.
package main

/*
#include <sys/wait.h>
#include <unistd.h>

static int status_of(int pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid ? status : -1;
}
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
)

func makeGoroutines() {
	for i := 0; i < 100; i++ {
		go func() {}()
	}
}

func main() {
	fmt.Println(os.Getpid(), "ready")
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		makeGoroutines()
		child := C.fork()
		if child == 0 {
			C.alarm(60) // other threads are gone, with what they had locked
			makeGoroutines()
			C._exit(0)
		}
		fmt.Println("status", C.status_of(child))
	}
}
