// SPDX-License-Identifier: GPL-2.0-or-later

// A net/http server as one is written first: prints its port.  "many N" makes N goroutines that wait.
package main

import (
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // as most have; without it the linker leaves out the heap profile
	"os"
	"strconv"
)

func wait(gate chan int) {
	<-gate
}

func many(count int) {
	gate := make(chan int)
	for i := 0; i < count; i++ {
		go wait(gate)
	}
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "many" {
		count, _ := strconv.Atoi(os.Args[2])
		many(count)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("hello\n"))
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, nil))
}
