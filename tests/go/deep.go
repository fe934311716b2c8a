// SPDX-License-Identifier: GPL-2.0-or-later

// Two callers of one deep recursion: what one asks for is kept, what the other asks for is dropped.  They
// are the outermost frames that Go's heap profile keeps from 1.23 on (128), and beyond those of 1.22 (32).
// Every allocation is sampled.  Prints "ready PID BYTES-THAT-ARE-KEPT".
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
)

var kept [][]byte
var dropped []byte

//go:noinline
func deep(depth int, keep bool) {
	if depth > 0 {
		deep(depth-1, keep)
		return
	}
	block := make([]byte, 64<<10)
	if keep {
		kept = append(kept, block)
	} else {
		dropped = block
	}
}

//go:noinline
func keeps() {
	deep(126, true)
}

//go:noinline
func drops() {
	deep(126, false)
}

func main() {
	runtime.MemProfileRate = 1
	kept = make([][]byte, 0, 100)
	for i := 0; i < 100; i++ {
		keeps()
		drops()
		drops()
	}
	dropped = nil
	for i := 0; i < 4; i++ { // what is freed is in the profile two collections later
		runtime.GC()
	}
	fmt.Println(os.Getpid(), "ready", len(kept)*64<<10)
	bufio.NewReader(os.Stdin).ReadString('\n')
}
