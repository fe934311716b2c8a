/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the names in perf maps mean.  Pure.
 *
 *	JS:*render file:///srv/page.js:12:3	V8 (node --perf-basic-prof): tag, tier, function, place;
 *						older ones tell no column
 *	py::Cart.add:/srv/cart.py		CPython (python3 -X perf)
 *	int Cart.add(java.lang.String)		HotSpot (jcmd PID Compiler.perfmap): as it is
 */
#ifndef LT_SYMBOL_JITNAME_H
#define LT_SYMBOL_JITNAME_H

#include "stream/event.h"

/* Cuts name in place; frame borrows its parts. */
void lt_jitname_split(char *name, struct lt_source_frame *frame);

#endif
