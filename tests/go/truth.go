// SPDX-License-Identifier: GPL-2.0-or-later

// truth holds goroutines in every state that Go has and a heap of known sites, and tells about both itself:
// /debug/pprof/goroutine?debug=2 and /debug/pprof/heap?debug=1 by Go's own profiler, /figures the
// runtime's figures.  /freeze ends what goes on in the background.  Prints "ready PID PORT".
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	never  = make(chan int)
	ctx, _ = context.WithCancel(context.Background())
	frozen int32
	more   []func() // of files that are built in only sometimes
)

// Goroutines, by what they wait for.

func receiver()    { <-never }
func sender()      { make(chan int) <- 1 }
func nilReceiver() { var c chan int; <-c }
func nilSender()   { var c chan int; c <- 1 }
func noCases()     { select {} }
func sleeper()     { time.Sleep(24 * time.Hour) }
func ranger() {
	for range never {
	}
}
func lockedReceive() { runtime.LockOSThread(); <-never }

func selector() {
	select {
	case <-never:
	case <-ctx.Done():
	}
}

func waiter() {
	var group sync.WaitGroup
	group.Add(1)
	group.Wait()
}

func locker() {
	var mutex sync.Mutex
	mutex.Lock()
	mutex.Lock()
}

func writer() {
	var lock sync.RWMutex
	lock.RLock()
	lock.Lock()
}

func reader() {
	var lock sync.RWMutex
	lock.Lock()
	lock.RLock()
}

func conditioned() {
	cond := sync.NewCond(new(sync.Mutex))
	cond.L.Lock()
	cond.Wait()
}

func once() {
	var o sync.Once
	o.Do(func() { <-never })
}

func pipeReader() {
	r, w, err := os.Pipe()
	must(err)
	defer w.Close()
	r.Read(make([]byte, 1))
}

func acceptor() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	l.Accept()
}

func systemCall() {
	var fds [2]int
	must(syscall.Pipe(fds[:]))
	syscall.Read(fds[0], make([]byte, 1))
}

func deep(n int) int {
	if n == 0 {
		return <-never
	}
	return deep(n-1) + 1
}

func inlinedLeaf() int   { return <-never }
func inlinedMiddle() int { return inlinedLeaf() + 1 }
func inlined()           { inlinedMiddle() }

type server struct{ requests chan int }

func (s *server) serve()  { <-s.requests }
func (s server) byValue() { <-s.requests }

type serving interface{ byValue() }

type list[T any] struct{ items chan T }

func (l *list[T]) take() T { return <-l.items }

func generic[T any](c chan T) T { return <-c }

func parent() {
	for i := 0; i < 2; i++ {
		go child()
	}
	<-never
}

func child() {
	go func() {
		<-never
	}()
	<-never
}

func deferred() {
	defer func() { <-never }()
}

func panicking() {
	defer func() {
		recover()
		<-never
	}()
	panic("on purpose")
}

func wide(a, b, c, d, e, f, g, h, i, j, k, l int, text string, floats [4]float64) int {
	var room [3000]byte // a frame of more than a page
	room[a] = byte(<-never)
	return b + c + d + e + f + g + h + i + j + k + l + len(text) + int(floats[0]) + int(room[b])
}

func start(n int, f func()) {
	for i := 0; i < n; i++ {
		go f()
	}
}

func startAll() {
	start(100, receiver)
	start(20, sender)
	start(3, nilReceiver)
	start(4, nilSender)
	start(5, selector)
	start(2, noCases)
	start(6, waiter)
	start(7, locker)
	start(3, writer)
	start(4, reader)
	start(5, conditioned)
	start(2, once)
	start(8, sleeper)
	start(3, pipeReader)
	start(2, acceptor)
	start(3, systemCall)
	start(9, inlined)
	start(2, ranger)
	start(2, lockedReceive)
	start(3, parent)
	start(2, deferred)
	start(2, panicking)
	for i := 0; i < 4; i++ {
		go deep(10)
		go deep(200)
		go wide(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, "text", [4]float64{})
		s := &server{make(chan int)}
		go s.serve()
		go s.byValue()
		go serving(s).byValue()
		method := s.serve
		go method()
		go generic(make(chan string))
		go generic(make(chan int))
		l := &list[[]byte]{make(chan []byte)}
		go l.take()
		go func(n int) {
			defer fmt.Sprint(n)
			func() {
				<-s.requests
			}()
		}(i)
		time.AfterFunc(0, receiver)
	}
	for _, f := range more {
		f()
	}
}

// The heap, by site; what is not kept was allocated and is free again.

type node struct {
	next  *node
	value [5]int
}

var kept [][]byte
var nodes *node
var table = map[int]*node{}
var texts []string

func buffers(n, size int) {
	for i := 0; i < n; i++ {
		b := make([]byte, size)
		if i%2 == 0 {
			kept = append(kept, b)
		}
	}
}

func small(n int) {
	for i := 0; i < n; i++ {
		nodes = &node{next: nodes}
	}
}

func mapped(n int) {
	for i := 0; i < n; i++ {
		table[i] = newNode(i)
	}
	for i := 0; i < n; i += 3 {
		delete(table, i)
	}
}

func newNode(i int) *node { return &node{value: [5]int{i}} }

func strings(n int) {
	for i := 0; i < n; i++ {
		texts = append(texts, fmt.Sprintf("%0100d", i))
	}
}

func deepBuffer(n, size int) {
	if n > 0 {
		deepBuffer(n-1, size)
		return
	}
	kept = append(kept, make([]byte, size))
}

func grow(n int) []int {
	var all []int
	for i := 0; i < n; i++ {
		all = append(all, i)
	}
	return all
}

var numbers []int

func fill() {
	for _, size := range []int{8, 24, 64, 200, 1000, 4096, 10000, 32768} {
		buffers(2*(1<<21)/size, size)
	}
	buffers(8, 1<<20)
	buffers(2, 5<<20)
	small(50000)
	mapped(30000)
	strings(20000)
	numbers = grow(300000)
	for i := 0; i < 8; i++ {
		deepBuffer(i, 400000)
		deepBuffer(60, 100000)
	}
}

// What goes on until /freeze.

var garbage [64][]byte

func churn() {
	for i := 0; atomic.LoadInt32(&frozen) == 0; i++ {
		garbage[i%64] = make([]byte, 1000*(i%100))
		var group sync.WaitGroup
		group.Add(1)
		go func() {
			garbage[(i+32)%64] = nil
			group.Done()
		}()
		group.Wait()
		time.Sleep(100 * time.Microsecond)
	}
	atomic.StoreInt32(&frozen, 2)
}

func freeze(w http.ResponseWriter, r *http.Request) {
	atomic.CompareAndSwapInt32(&frozen, 0, 1)
	for atomic.LoadInt32(&frozen) != 2 {
		time.Sleep(time.Millisecond)
	}
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	fmt.Fprintln(w, "frozen")
}

func figures(w http.ResponseWriter, r *http.Request) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	json.NewEncoder(w).Encode(map[string]interface{}{
		"MemStats": stats, "NumGoroutine": runtime.NumGoroutine(), "Version": runtime.Version()})
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	startAll()
	fill()
	for i := 0; i < 3; i++ {
		runtime.GC()
	}
	go churn()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	http.HandleFunc("/freeze", freeze)
	http.HandleFunc("/figures", figures)
	fmt.Println("ready", os.Getpid(), l.Addr().(*net.TCPAddr).Port)
	http.Serve(l, nil)
}
