// SPDX-License-Identifier: GPL-2.0-or-later
/* One of two libraries that take turns at one address: two calls deep, small frames. */
#include "dl_churn.h"

DL_STEP(a_site, 3, malloc)
DL_STEP(a_step, 5, a_site)

void *dl_enter(size_t size)
{
	void *block = a_step(size);

	__asm__ volatile("" : "+r"(block) : : "memory");
	return block;
}
