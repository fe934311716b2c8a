# SPDX-License-Identifier: GPL-2.0-or-later
# Included by the Makefile.  make check-go: the end-to-end tests of Go on each of GO_VERSIONS, which are
# fetched from Debian's suites; with the programs that wait and move for GO_CHURN_S seconds.
GO ?= go
GO_SOURCES := $(wildcard tests/go/*.go tests/go/*/*.go)

GO_VERSIONS ?= 1.19 1.21 1.22 1.23 1.24 1.25 1.26 newest
GO_CHURN_S ?= 600

.PHONY: go-programs check-go
go-programs: $(BUILD)/go/built
$(BUILD)/go/built: tests/go/build.sh $(GO_SOURCES)
	tests/go/build.sh $(GO) $(BUILD)/go
	touch $@

check-go:
	@packaging/install-deps.sh check
	@$(MAKE) --no-print-directory -s all
	LEAKTRACE_TESTS_AT_ONCE=1 LEAKTRACE_BUILD=$(BUILD) LEAKTRACE_GO_VERSIONS="$(GO_VERSIONS)" LEAKTRACE_GO_CHURN_S=$(GO_CHURN_S) \
		/usr/bin/python3 tests/e2e/run.py test_go
