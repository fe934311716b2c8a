// SPDX-License-Identifier: GPL-2.0-or-later

//go:build go1.23

package main

import "iter"

var pulled []func() (int, bool)

// Makes goroutines in a way of its own, without runqput; how many.
func pull() int {
	next, _ := iter.Pull(func(yield func(int) bool) {
		yield(1)
	})
	next()
	pulled = append(pulled, next)
	return 1
}
