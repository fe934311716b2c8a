#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What leaktrace costs, from one run: run.py [ROUNDS [PART...]].  Needs root.  See bench/README.

Measurements of the same thing are interleaved over the rounds and the median is shown, so that a
machine that gets slower or faster meanwhile does not favour one of them.
"""

import itertools
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "e2e"))
import golang  # noqa: E402  pylint: disable=wrong-import-position
import harness  # noqa: E402  pylint: disable=wrong-import-position
from servers import Nginx, wait_port  # noqa: E402  pylint: disable=wrong-import-position

ROUNDS = 3
RUNS = 3  # of each round: to attach takes longer than to run
DEPTHS = (8, 16, 32)
PATHS = (1, 1000)
THREADS = (1, 2)
# Malloc and free alone are that much faster than with probes.
PAIRS = {"untraced": 1_500_000, "floor": 100_000, "one frame": 100_000, "leaktrace": 100_000}
WARM_UP_PAIRS = 2_000
# Reports come at the end only, with all sites in them: their writing is not measured.
LEAKTRACE_OPTIONS = {"one frame": ["--top", 1000, "--max-frames", 1], "leaktrace": ["--top", 1000],
                     "descriptors": ["--top", 1000, "--kinds", "socket,fd,thread"],
                     "go": ["--kinds", "goroutine,go-heap"],
                     "go-probes": ["--go-probes", "--kinds", "goroutine,go-heap,http-body,ticker"]}
INTERVAL_S = 60
SERVER_MODES = ("untraced", "floor", "leaktrace")
REDIS_REQUESTS = {"untraced": 600_000, "floor": 150_000, "leaktrace": 150_000}
WRK_SECONDS = 2
# How nginx is asked for descriptors' sake: wrk's options.
WAYS = {"over 16 connections": [], "a connection each": ["-H", "Connection: close"]}
WAYS_ROUNDS = 4  # as many times the rounds of the others: the difference is small
GO_BURST_S = 1  # wrk knows whole seconds
GO_ROUNDS = 10  # as many times the rounds of the others: bursts are short
GO_GOALS = {"go": 0.99, "go-probes": 0.85}  # of the untraced requests/s
# The second time untraced shows what the machine alone makes of a ratio.
GO_MODES = {"untraced": "untraced", "again": "untraced a second time", "go": "by default",
            "go-floor": "an empty probe where goroutines are made", "go-probes": "with --go-probes"}
# What the server is asked for; it makes a goroutine for each request.
GO_WAYS = {"a line of text": "", "JSON of 20 records": "orders?of=7"}
GO_MANY, GOAL_WALK_MS = 100_000, 250
GOAL_FRAME_NS = 25
GOAL_RATIO, GOAL_RATIO_DEPTH = 1.4, 16
GOAL_CPU_PERCENT = 15
GOAL_REQUESTS = 0.95
GOAL_TABLE_MS, GOAL_ROW_BYTES = 500, 8
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def peak_rss_mib(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


class Collector:
    """What leaktrace itself used while a measurement ran, and what it lost, over all rounds."""

    def __init__(self):
        self.cpu_percent, self.rss_mib, self.events_per_s, self.loss = [], [], [], {}

    @contextmanager
    def watching(self, leaktrace):
        cpu, began = cpu_seconds(leaktrace.pid), time.monotonic()
        yield
        seconds = time.monotonic() - began
        self.cpu_percent.append(100 * (cpu_seconds(leaktrace.pid) - cpu) / seconds)
        self.rss_mib.append(peak_rss_mib(leaktrace.pid))
        final = leaktrace.stop()
        totals = final["totals"]
        self.events_per_s.append((totals["acquired_count"] + totals["released_count"]) / seconds)
        for name, count in final["loss"].items():
            if count:
                self.loss[name] = self.loss.get(name, 0) + count
        self.final = final

    def use(self):
        """Percent of a core, MiB, events per second, loss."""
        return (statistics.median(self.cpu_percent), max(self.rss_mib),
                statistics.median(self.events_per_s),
                ", ".join(f"{n} {c}" for n, c in sorted(self.loss.items())) or "none")


def go_create(pid):
    """Where the probe of new goroutines is: the one that a server meets at each request."""
    text = output_of(harness.LEAKTRACE, "--explain", "--go-probes", "-p", pid)
    offset, padded = re.search(r"go_create +at file offset (\w+)(.*NOP)?", text).groups()
    return (offset, "nop") if padded else (offset,)


# What an empty program is attached to: arguments of floor.
FLOORS = {"floor": lambda _pid: (), "go-floor": go_create}


@contextmanager
def attached(mode, pid, directory, collector):
    """The target under one of the modes, and its leaktrace or None; what is measured inside counts."""
    if mode in ("untraced", "again"):
        yield None
    elif mode in FLOORS:
        floor = harness.Process([harness.BUILD / "bench" / "floor", pid, *FLOORS[mode](pid)])
        try:
            floor.line()
            yield None
        finally:
            floor.popen.stdin.close()
            floor.wait()
            floor.close()
    else:
        leaktrace = harness.Leaktrace(pid, directory, *LEAKTRACE_OPTIONS[mode], interval=INTERVAL_S)
        try:
            with collector.watching(leaktrace):
                yield leaktrace
        finally:
            leaktrace.close()
            leaktrace.json_path.unlink()


def interleaved(modes, rounds, pid, directory, measure):
    """Median per mode of what measure returns, a list, and the collector of leaktrace in all."""
    results = {mode: [] for mode in modes}
    collectors = {mode: Collector() for mode in modes}
    for _ in range(rounds):
        for mode in modes:
            with attached(mode, pid, directory, collectors[mode]):
                results[mode] += measure(mode)
    return ({mode: statistics.median(values) for mode, values in results.items()},
            collectors["leaktrace"])


def mean_frames(report):
    """Frames of a stack, over all acquires; an inlined function has none."""
    counts = [(site["acquired_count"], sum(not frame["inlined"] for frame in site["frames"]))
              for site in report["sites"]]
    return sum(acquired * frames for acquired, frames in counts) / sum(a for a, _ in counts)


class Cost:
    """What a pair costs with so many threads and paths, at one depth."""

    def __init__(self, threads, paths, depth):
        self.threads, self.paths, self.depth = threads, paths, depth
        self.ns, self.collector, self.frames = {}, None, 0

    def measure(self, rounds, directory):
        pair = harness.Process([harness.BUILD / "bench" / "pair", self.depth, self.threads,
                                self.paths])
        try:
            pair.line()

            def pair_ns(pairs):
                pair.say(f"run {pairs}")
                return float(pair.line(300).removeprefix("pair_ns="))

            def measure(mode):
                pair_ns(WARM_UP_PAIRS)
                return [pair_ns(PAIRS[mode]) for _ in range(RUNS)]
            self.ns, self.collector = interleaved(PAIRS, rounds, pair.pid, directory, measure)
        finally:
            pair.close()
        self.frames = mean_frames(self.collector.final)
        return self

    @property
    def stack_ns(self):
        return self.ns["leaktrace"] - self.ns["one frame"]

    @property
    def frame_ns(self):
        return self.stack_ns / self.frames

    @property
    def ratio(self):
        return self.ns["leaktrace"] / self.ns["floor"]

    def further_frame_ns(self, shallow):
        """What each frame costs that this stack has more than a shallower one."""
        return (self.stack_ns - shallow.stack_ns) / (self.frames - shallow.frames)

    def row(self, shallowest):
        """A line below PAIR_TITLES; shallowest: if this is the deepest, what to compare it with."""
        further = f"{self.further_frame_ns(shallowest):.1f}" if shallowest else ""
        cpu_percent, rss_mib, events_per_s, loss = self.collector.use()
        return (f"{self.threads:7} {self.paths:5} {self.depth:5} {self.frames:6.1f} "
                f"{self.ns['untraced']:8.0f} {self.ns['floor']:5.0f} {self.ns['one frame']:5.0f} "
                f"{self.ns['leaktrace']:5.0f} {self.ratio:7.2f} {self.stack_ns:5.0f} "
                f"{self.frame_ns:5.1f} {further:>7} {cpu_percent:3.0f} {rss_mib:3.0f} "
                f"{events_per_s / 1000:5.0f} {loss}")


PAIR_TITLES = """\
A pair of malloc and free, in ns: untraced; with three empty probes (the floor); with leaktrace that
unwinds nothing (none); with leaktrace in all.  Of that for the stack, for each of its frames, and
for each frame that the deepest stack has more than the shallowest (further).  What leaktrace itself
took: CPU in % of a core, MiB, events a ms; loss.

threads paths depth frames untraced floor  none   all x floor stack frame further CPU MiB ev/ms loss
"""


def print_goal(what, goal, costs, value):
    worst = max(costs, key=value)
    print(f"goal: {what} at most {goal}: {'met' if value(worst) <= goal else 'missed'}, at worst "
          f"{value(worst):.2f} (threads {worst.threads}, paths {worst.paths}, depth {worst.depth})")


def bench_pairs(rounds, directory):
    print(PAIR_TITLES, end="", flush=True)
    costs = []
    for threads, paths in itertools.product(THREADS, PATHS):
        group = []
        for depth in DEPTHS:
            group.append(Cost(threads, paths, depth).measure(rounds, directory))
            print(group[-1].row(group[0] if depth == DEPTHS[-1] else None), flush=True)
        costs += group
    print()
    print_goal("ns a frame", GOAL_FRAME_NS, costs, lambda cost: cost.frame_ns)
    print_goal(f"x floor at depth {GOAL_RATIO_DEPTH}", GOAL_RATIO,
               [cost for cost in costs if cost.depth == GOAL_RATIO_DEPTH], lambda cost: cost.ratio)
    print(flush=True)


def bench_server(name, unit, server, rounds, directory, measure):
    try:
        rates, collector = interleaved(SERVER_MODES, rounds, server.pid, directory, measure)
    except AssertionError as error:
        print(f"{name}: {error}\n", flush=True)
        return
    finally:
        server.close()
    traced = rates["leaktrace"]
    cpu_percent, rss_mib, events_per_s, loss = collector.use()
    print(f"{name}, {unit}:")
    print(f"  untraced      {rates['untraced']:10,.0f}")
    print(f"  empty probes  {rates['floor']:10,.0f}   the floor")
    print(f"  leaktrace     {traced:10,.0f}   {traced / rates['floor']:.2f} x the floor, "
          f"{traced / rates['untraced']:.2f} x untraced; frames: "
          f"{mean_frames(collector.final):.1f}")
    print(f"  its own use   {cpu_percent:.0f} % of a core (goal {GOAL_CPU_PERCENT}), "
          f"{rss_mib:.0f} MiB, {events_per_s:,.0f} events/s, loss: {loss}\n", flush=True)


def output_of(*argv):
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=True,
                          stdin=subprocess.DEVNULL, timeout=300).stdout


def bench_redis(rounds, directory):
    port = harness.free_port()
    server = harness.Process(["/usr/bin/redis-server", "--port", port, "--bind", "127.0.0.1",
                              "--save", "", "--appendonly", "no", "--dir", directory])

    def measure(mode):
        text = output_of("redis-benchmark", "-p", port, "-t", "set", "-c", 20, "-P", 64, "-r",
                         10000, "-n", REDIS_REQUESTS[mode], "--csv")
        return [float(re.search(r'^"SET","([\d.]+)"', text, re.M)[1])]
    wait_port(port)
    bench_server("redis-server, pipelined SET", "SET/s", server, rounds, directory, measure)


def wrk(port, *options, path="", seconds=WRK_SECONDS):
    """Requests a second."""
    text = output_of("wrk", "-t", 1, "-c", 16, "-d", seconds, *options,
                     f"http://127.0.0.1:{port}/{path}")
    if "Non-2xx" in text or "Socket errors" in text:
        raise AssertionError(text)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])


def start_nginx(directory):
    return Nginx(directory, "keepalive_requests 1000000; location / { return 200 'hello\\n'; }")


def bench_nginx(rounds, directory):
    server = start_nginx(directory)
    bench_server("nginx", "requests/s", server, rounds, directory,
                 lambda _mode: [wrk(server.port)])


def ratios(of, which, mode="descriptors"):
    """Traced to untraced: median, and least and most of the rounds."""
    each = [traced[which] / untraced[which]
            for untraced, traced in zip(of["untraced"], of[mode])]
    median = statistics.median(each)
    return median, f"{median:.3f} ({min(each):.3f} .. {max(each):.3f})"


def bench_descriptors(rounds, directory):
    """Each round has both modes, one just behind the other, in turns: their ratio is looked at."""
    modes = ("untraced", "descriptors")
    measured = {way: {mode: [] for mode in modes} for way in WAYS}  # (requests/s, CPU us a request)
    collector = Collector()
    server = start_nginx(directory)
    try:
        for number in range(rounds * WAYS_ROUNDS):
            for mode in modes[::-1] if number % 2 else modes:
                with attached(mode, server.pid, directory, collector):
                    for way, options in WAYS.items():
                        before = cpu_seconds(server.pid)
                        rate = wrk(server.port, *options)
                        used = cpu_seconds(server.pid) - before
                        measured[way][mode].append((rate, 1e6 * used / rate / WRK_SECONDS))
    except AssertionError as error:
        print(f"nginx: {error}\n", flush=True)
        return
    finally:
        server.close()
    print("nginx with sockets, descriptors and threads traced; ratios of the rounds: median "
          "(least .. most):")
    for way, of in measured.items():
        rate, cpu_us = (statistics.median(m[i] for m in of["untraced"]) for i in range(2))
        ratio, text = ratios(of, 0)
        print(f"  {way}: {rate:,.0f} requests/s untraced; traced {text} times as many, goal >= "
              f"{GOAL_REQUESTS}: {'met' if ratio >= GOAL_REQUESTS else 'missed'}; CPU of nginx for "
              f"a request: {cpu_us:.1f} us untraced; traced {ratios(of, 1)[1]} times as much")
    cpu_percent, rss_mib, events_per_s, loss = collector.use()
    print(f"  its own use: {cpu_percent:.0f} % of a core, {rss_mib:.0f} MiB, {events_per_s:,.0f} "
          f"events/s, loss: {loss}\n", flush=True)


def measure_go(rounds, program, directory):
    """
    Of each way and mode (requests/s, CPU us a request, percent of a core of leaktrace) of each
    round; and what leaktrace used.  Each mode has a server of its own all the time, so that one
    burst follows another at once: a noisy machine changes within seconds.
    """
    modes = list(GO_MODES)
    measured = {way: {mode: [] for mode in modes} for way in GO_WAYS}
    collectors = {mode: Collector() for mode in modes}
    servers = {}
    with ExitStack() as stack:
        for mode in modes:
            server = harness.Process([program])
            stack.callback(server.close)
            port = int(server.line())
            wrk(port, seconds=GO_BURST_S)  # it has its threads and its heap
            leaktrace = stack.enter_context(
                attached(mode, server.pid, directory, collectors[mode]))
            servers[mode] = (server.pid, port, leaktrace.pid if leaktrace else None)
        for number, way in itertools.product(range(rounds * GO_ROUNDS), GO_WAYS):
            first = number % len(modes)  # so that each is as near to the others as any
            order = modes[first:] + modes[:first]
            for mode in order if number % 2 else reversed(order):
                pid, port, own = servers[mode]
                before = cpu_seconds(pid), cpu_seconds(own) if own else 0
                rate = wrk(port, path=GO_WAYS[way], seconds=GO_BURST_S)
                used = cpu_seconds(pid) - before[0], cpu_seconds(own) - before[1] if own else 0
                measured[way][mode].append((rate, 1e6 * used[0] / rate / GO_BURST_S,
                                            100 * used[1] / GO_BURST_S))
    return measured, collectors


def bench_go_server(rounds, version, directory):
    program = Path(directory) / f"server-{version}"
    go = golang.toolchain(version)
    subprocess.run([go, "build", "-o", program, Path(__file__).parent / "go" / "server.go"],
                   check=True, env={**os.environ, "GOCACHE": f"{directory}/go-cache-{version}",
                                    "GO111MODULE": "off", "GOTOOLCHAIN": "local"})
    measured, collectors = measure_go(rounds, program, directory)
    print(f"net/http of Go {version}; ratios of the rounds: median (least .. most):")
    for way, of in measured.items():
        rate, cpu_us = (statistics.median(m[i] for m in of["untraced"]) for i in range(2))
        print(f"  {way}: {rate:,.0f} requests/s untraced, {cpu_us:.1f} us of CPU each")
        # In the mean of the two untraced ones there is less of the machine's noise.
        means = [tuple(map(statistics.mean, zip(*both)))
                 for both in zip(of["untraced"], of["again"])]
        for mode, what in GO_MODES.items():
            if mode == "untraced":
                continue
            pair = of if mode == "again" else {"untraced": means, mode: of[mode]}
            ratio, text = ratios(pair, 0, mode)
            goal = GO_GOALS.get(mode)
            judged = f", goal >= {goal}: {'met' if ratio >= goal else 'missed'}" if goal else ""
            print(f"    {what}: {text} times as many{judged}; "
                  f"CPU of a request {ratios(pair, 1, mode)[1]}")
    for mode in GO_GOALS:
        cpu_percent = [statistics.mean(m[2] for m in of[mode]) for of in measured.values()]
        _, rss_mib, _, loss = collectors[mode].use()
        print(f"  its own use {GO_MODES[mode]}: {max(cpu_percent):.1f} % of a core, {rss_mib:.0f} MiB, "
              f"loss: {loss}")
    print(flush=True)
    return program


def bench_go(rounds, directory):
    """A net/http server of each version of Go; and how long a walk of many goroutines takes."""
    for version in golang.versions():
        program = bench_go_server(rounds, version, directory)
    server = harness.Process([program, "many", GO_MANY])
    server.line()
    leaktrace = harness.Leaktrace(server.pid, directory, "--kinds", "goroutine", interval=1)
    try:
        time.sleep(5)
        walks = [r["runtime"]["walk_s"] * 1000 for r in (leaktrace.stop(), *leaktrace.reports())]
    finally:
        leaktrace.close()
        server.close()
    print(f"A walk of {GO_MANY:,} goroutines: median {statistics.median(walks):.0f} ms "
          f"({min(walks):.0f} .. {max(walks):.0f}), goal {GOAL_WALK_MS}: "
          f"{'met' if statistics.median(walks) <= GOAL_WALK_MS else 'missed'}\n", flush=True)


def bench_tables():
    """Of the programs here, of Node, which has the largest table known, and of their libraries."""
    programs = [path for path in map(shutil.which, ("nginx", "redis-server", "node")) if path]
    linked = "".join(output_of("ldd", program) for program in programs)
    libraries = sorted(set(re.findall(r"=> (/\S*/lib(?:c|crypto|node)\.so\S*)", linked)))
    print(f"Unwind tables (goals: {GOAL_TABLE_MS} ms for node, {GOAL_ROW_BYTES} bytes a row):")
    print(output_of(harness.BUILD / "bench" / "cfi", *libraries, *programs), flush=True)


PARTS = {"pairs": bench_pairs, "nginx": bench_nginx, "descriptors": bench_descriptors,
         "redis": bench_redis, "go": bench_go}


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    parts = sys.argv[2:] or [*PARTS, "tables"]
    print(f"{os.uname().release}, {os.cpu_count()} CPUs, median of {rounds} interleaved rounds\n")
    with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as directory:
        for part, run in PARTS.items():
            if part in parts:
                run(rounds, directory)
    if "tables" in parts:
        bench_tables()


if __name__ == "__main__":
    main()
