// SPDX-License-Identifier: GPL-2.0-or-later

// Goroutines that wait for what never comes.
package main

import (
	"context"
	"sync"
	"time"
)

func init() {
	scenarios["chan-receive"] = chanReceive
	scenarios["chan-send"] = chanSend
	scenarios["select"] = selecting
	scenarios["waitgroup"] = waitGroup
	scenarios["mutex"] = mutex
	scenarios["ticker"] = ticker
	scenarios["fanout"] = fanout
}

func receive(jobs chan int) {
	<-jobs // LEAK chan-receive
}

func chanReceive(leak bool) func(int) {
	return func(request int) {
		jobs := make(chan int)
		go receive(jobs) // LEAK chan-receive
		if !leak {
			time.AfterFunc(alive*period, func() { jobs <- request })
		}
	}
}

func chanSend(leak bool) func(int) {
	return func(request int) {
		answer := make(chan int)
		go func() { // LEAK chan-send
			answer <- request // LEAK chan-send
		}()
		if !leak {
			time.AfterFunc(alive*period, func() { <-answer })
		}
	}
}

func answerOrQuit(answers, quit chan int) {
	select { // LEAK select
	case <-answers:
	case <-quit:
	}
}

func selecting(leak bool) func(int) {
	return func(request int) {
		answers, quit := make(chan int), make(chan int)
		go answerOrQuit(answers, quit) // LEAK select
		if !leak {
			time.AfterFunc(alive*period, func() { close(quit) })
		}
	}
}

func waitGroup(leak bool) func(int) {
	return func(request int) {
		var group sync.WaitGroup
		group.Add(2) // one part ends early and forgets to say so
		go func() {  // LEAK waitgroup
			group.Wait() // LEAK waitgroup
		}()
		group.Done()
		if !leak {
			time.AfterFunc(alive*period, group.Done)
		}
	}
}

type account struct {
	sync.Mutex
	balance int
}

func (a *account) pay(amount int) {
	a.Lock() // LEAK mutex
	a.balance += amount
	a.Unlock()
}

func mutex(leak bool) func(int) {
	return func(request int) {
		a := &account{}
		a.Lock()          // and the way of an error does not unlock
		go a.pay(request) // LEAK mutex
		if !leak {
			time.AfterFunc(alive*period, a.Unlock)
		}
	}
}

func poll(done chan struct{}) {
	t := time.NewTicker(time.Hour) // ACQUIRED ticker
	defer t.Stop()
	for {
		select { // LEAK ticker
		case <-t.C:
		case <-done:
			return
		}
	}
}

func ticker(leak bool) func(int) {
	return func(int) {
		done := make(chan struct{})
		if !leak {
			done = finished()
		}
		go poll(done) // LEAK ticker
	}
}

func ask(ctx context.Context, callee chan int) int {
	select { // LEAK fanout
	case answer := <-callee:
		return answer
	case <-ctx.Done():
		return 0
	}
}

// fanout asks three callees for each request; the third of them hangs.
func fanout(leak bool) func(int) {
	return func(request int) {
		ctx, cancel := context.Background(), func() {}
		if !leak {
			ctx, cancel = context.WithTimeout(ctx, alive*period)
		}
		answers := make(chan int)
		for callee := 0; callee < 3; callee++ {
			answer := make(chan int, 1)
			if callee < 2 {
				answer <- request
			}
			go func() { // LEAK fanout
				answers <- ask(ctx, answer) // LEAK fanout
			}()
		}
		go func() {
			for callee := 0; callee < 3; callee++ {
				<-answers
			}
			cancel()
		}()
	}
}
