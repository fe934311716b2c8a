// SPDX-License-Identifier: GPL-2.0-or-later
/* The other one: four calls deep, large frames. */
#include "dl_churn.h"

DL_STEP(b_site, 40, malloc)
DL_STEP(b_third, 9, b_site)
DL_STEP(b_second, 21, b_third)
DL_STEP(b_first, 70, b_second)

void *dl_enter(size_t size)
{
	DL_DECOYS(30);
	void *block = b_first(size);

	__asm__ volatile("" : "+r"(block) : : "memory");
	return block;
}
