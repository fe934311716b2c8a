/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the probes of --go-probes go in a Go module: single instructions which the kernel emulates, chosen by
 * decoding the runtime's functions, found by name in the pc-line table (Zydis).  Never a return
 * probe: Go moves stacks, and finds the trampoline's address on them.  Pure.
 */
#ifndef LT_PROBE_GOSITES_H
#define LT_PROBE_GOSITES_H

#include <stddef.h>
#include <stdint.h>

#include "elf/gofile.h"

/* What a probe tells.  Each one has a program in bpf/go.bpf.c. */
enum lt_go_probe {
	LT_GO_PROBE_CREATE,      /* at the call of runqput in newproc.func1; BX: new g */
	LT_GO_PROBE_BODY,        /* (*persistConn).roundTrip; AX: persistConn */
	LT_GO_PROBE_BODY_IDLE,   /* (*Transport).tryPutIdleConn; BX: persistConn */
	LT_GO_PROBE_BODY_CLOSE,  /* (*persistConn).closeLocked; AX: persistConn */
	LT_GO_PROBE_TIMER_START, /* to 1.22: time.startTimer; AX: timer, period at +16 not 0 */
	LT_GO_PROBE_TICKER_STOP, /* time.stopTimer; AX */
	LT_GO_PROBE_CONTEXT, /* at the call of mapassign in propagateCancel; CX: &key, an interface */
	LT_GO_PROBE_CANCEL, /* (*cancelCtx).cancel; AX */
	LT_GO_PROBE_SPAN,   /* behind a call of (*mheap).alloc; AX: mspan or nil, npages at +32 */
	LT_GO_PROBE_SPAN_FREE, /* freeSpanLocked; BX: mspan */
	LT_GO_PROBES
};

#define LT_GO_NOP_BYTES 5

struct lt_go_site {
	enum lt_go_probe probe;
	uint64_t address;     /* ELF virtual address of the instruction */
	uint64_t file_offset; /* of it */
	bool emulated; /* else the kernel steps over it singly, which costs some 20 times as much */
	/*
	 * Behind a NOP of LT_GO_NOP_BYTES, which does as well, and on some kernels for less (bpf/optimized.h):
	 * the compiler puts one there if else the call reached the end of 32 bytes, where some
	 * processors are slow (cmd/internal/obj/x86/asm6.go, padJump()).
	 */
	bool padded;
};

struct lt_go_sites {
	struct lt_go_site *items;
	size_t count;
	/*
	 * Bit 1 << enum lt_go_probe: wanted, the program has such a function, but its code is not known,
	 * or part of its calls was inlined (-pgo).  Such a probe has no sites.
	 */
	uint32_t failed;
	/* ... and what the program does not have at all (no net/http, say). */
	uint32_t absent;
};

/* wanted: bits 1 << enum lt_go_probe.  0 or -ENOMEM; *sites to be freed. */
int lt_go_sites_find(const struct lt_gofile *file, uint32_t wanted, struct lt_go_sites *sites);
void lt_go_sites_free(struct lt_go_sites *sites);

/* Of the programs in bpf/go.bpf.c. */
extern const char *const lt_go_probe_names[LT_GO_PROBES];

#endif
