# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests/go/truth.go says of itself by Go's own profiler, and the same of leaktrace's report."""

import collections
import itertools
import json
import math
import re
import urllib.request

import golang
from harness import wait_until

COMPARED_HEAP_FRAMES = 100  # leaktrace keeps 127, some of which are the runtime's
COMPARED_FRAMES = 40  # Go leaves out the middle of deep stacks, leaktrace their outermost frames
OF_THE_REQUEST = re.compile(r"net/http\.\(\*(conn|connReader)\)\.")

# frames are (function, "file:line"), innermost first, without the runtime's own; creator is one, or None.
Group = collections.namedtuple("Group", "state frames creator")
# bytes are estimated from samples, each with its own size, as pprof does; sizes: of how many sizes
Site = collections.namedtuple("Site", "count bytes sizes")


def frame(function, place):
    """Names of functions with type parameters are not the same in all of Go's tables."""
    return re.sub(r"\[.*\]", "[...]", function), place


def of_runtime(function):
    """What Go's tracebacks leave out, or name otherwise: also what has no package (cgo's)."""
    return function.startswith(("runtime.", "internal/runtime/")) or "." not in function


def own(frames):
    return tuple(f for f in frames if not of_runtime(f[0]))[:COMPARED_FRAMES]


class Truth:
    """A running tests/go/truth.go."""

    def __init__(self, program):
        self.process = golang.start(program)
        self.pid = self.process.pid
        self.port = int(self.process.said[0])

    def close(self):
        self.process.close()

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return answer.read().decode()

    def figures(self):
        return json.loads(self.get("/figures"))

    def goroutines(self):
        """{Group: how many}, without those that serve the request, when all of them wait."""
        def at_rest():
            dump = self.get("/debug/pprof/goroutine?debug=2").strip().split("\n\n")
            groups = count_groups(map(read_goroutine, dump))
            return groups if all(group.state != "runnable" for group in groups) else None
        return wait_until(at_rest, "goroutines at rest")

    def heap(self):
        """{frames: Site} of what is in use."""
        return read_heap(self.get("/debug/pprof/heap?debug=1"))


def count_groups(groups):
    return collections.Counter(group for group in groups if not of_request(group))


def of_request(group):
    return any(OF_THE_REQUEST.match(function)
               for function, _ in (*group.frames, *([group.creator] if group.creator else [])))


def read_goroutine(text):
    lines = text.split("\n")
    frames, creator, cut = [], None, False
    for what, where in zip(lines[1:], [*lines[2:], ""]):
        cut = cut or what.startswith("...")
        if not where.startswith("\t"):
            continue
        place = where.split()[0]
        if what.startswith("created by "):
            creator = frame(what[len("created by "):].split(" in goroutine ")[0], place)
        elif not cut:
            frames.append(frame(what[:what.rindex("(")], place))
    state = re.match(r"goroutine .*\[([^\],]*)", lines[0])[1]
    return Group(state, own(frames), creator)


def read_heap(text):
    rate = int(re.match(r"heap profile: .* @ heap/(\d+)", text)[1]) // 2
    sites = {}
    for count, size, stack in re.findall(r"^(\d+): (\d+) \[.*\] @.*\n((?:#.*\n)*)", text, re.M):
        count, size = int(count), int(size)
        if count:
            scale = 1 / -math.expm1(-size / count / rate)
            frames = itertools.starmap(frame, re.findall(r"^#\t\S+\t(.*)\+0x[0-9a-f]+\s+(\S+)$", stack, re.M))
            add(sites, frames, Site(count * scale, size * scale, 1))
    return {frames: Site(round(s.count), round(s.bytes), s.sizes) for frames, s in sites.items()}


def add(sites, frames, more):
    key = tuple(f for f in frames if not of_runtime(f[0]))[:COMPARED_HEAP_FRAMES]
    sites[key] = Site(*map(sum, zip(sites.get(key, (0, 0, 0)), more)))


# The same of a report.

def plain(frames):
    """Without wrappers, which the compiler made: they have a name, but no file."""
    return [frame(f["func"] or "", f"{f['file']}:{f['line']}") for f in frames
            if "mark" not in f and (f["file"] or not f["func"])]


def group_of(site):
    """Of a goroutine site."""
    frames = site["frames"]
    made = next((i for i, f in enumerate(frames) if f.get("mark") == "created by"), len(frames))
    creator = plain(frames[made:])[:1]
    return Group(frames[0]["mark"], own(plain(frames[:made])), creator[0] if creator else None)


def goroutines_of(report):
    return count_groups(group_of(site) for site in report["sites"] if site["kind"] == "goroutine"
                        for _ in range(site["live_count"]))


def heap_of(report):
    sites = {}
    for site in report["sites"]:
        if site["kind"] == "go-heap" and site["live_count"]:
            add(sites, plain(site["frames"]), Site(site["live_count"], site["live_bytes"], 1))
    return sites
