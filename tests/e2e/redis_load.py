# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's redis-server and a steady, mixed load on it: what expires soon, what lives for minutes,
what is deleted, lists of a bounded length, and clients that come and go all the time.  Some 100
allocations and 3 connections a second: variety is what matters."""

import random
import re
import socket
import threading
import time

from harness import PATIENCE_S, Process, free_port, run, wait_until

LONG_LIFE_S = 100
# What redis-benchmark asks: every so many seconds, this many requests, each by a connection of its
# own or not, with that many keys.
COMMANDS = [
    (4, 3, True, 40, ["SET", "session:__rand_int__", "x" * 64, "EX", "5"]),
    (6, 3, False, 100, ["GET", "session:__rand_int__"]),
    (10, 4, True, 300, ["SET", "profile:__rand_int__", "y" * 300, "EX", str(LONG_LIFE_S)]),
    (10, 2, False, 300, ["DEL", "profile:__rand_int__"]),
    (20, 1, False, 300, ["EXPIRE", "profile:__rand_int__", str(LONG_LIFE_S)]),
    (10, 3, False, 12, ["LPUSH", "log:__rand_int__", "z" * 40]),
    (10, 3, False, 12, ["LTRIM", "log:__rand_int__", "0", "7"]),
]
STAYING = 12  # clients that stay for a while
SHORTEST_STAY_S, LONGEST_STAY_S = 1, 60


class Redis(Process):
    """A redis-server on loopback that keeps nothing on disk."""

    def __init__(self, directory, preload=None):
        self.port = free_port()
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
        if preload:
            environment["LD_PRELOAD"] = str(preload)
        super().__init__(["/usr/bin/redis-server", "--port", self.port, "--bind", "127.0.0.1",
                          "--save", "", "--appendonly", "no", "--daemonize", "no"],
                         cwd=directory, env=environment)
        wait_until(lambda: self.ask("ping") == "PONG", "redis-server answers")

    def ask(self, *words):
        return run("redis-cli", "-p", str(self.port), *words).stdout.strip()

    def connections(self):
        """How many it has accepted, with the one that asks."""
        text = self.ask("info", "stats")
        return int(re.search(r"^total_connections_received:(\d+)", text, re.M).group(1))


class Staying(list):
    """Clients with a command now and then, each of which leaves at its time and is replaced."""

    def __init__(self, port):
        super().__init__()
        self.port, self.random = port, random.Random(1)

    def turn(self, now):
        for client in [c for c in self if c[0] <= now]:
            client[1].close()
            self.remove(client)
        while len(self) < STAYING:
            client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
            self.append((now + self.random.uniform(SHORTEST_STAY_S, LONGEST_STAY_S), client))
        client = self.random.choice(self)[1]
        client.sendall(b"CLIENT SETNAME client%d\r\n" % self.random.randrange(1000))
        if client.recv(100) != b"+OK\r\n":
            raise AssertionError("CLIENT SETNAME was not answered")

    def close(self):
        for _, client in self:
            client.close()


class Load(threading.Thread):
    """One turn a second, until told to end."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.error = server, None
        self.over = threading.Event()
        self.start()

    def run(self):
        staying = Staying(self.server.port)
        owed = [i / len(COMMANDS) for i in range(len(COMMANDS))]  # not all in the same turn
        next_turn = time.monotonic()
        try:
            while not self.over.wait(max(0, next_turn - time.monotonic())):
                next_turn += 1
                staying.turn(time.monotonic())
                for i, (every_s, *what) in enumerate(COMMANDS):
                    owed[i] += 1 / every_s
                    if owed[i] >= 1:
                        owed[i] -= 1
                        self.benchmark(*what)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error
        finally:
            staying.close()

    def benchmark(self, requests, reconnect, keys, command):
        done = run("redis-benchmark", "-p", str(self.server.port), "-q", "-c", "1",
                   "-k", str(int(not reconnect)), "-n", str(requests), "-r", str(keys), *command)
        if done.returncode:
            raise AssertionError(done.stderr)

    def end(self):
        self.over.set()
        self.join(PATIENCE_S)
        if self.is_alive():
            raise AssertionError("redis-server does not answer any more")
        if self.error:
            raise AssertionError(f"the load failed: {self.error!r}")
