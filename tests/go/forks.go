// SPDX-License-Identifier: GPL-2.0-or-later

// At each line on standard input it makes goroutines, then forks: the child makes some as well, which Go does
// not support but does, and ends.  A child can wait for ever for what another thread had locked, or for the
// processor (P) that was taken from its machine in the fork: that is Go's, so it is ended and the fork tried again.
// Prints the wait status of the first child that was not ended so.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	inParent, inChild = 100, 10 // what the child makes its P has kept from the parent's: without a lock
	patience          = 2 * time.Second
	tries             = 10
	dieWithParent     = 1 // PR_SET_PDEATHSIG
)

func makeGoroutines(all *sync.WaitGroup, count int) {
	for i := 0; i < count; i++ {
		all.Add(1)
		go all.Done()
	}
}

func forkOnce() int {
	var before, after sync.WaitGroup

	makeGoroutines(&before, inParent)
	before.Wait()
	child := fork()
	if child == 0 {
		syscall.RawSyscall(syscall.SYS_PRCTL, dieWithParent, uintptr(syscall.SIGKILL), 0)
		makeGoroutines(&after, inChild)
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}
	return child
}

// False: it had to be ended.
func wait(child int) (status syscall.WaitStatus, ended bool) {
	for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		found, err := syscall.Wait4(child, &status, syscall.WNOHANG, nil)
		if err != nil {
			panic(err)
		}
		if found == child {
			return status, !status.Signaled() || status.Signal() != syscall.SIGKILL
		}
		if time.Now().After(until) {
			syscall.Kill(child, syscall.SIGKILL)
		}
	}
}

func main() {
	runtime.GOMAXPROCS(1) // fewer threads that might hold a lock
	fmt.Println(os.Getpid(), "ready")
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		for i := 0; i < tries; i++ {
			status, ended := wait(forkOnce())
			if ended || i == tries-1 {
				fmt.Println("status", int(status))
				break
			}
		}
	}
}
