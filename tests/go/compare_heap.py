#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""compare_heap.py HEAP PROGRAM: what HEAP (tests/go/heap.c) reads of PROGRAM (tests/go/truth.go), stack by stack and
figure by figure, against what the program says itself.  Exits with 1 if anything differs."""

import json
import re
import subprocess
import sys
import time
import urllib.request

SAME = "NextGC", "NumGC", "PauseTotalNs", "HeapReleased"
# ReadMemStats() gives back cached stacks before it counts, and telling what it found takes memory.
PAGES = "HeapInuse", "HeapIdle", "StackInuse"
PAGES_TOLERANCE = 1 << 20
TRIES = 20  # until nothing moved between our two looks, before and after the program's


def buckets(text):
    """{stack: [objects, bytes in use, objects, bytes allocated]}, sizes of one stack together."""
    found = {}
    for *numbers, stack in re.findall(r"^(\d+): (\d+) \[(\d+): (\d+)\] @((?: 0x[0-9a-f]+)*)", text, re.M):
        old = found.get(stack, [0] * 4)
        found[stack] = [a + int(b) for a, b in zip(old, numbers)]
    return {stack: numbers for stack, numbers in found.items() if any(numbers)}


def figures(text):
    return {name: int(value) for name, value in re.findall(r"^figure (\S+) (\d+)$", text, re.M)}


def settled(look, ask):
    """What we saw and what the program said, of a moment when nothing moved."""
    for _ in range(TRIES):
        before, said, after = look(), ask(), look()
        if before == after:
            break
        time.sleep(.2)
    return after, said


def compare_figures(ours, theirs):
    theirs = {**theirs, **theirs.get("MemStats", {})}
    wrong = [name for name in SAME if ours.get(name) != theirs[name]]
    wrong += [name for name in PAGES if abs(ours.get(name, -1 << 60) - theirs[name]) > PAGES_TOLERANCE]
    if sum(ours.get(name, 0) for name in PAGES) != sum(theirs[name] for name in PAGES):
        wrong.append("sum of " + ", ".join(PAGES))
    last = theirs["PauseNs"]
    if isinstance(last, list):
        last = last[(theirs["NumGC"] + 255) % 256]
    if ours.get("PauseNs") != last:
        wrong.append("PauseNs")
    started = time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    if abs(ours.get("lastGC", 0) + started - theirs["LastGC"]) > 1e9:
        wrong.append("LastGC")
    return wrong


def compare(heap, process):
    port = process.stdout.readline().split()[2]

    def get(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return answer.read().decode()

    def look():
        return subprocess.run([heap, str(process.pid)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=True, timeout=60).stdout

    get("/freeze")
    ours, theirs = settled(lambda: buckets(look()), lambda: buckets(get("/debug/pprof/heap?debug=1")))
    wrong = [f"stack {stack}: {ours.get(stack)} {theirs.get(stack)}"
             for stack in ours.keys() | theirs.keys() if ours.get(stack) != theirs.get(stack)]
    wrong += compare_figures(*settled(lambda: figures(look()), lambda: json.loads(get("/figures"))))
    return len(theirs), sum(numbers[1] for numbers in theirs.values()), wrong


def main():
    heap, program = sys.argv[1:]
    with subprocess.Popen([program], stdout=subprocess.PIPE, text=True) as process:
        try:
            stacks, size, wrong = compare(heap, process)
        finally:
            process.kill()
    print(f"{program}: {stacks} stacks, {size} bytes,", "; ".join(wrong) or "all equal")
    return bool(wrong or not stacks)


if __name__ == "__main__":
    sys.exit(main())
