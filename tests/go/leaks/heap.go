// SPDX-License-Identifier: GPL-2.0-or-later

// Memory that something still refers to.
package main

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"time"
)

func init() {
	scenarios["after"] = after
	scenarios["context"] = contexts
	scenarios["slice"] = slice
	scenarios["map"] = mapping
	scenarios["pin"] = pin
	scenarios["huge"] = huge
	scenarios["registry"] = registry
	scenarios["closure"] = closure
}

func after(leak bool) func(int) {
	return func(int) {
		work := make(chan int, 1)
		for i := 0; i < many; i++ {
			work <- i
			if !leak {
				timeout := time.NewTimer(time.Hour)
				select {
				case <-work:
				case <-timeout.C:
				}
				timeout.Stop()
				continue
			}
			select {
			case <-work:
			case <-time.After(time.Hour): // LEAK after
			}
		}
	}
}

func contexts(leak bool) func(int) {
	service, stop := context.WithCancel(context.Background())
	return func(int) {
		for i := 0; i < many; i++ {
			_, cancel := context.WithCancel(service) // LEAK context
			if !leak {
				cancel()
			}
		}
		runtime.KeepAlive(stop)
	}
}

var history [][]byte

func slice(leak bool) func(int) {
	return func(int) {
		history = append(history, make([]byte, buffer)) // LEAK slice
		if !leak && len(history) > alive {
			history = append([][]byte(nil), history[1:]...)
		}
	}
}

type visit struct {
	page string
	body [400]byte
}

var visits = map[string]*visit{}

func mapping(leak bool) func(int) {
	return func(request int) {
		for i := 0; i < many/2; i++ {
			key := strconv.Itoa(request*many + i)
			visits[key] = &visit{page: key} // LEAK map
			if !leak {
				delete(visits, strconv.Itoa((request-alive)*many+i))
			}
		}
	}
}

var heads [][]byte

func readAll() []byte {
	return make([]byte, buffer) // LEAK pin
}

func pin(leak bool) func(int) {
	return func(int) {
		head := readAll()[:16] // LEAK pin
		if !leak {
			head = append([]byte(nil), head...)
			if len(heads) == 100*alive {
				heads = nil
			}
		}
		heads = append(heads, head)
	}
}

type model [400000000]byte

var latest *model

func huge(leak bool) func(int) {
	return func(request int) {
		switch request {
		case 20:
			latest = new(model) // LEAK huge
		case 30:
			if !leak {
				latest = nil
			}
		}
		if request%20 == 0 {
			runtime.GC() // a busy service does so by itself; 400 MB make it rare here
		}
	}
}

type session struct{ data []byte }

var sessions sync.Map

func open(request int) {
	sessions.Store(request, &session{data: make([]byte, buffer)}) // LEAK registry
}

func registry(leak bool) func(int) {
	return func(request int) {
		open(request) // LEAK registry
		if !leak {
			sessions.Delete(request - alive)
		}
	}
}

var chain []func() int

func middleware(next func() int) func() int {
	body := make([]byte, buffer) // LEAK closure
	return func() int { return len(body) + next() }
}

func closure(leak bool) func(int) {
	return func(request int) {
		handler := middleware(func() int { return request }) // LEAK closure
		handler()
		chain = append(chain, handler)
		if !leak && len(chain) > alive {
			chain = append([]func() int(nil), chain[1:]...)
		}
	}
}
