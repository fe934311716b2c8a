# SPDX-License-Identifier: GPL-2.0-or-later
#
# make            build ./build/leaktrace
# make demo       install what is missing, build, watch leaktrace find a leak
# make check      install what the tests need, build, run every test
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
CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
comma := ,
BUILD ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
ARCH := $(shell uname -m)
BPF_ARCH := $(patsubst x86_64,x86,$(patsubst aarch64,arm64,$(ARCH)))

ROOMS ?= $(notdir $(wildcard user/*))
LIBS := -lbpf -ldw -lelf -lz -lZydis -liberty -lpthread -lm

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wformat=2 -Wvla -Wimplicit-fallthrough -Wno-unused-parameter
CFLAGS ?= -O2 -g
LT_CFLAGS := -std=gnu11 -D_GNU_SOURCE -DLT_VERSION='"$(VERSION)"' $(WARNINGS) -Iinclude -Iuser \
	-I$(BUILD)/gen -fno-omit-frame-pointer -fno-common $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
LT_LDFLAGS := $(if $(SAN),-fsanitize=$(SAN))
BPF_CFLAGS := -g -O2 -mcpu=v2 --target=bpf -D__TARGET_ARCH_$(BPF_ARCH) -std=gnu11 -Wall -Wextra -Werror \
	-Wno-unused-function -Wno-unused-parameter -Iinclude -Ibpf -Ivmlinux/$(ARCH) -idirafter /usr/include/$(ARCH)-linux-gnu

LIB_SRC := $(filter-out user/cli/main.c,$(foreach room,$(ROOMS),$(wildcard user/$(room)/*.c)))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
BPF_SRC := $(wildcard bpf/*.bpf.c)
BPF_OBJ := $(BPF_SRC:%.c=$(BUILD)/%.o)
SKEL := $(BUILD)/gen/leaktrace.skel.h
UNIT_SRC := $(foreach room,$(ROOMS),$(wildcard tests/unit/$(room)/test_*.c))
UNIT_BIN := $(UNIT_SRC:%.c=$(BUILD)/%)
DEPS := $(LIB_OBJ:.o=.d) $(UNIT_BIN:=.d) $(BUILD)/user/cli/main.d

.DELETE_ON_ERROR:
.PHONY: all clean unit

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

unit: $(UNIT_BIN)
	@set -e; for test in $(UNIT_BIN); do echo "== $$test"; $$test; done

clean:
	rm -rf build build-*

-include $(DEPS)
