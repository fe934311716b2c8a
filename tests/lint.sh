#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lint.sh BUILD: format, static analysis, room fences, small rules of the house.
set -u
build=$1
failed=0
complain() {
	echo "lint: $*" >&2
	failed=1
}

mapfile -t sources < <(git ls-files --cached --others --exclude-standard '*.c' '*.h' | grep -v '\.bpf\.')
mapfile -t bpf < <(git ls-files --cached --others --exclude-standard 'bpf/*.c' 'bpf/*.h')
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard '*.sh' .ci/run)
mapfile -t all < <(git ls-files --cached --others --exclude-standard '*.c' '*.h' '*.def' '*.sh' '*.py' Makefile .ci/run)

clang-format --dry-run -Werror "${sources[@]}" "${bpf[@]}" || complain "run clang-format -i"

for file in "${all[@]}"; do
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0-or-later' || complain "$file: no SPDX line"
done

# Fences (docs/ARCHITECTURE.md): who may include what.
fence() { # PATTERN ALLOWED WHAT
	local hits
	hits=$(grep -lE "$1" -r user --include='*.[ch]' | grep -vE "$2")
	[ -z "$hits" ] || complain "$3 outside of its room: $hits"
}
fence '#include <bpf/' '^user/(bpf/|stream/live\.c)' "<bpf/...>"
fence '#include <(elfutils/|dwarf)' '^user/(symbol|elf)/' "libdw"
fence '#include <libiberty' '^user/symbol/' "libiberty"
fence '#include <Zydis' '^user/(probe|go)/' "Zydis"
fence '#include "leaktrace.skel.h"' '^user/bpf/' "the BPF skeleton"

# Arrows run one way: room → rooms it may include from.
while read -r room allowed; do
	hits=$(grep -nE '#include "[a-z_]+/' -r "user/$room" --include='*.[ch]' |
		grep -vE "#include \"($room|leaktrace|${allowed//,/|})/" | grep -vE '#include "stream/event.h"')
	[ -z "$hits" ] || complain "$room may not use:" "$hits"
done <<'ROOMS'
base base
proc base
elf base
probe proc,elf,base
bpf probe,proc,elf,base
stream base
model base
trend base
symbol elf,proc,base
go elf,proc,base
report model,trend,symbol,base
export report,trend,base
cli base,proc,elf,probe,bpf,stream,model,trend,symbol,report,export,go
ROOMS

# Files a newcomer can hold in the head.
for file in $(git ls-files --cached --others --exclude-standard 'user/*.[ch]' 'bpf/*' 'include/*'); do
	lines=$(wc -l <"$file")
	[ "$lines" -le 650 ] || complain "$file has $lines lines: what does it hide?"
done

shellcheck -S warning "${scripts[@]}" || complain "shellcheck"

# (cppcheck does not know __attribute__((cleanup)) and sees leaks everywhere; clang's analyzer does.)
tidy() {
	clang-tidy --quiet "$@" -- -std=gnu11 -D_GNU_SOURCE -DLT_VERSION='""' -Iinclude -Iuser \
		-I"$build/gen" 2>>"$build/tidy.err"
}
export -f tidy
export build
mapfile -t analysed < <(git ls-files --cached --others --exclude-standard 'user/*.c')
printf '%s\n' "${analysed[@]}" | xargs -P "$(nproc)" -n 8 bash -c 'tidy "$@"' tidy || complain "clang-tidy"

[ "$failed" = 0 ] && echo "lint: clean"
exit "$failed"
