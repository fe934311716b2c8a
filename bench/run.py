#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What leaktrace costs, from one run: run.py [ROUNDS].  Needs root.  See bench/README.

Measurements of the same thing are interleaved over the rounds and the median is shown, so that a
machine that gets slower or faster meanwhile does not favour one of them.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "e2e"))
import harness  # noqa: E402  pylint: disable=wrong-import-position

ROUNDS = 5
DEPTH = 10
# About a second each; malloc and free alone are that much faster than with probes.
PAIRS = {"untraced": 20_000_000, "floor": 500_000, "leaktrace": 500_000}
REDIS_REQUESTS = {"untraced": 1_000_000, "leaktrace": 200_000}
WRK_SECONDS = 3
GOAL_RATIO = 1.4
GOAL_CPU_PERCENT = 15
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

    def __str__(self):
        loss = ", ".join(f"{n} {c}" for n, c in sorted(self.loss.items())) or "none"
        return (f"collector {statistics.median(self.cpu_percent):.0f} % of a core "
                f"(goal {GOAL_CPU_PERCENT}), {max(self.rss_mib):.0f} MiB, "
                f"{statistics.median(self.events_per_s):,.0f} events/s, loss: {loss}")


@contextmanager
def attached(mode, pid, directory, collector):
    """The target under one of the modes; what is measured inside is what counts."""
    if mode == "untraced":
        yield
    elif mode == "floor":
        floor = harness.Process([harness.BUILD / "bench" / "floor", pid])
        try:
            if floor.line() != "attached":
                raise SystemExit(f"floor: {floor.stdout} {floor.stderr}")
            yield
        finally:
            floor.popen.stdin.close()
            floor.wait()
            floor.close()
    else:
        leaktrace = harness.Leaktrace(pid, directory)
        try:
            with collector.watching(leaktrace):
                yield
        finally:
            leaktrace.close()


def interleaved(modes, rounds, pid, directory, measure):
    """Median per mode, and the collector's own use."""
    results, collector = {mode: [] for mode in modes}, Collector()
    for _ in range(rounds):
        for mode in modes:
            with attached(mode, pid, directory, collector):
                results[mode].append(measure(mode))
    return {mode: statistics.median(values) for mode, values in results.items()}, collector


def bench_pairs(threads, rounds, directory):
    pair = harness.Process([harness.BUILD / "bench" / "pair", DEPTH, threads])
    try:
        pair.line()

        def measure(mode):
            pair.say(f"run {PAIRS[mode]}")
            return float(pair.line(300).removeprefix("pair_ns="))
        ns, collector = interleaved(PAIRS, rounds, pair.pid, directory, measure)
    finally:
        pair.close()
    ratio = ns["leaktrace"] / ns["floor"]
    print(f"malloc/free pair, depth {DEPTH}, {threads} thread{'s' * (threads > 1)}:")
    print(f"  untraced               {ns['untraced']:10.0f} ns")
    print(f"  three empty probes     {ns['floor']:10.0f} ns   the floor")
    print(f"  leaktrace              {ns['leaktrace']:10.0f} ns   "
          f"{ratio:.2f} x the floor (goal {GOAL_RATIO})")
    print(f"  {collector}\n", flush=True)


def bench_server(name, unit, server, rounds, directory, measure):
    try:
        rates, collector = interleaved(("untraced", "leaktrace"), rounds, server.pid, directory,
                                       measure)
    except AssertionError as error:
        print(f"{name}: {error}\n", flush=True)
        return
    finally:
        server.close()
    share = rates["leaktrace"] / rates["untraced"]
    print(f"{name}:")
    print(f"  untraced               {rates['untraced']:10,.0f} {unit}")
    print(f"  leaktrace              {rates['leaktrace']:10,.0f} {unit}   {share:.2f} x untraced")
    if max(collector.events_per_s) < 100:
        print("  no allocator found: it uses one that this version does not trace")
    print(f"  {collector}\n", flush=True)


def output_of(*argv):
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=True,
                          stdin=subprocess.DEVNULL, timeout=300).stdout


def wait_port(port):
    def open_():
        try:
            harness.socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        except OSError:
            return False
    harness.wait_until(open_, f"port {port}")


def bench_redis(rounds, directory):
    port = harness.free_port()
    server = harness.Process(["/usr/bin/redis-server", "--port", port, "--bind", "127.0.0.1",
                              "--save", "", "--appendonly", "no", "--dir", directory])

    def measure(mode):
        text = output_of("redis-benchmark", "-p", port, "-t", "set", "-c", 20, "-P", 64, "-r",
                         10000, "-n", REDIS_REQUESTS[mode], "--csv")
        return float(re.search(r'^"SET","([\d.]+)"', text, re.M)[1])
    wait_port(port)
    bench_server("redis-server, pipelined SET", "SET/s", server, rounds, directory, measure)


def bench_nginx(rounds, directory):
    port = harness.free_port()
    config = Path(directory) / "nginx.conf"
    temporary = "".join(f"{name}_temp_path {directory}/{name};" for name in (
        "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config.write_text(
        f"daemon off; master_process off; pid {directory}/pid; events {{ }}"
        f"http {{ access_log off; keepalive_requests 1000000; {temporary}"
        f"server {{ listen 127.0.0.1:{port}; location / {{ return 200 'hello\\n'; }} }} }}\n")
    server = harness.Process(["/usr/sbin/nginx", "-p", directory, "-c", config,
                              "-e", Path(directory) / "error.log"])

    def measure(_mode):
        text = output_of("wrk", "-t", 1, "-c", 16, "-d", WRK_SECONDS, f"http://127.0.0.1:{port}/")
        return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    wait_port(port)
    bench_server("nginx", "requests/s", server, rounds, directory, measure)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print(f"{os.uname().release}, {os.cpu_count()} CPUs, median of {rounds} interleaved rounds\n")
    with tempfile.TemporaryDirectory(prefix="leaktrace-bench-") as directory:
        for threads in (1, 2):
            bench_pairs(threads, rounds, directory)
        bench_nginx(rounds, directory)
        bench_redis(rounds, directory)


if __name__ == "__main__":
    main()
