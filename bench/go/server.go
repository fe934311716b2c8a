// SPDX-License-Identifier: GPL-2.0-or-later

// A net/http server as one is written first: prints its port.  "many N" makes N goroutines that wait.
package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // as most have; without it the linker leaves out the heap profile
	"os"
	"strconv"
	"time"
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

type order struct {
	ID       int       `json:"id"`
	Customer string    `json:"customer"`
	Items    []string  `json:"items"`
	Total    float64   `json:"total"`
	Made     time.Time `json:"made"`
}

// As services answer: the query is read, and what was found is encoded.
func orders(w http.ResponseWriter, r *http.Request) {
	customer := r.URL.Query().Get("of")
	found := make([]order, 20)
	for i := range found {
		found[i] = order{i, customer, []string{"tea", "cup"}, 1.5 * float64(i), time.Unix(int64(i), 0)}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(found)
}

func main() {
	if len(os.Args) == 3 && os.Args[1] == "many" {
		count, _ := strconv.Atoi(os.Args[2])
		many(count)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("hello\n"))
	})
	http.HandleFunc("/orders", orders)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listener, nil))
}
