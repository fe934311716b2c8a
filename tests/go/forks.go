// SPDX-License-Identifier: GPL-2.0-or-later

// At each line on standard input it makes goroutines, then forks: the child makes goroutines as well, which Go
// does not support but does, and ends.  Prints the child's wait status.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
)

const dieWithParent = 1 // PR_SET_PDEATHSIG: other threads are gone, with what they had locked

func makeGoroutines(all *sync.WaitGroup) {
	for i := 0; i < 100; i++ {
		all.Add(1)
		go all.Done()
	}
}

func main() {
	var before, after sync.WaitGroup

	runtime.GOMAXPROCS(1) // no other thread holds what the child needs: it would wait for ever
	fmt.Println(os.Getpid(), "ready")
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		makeGoroutines(&before)
		before.Wait()
		child := fork()
		if child == 0 {
			syscall.RawSyscall(syscall.SYS_PRCTL, dieWithParent, uintptr(syscall.SIGKILL), 0)
			makeGoroutines(&after)
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(child, &status, 0, nil); err != nil {
			panic(err)
		}
		fmt.Println("status", int(status))
	}
}
