// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Allocations on the way of an exception: the exception itself, a destructor that runs while the
 * stack is unwound, and the handler.  Built without frame pointers.
 */
#include "chain.h"

namespace flight
{

enum { CASE_thrown, CASE_destructor, CASE_handler, CASE_COUNT };

constexpr std::size_t exception_header = 128; /* libstdc++'s __cxa_refcounted_exception, x86-64 */

struct Thrown {
	char room[CHAIN_SIZE(CASE_thrown) - exception_header];
};

struct Guard {
	SITE ~Guard()
	{
		CHAIN_KEEP(CASE_destructor);
	}
};

SITE void throws()
{
	throw Thrown();
}

SITE void guarded()
{
	Guard guard;

	throws();
}

SITE void handler_site()
{
	CHAIN_KEEP(CASE_handler);
}

SITE void catches()
{
	try {
		guarded();
	} catch (const Thrown &) {
		handler_site();
	}
}

} // namespace flight

int main()
{
	static const char *const names[] = { "thrown", "destructor", "handler" };
	const unsigned long counts[] = { 1, 1, 1 };

	ready_and_go();
	flight::catches();
	chain_print(names, counts, flight::CASE_COUNT);
	wait_for("quit");
}
