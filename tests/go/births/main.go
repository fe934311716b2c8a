// SPDX-License-Identifier: GPL-2.0-or-later

// At each number on standard input several goroutines at once make that many each, which make one more each:
// all of these are gone when it answers with how many there were, and how many stay: one that main makes, one
// that the runtime makes on its own stack, for a timer, and from Go 1.23 on one of iter.Pull.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"
)

const makers = 4

var never, begun = make(chan int), make(chan int)

//go:noinline
func brief(all *sync.WaitGroup) {
	all.Done()
}

//go:noinline
func parent(all *sync.WaitGroup) {
	all.Add(1)
	go brief(all)
	all.Done()
}

//go:noinline
func maker(count int, all *sync.WaitGroup) {
	for i := 0; i < count; i++ {
		all.Add(1)
		go parent(all)
	}
	all.Done()
}

//go:noinline
func stay() {
	begun <- 1
	<-never
}

func main() {
	var all sync.WaitGroup

	fmt.Println(os.Getpid(), "ready")
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		count, err := strconv.Atoi(input.Text())
		if err != nil {
			panic(err)
		}
		all.Add(makers)
		for i := 0; i < makers; i++ {
			go maker(count, &all)
		}
		go stay()
		time.AfterFunc(0, stay)
		<-begun
		<-begun
		all.Wait()
		stay := 2 + pull()
		fmt.Println("made", makers*(1+2*count)+stay, "stay", stay)
	}
}
