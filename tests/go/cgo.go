// SPDX-License-Identifier: GPL-2.0-or-later

// Goroutines that allocate in C, one from Go, one from Go that C called: cgo leak|clean
package main

/*
#include <stdlib.h>

extern void leaktraceCalledBack(void);
static void call_back(void) { leaktraceCalledBack(); }
*/
import "C"

import (
	"fmt"
	"os"
	"time"
	"unsafe"
)

const (
	direct = 1000 // bytes
	called = 3000
)

var leak = len(os.Args) > 1 && os.Args[1] == "leak"

func drop(block unsafe.Pointer) {
	if !leak {
		C.free(block)
	}
}

func allocInC() { drop(C.malloc(direct)) } // LEAK direct

//export leaktraceCalledBack
func leaktraceCalledBack() { drop(C.malloc(called)) } // LEAK called

func callBack() { C.call_back() }

func repeat(work func()) {
	for {
		work()
		time.Sleep(100 * time.Millisecond)
	}
}

func main() {
	go repeat(allocInC)
	go repeat(callBack)
	fmt.Println("ready", os.Getpid())
	select {}
}
