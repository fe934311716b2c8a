// SPDX-License-Identifier: GPL-2.0-or-later

// noprofile is a program of which the linker knows that nobody reads the heap profile: the runtime keeps none.
// It keeps a buffer of "grow" KiB a time, "rounds" a second, for ever (up to 1 GiB), and drops as many
// others.  Prints "ready PID".  Usage: noprofile [KIB [ROUNDS]]
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

var kept [][]byte
var dropped [16][]byte

func keep(size int) {
	kept = append(kept, make([]byte, size)) // LEAK
}

func drop(i, size int) {
	dropped[i%len(dropped)] = make([]byte, size)
}

func argument(i, otherwise int) int {
	if i < len(os.Args) {
		if n, err := strconv.Atoi(os.Args[i]); err == nil && n > 0 {
			return n
		}
	}
	return otherwise
}

func main() {
	size, rounds := argument(1, 64)<<10, argument(2, 20)
	fmt.Println("ready", os.Getpid())
	for i := 0; ; i++ {
		if i*size < 1<<30 {
			keep(size)
		}
		drop(i, size)
		time.Sleep(time.Second / time.Duration(rounds))
	}
}
