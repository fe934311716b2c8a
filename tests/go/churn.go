// SPDX-License-Identifier: GPL-2.0-or-later

// Goroutines that come and go by the thousand, wait for a moment in known places, grow their stacks,
// with garbage collections and samples of the CPU profile all the time.  Each checks what it left on its
// stack.  Which function may call which is in the test (tests/e2e/test_go_churn.py); calls that do not
// return at once are not inlined.
// At a line on standard input it prints what it did, and ends.  Usage: churn [MS]: between each twenty
// goroutines (of two that make them); 4 by default.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

var made, broken int64
var gate sync.Mutex
var stop = make(chan struct{})
var pause = 4 * time.Millisecond

//go:noinline
func parkReceive() {
	c := make(chan int)
	time.AfterFunc(5*time.Millisecond, func() { close(c) })
	<-c
}

//go:noinline
func parkSelect() {
	c := make(chan int)
	timer := time.NewTimer(5 * time.Millisecond)
	select {
	case <-c:
	case <-timer.C:
	}
}

//go:noinline
func parkSleep() {
	time.Sleep(5 * time.Millisecond)
}

//go:noinline
func parkLock() {
	gate.Lock()
	runtime.Gosched()
	gate.Unlock()
}

//go:noinline
func park(kind int) {
	switch kind % 4 {
	case 0:
		parkReceive()
	case 1:
		parkSelect()
	case 2:
		parkSleep()
	default:
		parkLock()
	}
}

//go:noinline
func grow(depth, kind int) {
	var room [1024]byte
	for i := range room {
		room[i] = byte(depth + i)
	}
	if depth > 0 {
		grow(depth-1, kind)
	} else {
		park(kind)
	}
	for i := range room {
		if room[i] != byte(depth+i) {
			atomic.AddInt64(&broken, 1)
		}
	}
}

//go:noinline
func shallow(kind int) {
	park(kind)
}

//go:noinline
func worker(kind int) {
	atomic.AddInt64(&made, 1)
	if kind%3 == 0 {
		grow(kind%40, kind)
	} else {
		shallow(kind)
	}
}

//go:noinline
func spawn(from int) {
	for i := from; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		go worker(i)
		if i%20 == 0 {
			time.Sleep(pause)
		}
	}
}

//go:noinline
func collect() {
	for {
		select {
		case <-stop:
			return
		case <-time.After(50 * time.Millisecond):
			runtime.GC()
		}
	}
}

func main() {
	if len(os.Args) > 1 {
		if ms, err := strconv.Atoi(os.Args[1]); err == nil && ms > 0 {
			pause = time.Duration(ms) * time.Millisecond
		}
	}
	// A signal's handler then looks at the stack wherever it is, in a probe's trampoline as well.
	runtime.SetCPUProfileRate(500)
	go spawn(0)
	go spawn(1 << 20)
	go collect()
	fmt.Println(os.Getpid(), "ready")
	bufio.NewReader(os.Stdin).ReadString('\n')
	close(stop)
	fmt.Println("made", atomic.LoadInt64(&made), "broken", atomic.LoadInt64(&broken))
}
