// SPDX-License-Identifier: GPL-2.0-or-later
/* A library for the workload chains: code that the dynamic linker calls.  Linked with -z lazy. */
#include "chain.h"

void dl_lazy(size_t size);
void dl_lazy_site(size_t size);
void dl_choose(size_t size);
void dl_chosen(void);

static size_t resolver_size;

SITE static void ctor_site(void)
{
	CHAIN_KEEP(CHAIN_CONSTRUCTOR);
}

/* Allocates when it is told to, so that the tracer can have learnt of this library. */
__attribute__((constructor)) static void ctor(void)
{
	say("holds\n");
	wait_for("next");
	ctor_site();
	CHAIN_LINK();
}

SITE void dl_lazy_site(size_t size)
{
	void *p = malloc(size);

	KEEP(p);
}

void dl_lazy(size_t size)
{
	dl_lazy_site(size);
	CHAIN_LINK();
}

SITE static void really_chosen(void)
{
}

SITE static void resolver_site(void)
{
	void *p = malloc(resolver_size);

	KEEP(p);
}

static void (*choose(void))(void)
{
	if (resolver_size)
		resolver_site();
	return really_chosen;
}

void dl_chosen(void) __attribute__((ifunc("choose")));

void dl_choose(size_t size)
{
	resolver_size = size;
	dl_chosen();
	CHAIN_LINK();
}
