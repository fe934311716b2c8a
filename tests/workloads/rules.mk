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
PRELOADED := $(BUILD)/workloads/redis_leak.so
STACK_CXX := $(addprefix $(BUILD)/workloads/,names throwing exceptions bad_alloc)
STACK_RUST := $(addprefix $(BUILD)/workloads/,names_rust_v0 names_rust_legacy)

# A coroutine library, by its file: its package for development is large.
BOOST_CONTEXT := $(firstword $(wildcard /usr/lib/$(ARCH)-linux-gnu/libboost_context.so*) -lboost_context)

# Debian's compiler, with both of its manglings: choosing the old one is unstable, says Rust.
RUSTC ?= $(firstword $(wildcard /usr/bin/rustc) rustc)
RUST_FLAGS := --edition 2021 -C opt-level=2 -C debuginfo=2 -C link-arg=-Wl,--build-id=sha1 \
	--remap-path-prefix=$(CURDIR)=. -Z unstable-options -D warnings

WORKLOADS := $(filter-out $(STACK_LIBS:.so=) $(PRELOADED:.so=),$(WORKLOADS)) $(STACK_LIBS) $(PRELOADED) $(STACK_CXX) $(STACK_RUST)

$(STACK_BIN): private WORKLOAD_CFLAGS = $(STACK_CFLAGS)
$(BUILD)/workloads/coroutines: private WORKLOAD_CFLAGS = $(STACK_CFLAGS) -Wl,--no-as-needed $(BOOST_CONTEXT)

$(STACK_LIBS): $(BUILD)/workloads/%.so: tests/workloads/%.c $(STACK_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(STACK_CFLAGS) -fPIC -shared -Wl,-z,lazy -o $@ $<

$(PRELOADED): $(BUILD)/workloads/%.so: tests/workloads/%.c
	@mkdir -p $(@D)
	$(CC) $(WORKLOAD_CFLAGS) -fPIC -shared -o $@ $<

$(STACK_CXX): $(BUILD)/workloads/%: tests/workloads/%.cc $(STACK_HEADERS)
	@mkdir -p $(@D)
	$(CXX) $(STACK_CXXFLAGS) -Wl,--build-id=sha1 -o $@ $<

$(STACK_RUST): $(BUILD)/workloads/names_rust_%: tests/workloads/names.rs
	@mkdir -p $(@D)
	RUSTC_BOOTSTRAP=1 $(RUSTC) $(RUST_FLAGS) -C symbol-mangling-version=$* -o $@ $<

# Clients of databases (tests/e2e/test_clients.py).
$(BUILD)/workloads/libpq_client: private WORKLOAD_CFLAGS += -isystem /usr/include/postgresql -Wl,--no-as-needed -lpq
$(BUILD)/workloads/sqlite_client: private WORKLOAD_CFLAGS += -Wl,--no-as-needed -lsqlite3

# The matrix of allocators (tests/e2e/test_matrix.py): one program, linked with each allocator in each
# way that exists.  ALLOCATOR-LINKAGE: what the linker is told.
MATRIX := $(BUILD)/matrix
MATRIX_LINK.glibc-shared :=
MATRIX_LINK.glibc-static := -static
MATRIX_LINK.glibc-static-pie := -static-pie
MATRIX_LINK.jemalloc-shared := -ljemalloc
MATRIX_LINK.jemalloc-archive := -l:libjemalloc.a
MATRIX_LINK.jemalloc-static := -static -l:libjemalloc.a
MATRIX_LINK.tcmalloc-shared := -ltcmalloc
MATRIX_LINK.tcmalloc-archive := -l:libtcmalloc.a -lunwind
# Some of libunwind's functions are in gcc's library as well, and whose is taken must be one's.
MATRIX_LINK.tcmalloc-static := -static -l:libtcmalloc.a -lstdc++ -lunwind -llzma -Wl,--allow-multiple-definition
MATRIX_LINK.tcmalloc_minimal-shared := -ltcmalloc_minimal
# One of them with C++'s library in it as well.
MATRIX_LINK.tcmalloc_minimal-archive := -l:libtcmalloc_minimal.a -static-libstdc++ -static-libgcc
MATRIX_LINK.tcmalloc_minimal-static := -static -l:libtcmalloc_minimal.a
MATRIX_LINK.mimalloc-shared := -lmimalloc

MATRIX_BIN := $(patsubst MATRIX_LINK.%,$(MATRIX)/%,$(filter MATRIX_LINK.%,$(.VARIABLES)))
MATRIX_MUSL := $(addprefix $(MATRIX)/musl-,shared static)
MATRIX_PREFIXED := $(addprefix $(MATRIX)/,je_-archive je_-static other_-archive)
MATRIX_HEADERS := $(addprefix tests/workloads/,matrix.h truth.h)
WORKLOADS := $(filter-out $(addprefix $(BUILD)/workloads/,matrix matrix_own),$(WORKLOADS)) \
	$(MATRIX_BIN) $(MATRIX_MUSL) $(MATRIX_PREFIXED)

$(MATRIX)/%.o: tests/workloads/%.c $(MATRIX_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(WORKLOAD_CFLAGS) -c -o $@ $<

$(MATRIX)/%.o: tests/workloads/%.cc $(MATRIX_HEADERS)
	@mkdir -p $(@D)
	$(CXX) $(subst -std=gnu11,-std=gnu++17,$(WORKLOAD_CFLAGS)) -c -o $@ $<

$(MATRIX)/musl/%.o: tests/workloads/%.c $(MATRIX_HEADERS)
	@mkdir -p $(@D)
	musl-gcc $(WORKLOAD_CFLAGS) -c -o $@ $<

$(MATRIX_BIN): $(MATRIX)/%: $(MATRIX)/matrix.o $(MATRIX)/matrix_own.o $(MATRIX)/matrix_cxx.o
	$(CXX) -pthread -Wl,--build-id=sha1,--no-as-needed -o $@ $^ $(MATRIX_LINK.$*)

$(MATRIX_MUSL): $(MATRIX)/musl-%: $(MATRIX)/musl/matrix.o $(MATRIX)/musl/matrix_own.o
	musl-gcc -pthread -Wl,--build-id=sha1 -o $@ $^ $(filter -static,-$*)

# jemalloc under a prefix beside glibc, as --with-jemalloc-prefix builds it, which leaves C++ alone.
$(MATRIX)/%_/libjemalloc.a:
	@mkdir -p $(@D)
	cp $$($(CC) -print-file-name=libjemalloc.a) $@
	$(AR) d $@ jemalloc_cpp.o
	nm -g --defined-only $@ | awk 'NF == 3 && $$3 !~ /^je_/ { print $$3, "$*_" $$3 }' | \
		sed 's/ other_sdallocx$$/ hidden_sdallocx/' >$@.names
	objcopy --redefine-syms=$@.names $@

$(MATRIX)/%_/matrix_own.o: tests/workloads/matrix_own.c $(MATRIX_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(WORKLOAD_CFLAGS) -DMATRIX_PREFIX=$*_ $(if $(filter other,$*),-DMATRIX_HIDDEN_SDALLOCX=hidden_sdallocx) -c -o $@ $<

$(MATRIX)/%_-archive: $(MATRIX)/matrix.o $(MATRIX)/%_/matrix_own.o $(MATRIX)/matrix_cxx.o $(MATRIX)/%_/libjemalloc.a
	$(CXX) -pthread -Wl,--build-id=sha1,--undefined=$*_malloc -o $@ $^

$(MATRIX)/%_-static: $(MATRIX)/matrix.o $(MATRIX)/%_/matrix_own.o $(MATRIX)/matrix_cxx.o $(MATRIX)/%_/libjemalloc.a
	$(CXX) -pthread -static -Wl,--build-id=sha1,--undefined=$*_malloc -o $@ $^

# Each call of a table is in a function of its own.
$(addprefix $(BUILD)/workloads/,fd_calls fd_torture): tests/workloads/fd_makers.def
