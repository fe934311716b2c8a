/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Non-cryptographic mixing.  Pure. */
#ifndef LT_BASE_HASH_H
#define LT_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The finalizer of MurmurHash3 (Appleby, public domain): a bijection on 64 bits. */
static inline uint64_t lt_mix64(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ (x >> 33);
}

/* FNV-1a, 64 bits (draft-eastlake-fnv); chain calls by passing the last value as seed. */
#define LT_FNV_SEED 0xcbf29ce484222325ULL

static inline uint64_t lt_fnv1a(uint64_t seed, const void *data, size_t len)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++)
		seed = (seed ^ bytes[i]) * 0x100000001b3ULL;
	return seed;
}

#endif
