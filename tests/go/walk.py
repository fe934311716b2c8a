#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares what tests/go/walk.c reads of a Go program with what the program says of itself.

usage: walk.py WALK PROGRAM...

Each PROGRAM (tests/go/truth.go, built in any way) is started; its goroutine?debug=2 and the walk must
be the same, group by group: how many, state, frames with their lines, who made them.
"""
import collections
import re
import subprocess
import sys
import urllib.request

# Tracebacks leave out the middle of deep stacks; a walk leaves out their beginning.
COMPARED_FRAMES = 40

# The server itself may be on its way back to accept() after the request.
TRIES = 5

# The goroutines that serve the request itself.
OF_THE_REQUEST = re.compile(r"net/http\.\(\*(conn|connReader)\)\.")


def shown(name, first):
    """showfuncinfo(), runtime/traceback.go: tracebacks leave out the runtime's inner functions."""
    if name == "runtime.gopanic" and not first:
        return True
    return "." in name and (not name.startswith("runtime.") or re.match(r"runtime\.[A-Z]", name))


def state_of(text):
    """Without how long, where locked, and the details that a walk does not tell apart."""
    text = text.split(", ")[0]
    return re.sub(r" \((durable|synctest|scan)\)$| \(scan\)", "", text)


def truth_groups(text):
    groups = collections.Counter()
    for block in text.strip().split("\n\n"):
        lines = block.split("\n")
        state = state_of(re.match(r"goroutine \d+ (?:gp=\S+ m=\S+ (?:mp=\S+ )?)?\[(.*)\]:$", lines[0])[1])
        frames, creator = [], None
        for name, place in zip(lines[1:], lines[2:]):
            line = re.match(r"\t(.*:\d+)", place)
            if not line:
                continue  # such as "goroutine running on other thread; stack unavailable"
            if name.startswith("created by "):
                creator = re.sub(r" in goroutine \d+$", "", name[len("created by "):]), line[1]
            else:
                name = name[:name.rindex("(")]
                frames.append(("runtime.gopanic" if name == "panic" else name, line[1]))
        groups[state, tuple(frames[:COMPARED_FRAMES]), creator] += 1
    return groups


def walk_groups(text):
    groups = collections.Counter()
    for block in text.strip().split("\n\n"):
        head, *lines = block.split("\n")
        count, state, flags = re.match(r"(\d+) \[(.*)\](.*)$", head).groups()
        frames, creator = [], None
        for line in lines:
            name, place = line.strip().rsplit(" ", 1)
            if name.startswith("created by "):
                creator = name[len("created by "):], place
                if not shown(creator[0], False):
                    creator = None
            elif shown(name, not frames):
                frames.append((name, place))
        if "runtime" not in flags.split():
            cut = "cut" in flags.split() and frames and len(frames) < COMPARED_FRAMES
            groups[state_of(state) + (" cut" if cut else ""), tuple(frames[:COMPARED_FRAMES]),
                   creator] += int(count)
    return groups


def of_the_request(group):
    return any(OF_THE_REQUEST.search(name) for name, _ in group[1])


def look(walk, pid, port):
    """What the program says and what is read, one right after the other; None: it cannot be read."""
    url = f"http://127.0.0.1:{port}/debug/pprof/goroutine?debug=2"
    truth = truth_groups(urllib.request.urlopen(url, timeout=60).read().decode())
    result = subprocess.run([walk, pid], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            timeout=60)
    print(" ", result.stderr.strip().replace("\n", "; "))
    if result.returncode:
        return None
    read = walk_groups(result.stdout)
    for group in list(truth) + list(read):
        if of_the_request(group):
            truth.pop(group, None)
            read.pop(group, None)
    return truth, read


def compare(walk, program):
    print(program)
    process = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
    try:
        _, pid, port = process.stdout.readline().split()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/freeze", timeout=60).read()
        for _ in range(TRIES):
            found = look(walk, pid, port)
            if not found or found[0] == found[1]:
                break
    finally:
        process.kill()
        process.wait()
    if not found:
        return False
    truth, read = found
    for group in sorted(set(truth) | set(read), key=str):
        if truth[group] != read[group]:
            state, frames, creator = group
            print(f"  program says {truth[group]}, walk {read[group]}: [{state}]", *frames[:12],
                  f"created by {creator}", sep="\n    ")
    print(f"  {len(truth)} groups, {sum(truth.values())} goroutines:",
          "same" if truth == read else "DIFFERENT")
    return truth == read


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    results = [compare(sys.argv[1], program) for program in sys.argv[2:]]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
