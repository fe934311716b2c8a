# SPDX-License-Identifier: GPL-2.0-or-later
#
# Workloads for stacks and names: as code is shipped, without frame pointers and optimised, where
# the other workloads are built to be easy to read.  Included by the Makefile ahead of the first
# rule that uses $(WORKLOADS).

# Sibling calls become jumps, and functions stand back to back in the order of the source: the byte
# before one is the last of another.
STACK_CFLAGS := $(WORKLOAD_CFLAGS) -O2 -fomit-frame-pointer -foptimize-sibling-calls -falign-functions=1 \
	-fno-toplevel-reorder
STACK_CXXFLAGS := $(subst -std=gnu11,-std=gnu++17,$(STACK_CFLAGS))
STACK_HEADERS := $(addprefix tests/workloads/,chain.h dl_churn.h truth.h)
STACK_BIN := $(addprefix $(BUILD)/workloads/,altstack chains codechurn coroutines)
STACK_LIBS := $(addprefix $(BUILD)/workloads/,dl_a.so dl_b.so dl_ctor.so)
STACK_CXX := $(addprefix $(BUILD)/workloads/,names throwing exceptions bad_alloc)
STACK_RUST := $(addprefix $(BUILD)/workloads/,names_rust_v0 names_rust_legacy)

# A coroutine library, by its file: its package for development is large.
BOOST_CONTEXT := $(firstword $(wildcard /usr/lib/$(ARCH)-linux-gnu/libboost_context.so*) -lboost_context)

# Debian's compiler, with both of its manglings: choosing the old one is unstable, says Rust.
RUSTC ?= $(firstword $(wildcard /usr/bin/rustc) rustc)
RUST_FLAGS := --edition 2021 -C opt-level=2 -C debuginfo=2 -C link-arg=-Wl,--build-id=sha1 \
	--remap-path-prefix=$(CURDIR)=. -Z unstable-options -D warnings

WORKLOADS := $(filter-out $(STACK_LIBS:.so=),$(WORKLOADS)) $(STACK_LIBS) $(STACK_CXX) $(STACK_RUST)

$(STACK_BIN): private WORKLOAD_CFLAGS = $(STACK_CFLAGS)
$(BUILD)/workloads/coroutines: private WORKLOAD_CFLAGS = $(STACK_CFLAGS) -Wl,--no-as-needed $(BOOST_CONTEXT)

$(STACK_LIBS): $(BUILD)/workloads/%.so: tests/workloads/%.c $(STACK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(STACK_CFLAGS) -fPIC -shared -Wl,-z,lazy -o $@ $<

$(STACK_CXX): $(BUILD)/workloads/%: tests/workloads/%.cc $(STACK_HEADERS)
	@mkdir -p $(@D)
	$(CXX) $(STACK_CXXFLAGS) -Wl,--build-id=sha1 -o $@ $<

$(STACK_RUST): $(BUILD)/workloads/names_rust_%: tests/workloads/names.rs
	@mkdir -p $(@D)
	RUSTC_BOOTSTRAP=1 $(RUSTC) $(RUST_FLAGS) -C symbol-mangling-version=$* -o $@ $<
