// SPDX-License-Identifier: GPL-2.0-or-later

// leaks is a service with one mistake, or without it: usage: leaks SCENARIO[,SCENARIO...] leak|clean.  It
// serves ten requests a second, each with some garbage.  Lines that leak are marked with "// LEAK SCENARIO";
// "// ACQUIRED SCENARIO" marks where a probed thing is taken that is missed elsewhere.  Never grows beyond
// mostRequests.  Prints "ready PID".
package main

import (
	"fmt"
	_ "net/http/pprof" // keeps the heap profile on, as most services do
	"os"
	"runtime"
	"strings"
	"time"
)

const (
	period       = 100 * time.Millisecond
	mostRequests = 5000
	buffer       = 100 << 10 // what a request holds: 1 MiB a second
	many         = 800       // small things of a request: 2 MiB a second, which are rarely sampled
	alive        = 5         // requests that a healthy service has at work
)

// A scenario prepares the service and returns what it does for a request.
var scenarios = map[string]func(leak bool) func(request int){}

var garbage [16][]byte

func litter(request int) {
	for i := 0; i < 12; i++ {
		garbage[(request+i)%len(garbage)] = make([]byte, 64<<10)
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// finished returns a channel that closes when this request of a healthy service has been served.
func finished() chan struct{} {
	done := make(chan struct{})
	time.AfterFunc(alive*period, func() { close(done) })
	return done
}

func main() {
	if len(os.Args) != 3 || os.Args[2] != "leak" && os.Args[2] != "clean" {
		must(fmt.Errorf("usage: leaks SCENARIO[,SCENARIO...] leak|clean"))
	}
	var serve []func(request int)
	for _, name := range strings.Split(os.Args[1], ",") {
		prepare := scenarios[name]
		if prepare == nil {
			must(fmt.Errorf("no scenario %s", name))
		}
		serve = append(serve, prepare(os.Args[2] == "leak"))
	}
	fmt.Println("ready", os.Getpid())
	for request := 0; ; request++ {
		for _, f := range serve {
			if request < mostRequests {
				f(request)
			}
		}
		litter(request)
		time.Sleep(period)
		runtime.KeepAlive(serve)
	}
}
