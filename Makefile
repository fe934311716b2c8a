# SPDX-License-Identifier: GPL-2.0-or-later
#
# make            build ./build/leaktrace
# make demo       install what is missing, build, watch leaktrace find a leak
# make check      install what the tests need, build, run every test
# make check-go    Go programs of every version that Debian has, for longer (tests/go/rules.mk)
# make check-kernels  boot Debian's kernels in QEMU and try the tool there (docs/KERNELS.md)
# make bench      measure the cost; prints ratios
# make lint       format, warnings, static analysis, room fences
# make install    PREFIX=/usr/local DESTDIR=
#
# SAN=address,undefined builds with sanitizers (into a folder of its own).
# ROOMS="base proc" restricts the library to some rooms, for work on one of them.

VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
SAN ?=
ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
comma := ,
BUILD ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
ARCH := $(shell uname -m)
ifneq ($(ARCH),x86_64)
$(error leaktrace knows the registers and calls of x86-64 only, not of $(ARCH))
endif
BPF_ARCH := $(patsubst x86_64,x86,$(patsubst aarch64,arm64,$(ARCH)))

ROOMS ?= $(notdir $(wildcard user/*))
LIBS := -lbpf -ldw -lelf -lz -lZydis -liberty -llzma -lpthread -lm

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wformat=2 -Wvla -Wimplicit-fallthrough -Wno-unused-parameter
CFLAGS ?= -O2 -g
LT_CFLAGS := -std=gnu11 -D_GNU_SOURCE -DLT_VERSION='"$(VERSION)"' $(WARNINGS) -Iinclude -Iuser \
	-I$(BUILD)/gen -fno-omit-frame-pointer -fno-common $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
LT_LDFLAGS := $(if $(SAN),-fsanitize=$(SAN))
BPF_CFLAGS := -g -O2 -mcpu=v3 --target=bpf -D__TARGET_ARCH_$(BPF_ARCH) -std=gnu11 -Wall -Wextra -Werror \
	-Wno-unused-function -Wno-gnu-variable-sized-type-not-at-end -Wno-unused-parameter -Iinclude -Ibpf -idirafter /usr/include/$(ARCH)-linux-gnu

LIB_SRC := $(filter-out user/cli/main.c,$(foreach room,$(ROOMS),$(wildcard user/$(room)/*.c)))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
BPF_SRC := $(wildcard bpf/*.bpf.c)
BPF_OBJ := $(BPF_SRC:%.c=$(BUILD)/%.o)
SKEL := $(BUILD)/gen/leaktrace.skel.h
UNIT_SRC := $(foreach room,$(ROOMS),$(wildcard tests/unit/$(room)/test_*.c))
UNIT_BIN := $(UNIT_SRC:%.c=$(BUILD)/%)
DEPS := $(LIB_OBJ:.o=.d) $(UNIT_BIN:=.d) $(BUILD)/user/cli/main.d

.DELETE_ON_ERROR:
.PHONY: all clean unit unit-programs workloads fuzz e2e demo check check-kernels lint bench install uninstall

all: $(BUILD)/leaktrace

$(BUILD)/leaktrace: $(BUILD)/user/cli/main.o $(BUILD)/libleaktrace.a
	$(CC) $(LT_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/libleaktrace.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(LT_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# BPF: one object per subject, linked into one, turned into a skeleton.  Nothing of it is committed.
$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h include/leaktrace/*)
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -c -o $@ $<

$(BUILD)/gen/leaktrace.bpf.o: $(BPF_OBJ)
	@mkdir -p $(@D)
	$(BPFTOOL) gen object $@ $^

$(SKEL): $(BUILD)/gen/leaktrace.bpf.o
	$(BPFTOOL) gen skeleton $< name leaktrace_bpf >$@

$(filter $(BUILD)/user/bpf/%.o,$(LIB_OBJ)): $(SKEL)

# Unit tests: one program per file, mirroring user/.
$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libleaktrace.a
	@mkdir -p $(@D)
	$(CC) $(LT_CFLAGS) $(CFLAGS) -MMD -MP -MF $@.d -Itests $(LT_LDFLAGS) -o $@ $< $(BUILD)/libleaktrace.a -lcmocka $(LIBS)

unit-programs: $(UNIT_BIN)

unit: $(UNIT_BIN)
	@set -e; for test in $(UNIT_BIN); do echo "== $$test"; $$test; done

# Programs that are traced by the tests: frame pointers, debug info, one function a site.
WORKLOAD_SRC := $(wildcard tests/workloads/*.c)
WORKLOADS := $(WORKLOAD_SRC:tests/workloads/%.c=$(BUILD)/workloads/%)
DEMO_BIN := $(patsubst demo/%.c,$(BUILD)/demo/%,$(wildcard demo/*.c))
WORKLOAD_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -Wno-unused-parameter -fno-omit-frame-pointer \
	-fno-optimize-sibling-calls -pthread -ffile-prefix-map=$(CURDIR)=.

include tests/workloads/rules.mk

$(BUILD)/workloads/%: tests/workloads/%.c $(wildcard tests/workloads/*.h)
	@mkdir -p $(@D)
	$(CC) $(WORKLOAD_CFLAGS) -o $@ $<

$(BUILD)/demo/%: demo/%.c $(wildcard demo/*.h)
	@mkdir -p $(@D)
	$(CC) $(WORKLOAD_CFLAGS) -o $@ $<

# A test program that uses the library itself.
$(BUILD)/e2e/%: tests/e2e/%.c $(BUILD)/libleaktrace.a
	@mkdir -p $(@D)
	$(CC) $(LT_CFLAGS) $(CFLAGS) $(LT_LDFLAGS) -o $@ $< $(BUILD)/libleaktrace.a $(LIBS)

include tests/truth/rules.mk
include tests/go/rules.mk

workloads: $(WORKLOADS)

# Fuzzers run a fixed number of inputs, not for a time: the same work on any machine.
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN := $(FUZZ_SRC:%.c=$(BUILD)/%)
FUZZ_RUNS ?= 20000
FUZZ_LIB := $(filter-out user/bpf/% user/cli/% user/stream/live.c,$(LIB_SRC))

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(FUZZ_LIB) $(wildcard bpf/*.h tests/native/*.h include/leaktrace/*)
	@mkdir -p $(@D)
	$(CLANG) -std=gnu11 -D_GNU_SOURCE -DLT_VERSION='"$(VERSION)"' -O1 -g -Iinclude -Iuser \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ $< $(FUZZ_LIB) \
		$(filter-out -lbpf,$(LIBS))

fuzz: $(FUZZ_BIN)
	@set -e; for fuzzer in $(FUZZ_BIN); do echo "== $$fuzzer"; \
		$$fuzzer -runs=$(FUZZ_RUNS) -seed=1 -max_len=4096 -rss_limit_mb=2048 >$$fuzzer.log 2>&1 || \
		{ tail -40 $$fuzzer.log; exit 1; }; tail -1 $$fuzzer.log; done

e2e: all workloads go-programs $(BUILD)/e2e/attach_cycles $(BUILD)/truth/truth
	LEAKTRACE_BUILD=$(BUILD) /usr/bin/python3 tests/e2e/run.py

demo:
	@packaging/install-deps.sh build
	@$(MAKE) --no-print-directory -s all $(DEMO_BIN)
	@demo/run.sh $(BUILD)

check:
	@packaging/install-deps.sh check
	@packaging/install-deps.sh kernels
	@$(MAKE) --no-print-directory -s -j$$(nproc) all workloads go-programs $(FUZZ_BIN) \
		$(BUILD)/e2e/attach_cycles $(BUILD)/truth/truth $(BUILD)/leaktrace.8
	@$(MAKE) --no-print-directory -s -j$$(nproc) BUILD=$(BUILD)-san SAN=address,undefined all unit-programs
	@tests/run.sh $(BUILD) $(BUILD)-san

check-kernels:
	@packaging/install-deps.sh kernels
	@$(MAKE) --no-print-directory -s -j$$(nproc) all workloads go-programs $(BUILD)/e2e/attach_cycles
	@tests/kernels/run.sh $(BUILD)

lint:
	@packaging/install-deps.sh lint
	@$(MAKE) --no-print-directory $(SKEL)
	@tests/lint.sh $(BUILD)

BENCH_BIN := $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/*.c))

$(BUILD)/bench/%: bench/%.c $(BUILD)/libleaktrace.a
	@mkdir -p $(@D)
	$(CC) $(LT_CFLAGS) $(CFLAGS) $(LT_LDFLAGS) -o $@ $< $(BUILD)/libleaktrace.a $(LIBS)

# As distributions build programs.
$(BUILD)/bench/pair: private LT_CFLAGS += -fomit-frame-pointer

bench:
	@packaging/install-deps.sh bench
	@$(MAKE) --no-print-directory -s all $(BENCH_BIN)
	@LEAKTRACE_BUILD=$(BUILD) /usr/bin/python3 bench/run.py
	@$(BUILD)/bench/model

# Generated from the option table, so that they cannot disagree with it.
$(BUILD)/leaktrace.8: $(BUILD)/leaktrace
	$< --generate-man >$@

$(BUILD)/leaktrace.bash: $(BUILD)/leaktrace
	$< --generate-completion bash >$@

install: $(BUILD)/leaktrace $(BUILD)/leaktrace.8 $(BUILD)/leaktrace.bash
	install -D -m 755 $(BUILD)/leaktrace $(DESTDIR)$(PREFIX)/sbin/leaktrace
	install -D -m 644 $(BUILD)/leaktrace.8 $(DESTDIR)$(PREFIX)/share/man/man8/leaktrace.8
	install -D -m 644 $(BUILD)/leaktrace.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/leaktrace

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/leaktrace $(DESTDIR)$(PREFIX)/share/man/man8/leaktrace.8 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/leaktrace

clean:
	rm -rf build build-*

-include $(DEPS)
