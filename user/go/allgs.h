/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * runtime.allgs, the slice of all goroutines (runtime/proc.go), found without symbols: by what its
 * elements are.  That the elements hold up also shows that the table of offsets is right.
 */
#ifndef LT_GO_ALLGS_H
#define LT_GO_ALLGS_H

#include "go/gstruct.h"
#include "go/program.h"

/* As a Go slice lies in memory. */
struct lt_go_slice {
	uint64_t data, len, cap;
};

/*
 * Looks in the variables of that module.  -EAGAIN: no goroutine is there yet, or it cannot be told
 * apart from the copy that the GC has just now; -EBADMSG: there are goroutines, but not as
 * program->layout says.
 */
int lt_go_allgs_find(const struct lt_go_program *program, const struct lt_go_module *module,
		     const struct lt_maps *maps, uint64_t *address);
/* Is it a slice of goroutines, by itself? */
bool lt_go_allgs_plausible(const struct lt_go_slice *slice);
/* Is it a goroutine, by itself and by where it starts? */
bool lt_go_allgs_element(const struct lt_go_program *program, const struct lt_go_g *g);

#endif
