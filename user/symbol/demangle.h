/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Symbol names for people: C++ (Itanium ABI), Rust (legacy and v0) and D are demangled, symbol
 * versions ("malloc@@GLIBC_2.2.5") and compilers' clone suffixes (".constprop.0", ".cold") cut,
 * so that every part of a function carries the one name that the source gave it.
 * Names are hostile: time, recursion and result are bounded.  Pure.
 */
#ifndef LT_SYMBOL_DEMANGLE_H
#define LT_SYMBOL_DEMANGLE_H

/* A new string of fewer than LT_MAX_NAME bytes, the plain name if it is not mangled; NULL: no
 * memory. */
char *lt_symbol_demangle(const char *name);

#endif
