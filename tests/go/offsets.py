#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints what user/go/layout.c holds of a Go version, from the DWARF of a program built with it.

usage: offsets.py [--all] PROGRAM...

A program that was not stripped is enough, of any size.  A new version's row of the table is what this
prints; the numbers of its wait reasons are constants, which are not in DWARF: see waitReason in
runtime/runtime2.go of that version.
"""
import re
import subprocess
import sys

# Field of the row: structure, and the way to the member
FIELDS = {
    "g_stack_lo": ("runtime.g", "stack.lo"),
    "g_stack_hi": ("runtime.g", "stack.hi"),
    "g_m": ("runtime.g", "m"),
    "g_sched_sp": ("runtime.g", "sched.sp"),
    "g_sched_pc": ("runtime.g", "sched.pc"),
    "g_sched_g": ("runtime.g", "sched.g"),
    "g_sched_bp": ("runtime.g", "sched.bp"),
    "g_syscallsp": ("runtime.g", "syscallsp"),
    "g_syscallpc": ("runtime.g", "syscallpc"),
    "g_status": ("runtime.g", "atomicstatus"),
    "g_goid": ("runtime.g", "goid"),
    "g_waitsince": ("runtime.g", "waitsince"),
    "g_waitreason": ("runtime.g", "waitreason"),
    "g_tracking_seq": ("runtime.g", "trackingSeq"),
    "g_parent_goid": ("runtime.g", "parentGoid"),
    "g_gopc": ("runtime.g", "gopc"),
    "g_startpc": ("runtime.g", "startpc"),
    "g_labels": ("runtime.g", "labels"),
    "m_procid": ("runtime.m", "procid"),
    "m_curg": ("runtime.m", "curg"),
}

DIE = re.compile(r"^ <(\d+)><([0-9a-f]+)>: Abbrev Number: \d+(?: \((\w+)\))?")
ATTRIBUTE = re.compile(r"^\s+<[0-9a-f]+>\s+DW_AT_(\w+)\s*: (.*)")


def structures(program):
    """Name → {member: (offset, type's DIE)}, and DIE → name, of all structures of the runtime."""
    dump = subprocess.Popen(["readelf", "--debug-dump=info", program], text=True, errors="replace",
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found, names, current, die = {}, {}, None, {}
    for line in dump.stdout:
        head = DIE.match(line)
        if head:
            die = {"depth": int(head[1]), "at": head[2], "tag": head[3]}
            if die["depth"] == 1:
                current = None
            continue
        attribute = ATTRIBUTE.match(line)
        if not attribute or not die:
            continue
        key, value = attribute[1], attribute[2].split("): ")[-1].strip()
        if key == "name" and die["tag"] == "DW_TAG_structure_type" and value.startswith("runtime."):
            current = found.setdefault(value, {})
            names[die["at"]] = value
        elif key == "name" and die["tag"] == "DW_TAG_typedef":
            names[die["at"]] = value
        elif current is not None and die["depth"] == 2:
            if key == "name":
                die["name"] = value
            elif key == "data_member_location" and "name" in die:
                die["offset"] = int(re.match(r"\d+", value)[0])
            elif key == "type" and "offset" in die:
                current[die["name"]] = (die["offset"], value.strip("<>").removeprefix("0x"))
    dump.wait()
    return found, names


def offset_of(found, names, structure, path):
    total = 0
    for member in path.split("."):
        if member not in found.get(structure, {}):
            return None
        offset, kind = found[structure][member]
        total += offset
        structure = names.get(kind)
    return total


def version(program):
    with open(program, "rb") as file:
        text = re.search(rb"go1\.\d+(\.\d+)?", file.read())
    return text[0].decode() if text else "?"


def main():
    programs = [argument for argument in sys.argv[1:] if argument != "--all"]
    if not programs:
        sys.exit(__doc__)
    for program in programs:
        found, names = structures(program)
        if "runtime.g" not in found:
            sys.exit(f"{program}: no DWARF of a Go program")
        print(f"/* {version(program)} */")
        for field, (structure, path) in FIELDS.items():
            offset = offset_of(found, names, structure, path)
            print(f"\t.{field} = {'LT_GO_NONE' if offset is None else offset},")
        if "--all" in sys.argv:
            for structure in ("runtime.g", "runtime.m"):
                for member, (offset, _) in found[structure].items():
                    print(f"\t/* {structure}.{member} {offset} */")


if __name__ == "__main__":
    main()
