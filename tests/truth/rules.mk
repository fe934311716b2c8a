# SPDX-License-Identifier: GPL-2.0-or-later
# Stacks against another unwinder's: truth PID COUNT (included by the Makefile).

TRUTH_SRC := $(wildcard tests/truth/*.c)
TRUTH_SRC := $(filter-out %.bpf.c,$(TRUTH_SRC))

$(BUILD)/truth/stops.bpf.o: tests/truth/stops.bpf.c tests/truth/stop.h $(wildcard bpf/*.h include/leaktrace/*)
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -c -o $@ $<

$(BUILD)/truth/stops.skel.h: $(BUILD)/truth/stops.bpf.o
	$(BPFTOOL) gen skeleton $< name stops >$@

$(BUILD)/truth/truth: $(TRUTH_SRC) $(wildcard tests/truth/*.h) $(BUILD)/truth/stops.skel.h $(BUILD)/libleaktrace.a
	$(CC) $(LT_CFLAGS) $(CFLAGS) -I$(BUILD)/truth $(LT_LDFLAGS) -o $@ $(TRUTH_SRC) $(BUILD)/libleaktrace.a $(LIBS)
