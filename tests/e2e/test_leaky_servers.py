# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers of ours that forget connections and threads, and their healthy twins, under load.

They run once, side by side; the tests look at what was reported.
"""

import random
from collections import deque

import harness
from harness import Target, marked_line
from servers import Paced, connect
from watched import Watched, accused, findings, lacking, sites_at, the_group, watch

SECONDS = 75
PATHS = 10
REFUSED_ONE_IN = 10
REQUESTS_PER_S = 240  # to all paths: each of them refuses two or three a second
CONNECTIONS_PER_S = 24
MOST_SLOW = 0.5  # of the requests of a second: the load is not even
SPARE_STACKS = 8  # of joined threads, which the C library keeps for the next ones
GIVEN_UP_AFTER = 3  # clients do not wait for ever for an answer


def ask(port, request):
    """The status of the answer, which is read to its end."""
    with connect(port) as client:
        client.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = client.recv(4096)
            if not part:
                raise ValueError(f"no whole answer: {answer}")
            answer += part
    return int(answer.split()[1])


def must_answer(status, port, request):
    answered = ask(port, request)
    if answered != status:
        raise ValueError(f"{answered}, not {status}")


class ErrorPathClients:
    def __init__(self, ports):
        self.ports = ports

    def __call__(self, number):
        port = self.ports[number % PATHS]
        if number // PATHS % REFUSED_ONE_IN:
            must_answer(200, port, b"GET / HTTP/1.0\r\n\r\n")
        else:
            must_answer(400, port, b"BREW / HTTP/1.0\r\n\r\n")


class ThreadClients:
    def __init__(self, port, hangs):
        self.port, self.hangs = port, hangs
        self.waiting = deque()
        self.random, self.slow = random.Random(1), 0

    def __call__(self, number):
        if self.hangs and number % CONNECTIONS_PER_S == 0:
            self.slow = self.random.uniform(0, MOST_SLOW)
        if self.random.random() >= self.slow:
            must_answer(200, self.port, b"GET / HTTP/1.0\r\n\r\n")
            return
        client = connect(self.port)
        client.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
        self.waiting.append(client)
        if len(self.waiting) > GIVEN_UP_AFTER:
            self.waiting.popleft().close()

    def close(self):
        while self.waiting:
            self.waiting.popleft().close()


class LeakyServers(harness.TestCase):
    PATIENT = True

    @classmethod
    def setUpClass(cls):
        directory = cls.own_directory(cls.addClassCleanup)

        def watched(*arguments):
            one = Watched(Target(*arguments), directory)
            cls.addClassCleanup(one.close)
            return one

        cls.paths = watched("error_paths")
        cls.threads = {mode: watched("thread_server", mode)
                       for mode in ("join", "detach", "forget", "hang")}

        def start():
            cls.paths.process.go()
            cls.ports = [int(port) for port in cls.paths.process.line().split()]
            loads = [Paced(REQUESTS_PER_S, ErrorPathClients(cls.ports))]
            for mode, one in cls.threads.items():
                clients = ThreadClients(int(one.process.go().line()), mode == "hang")
                cls.addClassCleanup(clients.close)
                loads.append(Paced(CONNECTIONS_PER_S, clients))
            return loads

        watch([cls.paths, *cls.threads.values()], start, SECONDS)

    def assert_whole(self, one):
        self.assertGreater(len(one.reports), SECONDS // 2)
        self.assert_no_loss(one.final, "RELEASE", "ACQUIRE")
        self.assertEqual(one.process.quit(), 0)

    def assert_only(self, one, source, places):
        """Nothing but these (kind, function, line) is ever accused."""
        for report in one.reports:
            self.assertLessEqual(accused(report, source), places, f"after {report['elapsed_s']} s")

    def assert_leaking(self, one, kind, source, line, count, spare=0):
        """That line, with all of them; a single one may stand apart: the only thread of a process
        takes other ways in the C library."""
        sites = sites_at(one.final, kind, source, line)
        self.assertEqual({s["verdict"] for s in sites if s["live_count"] > 1}, {"leaking"}, sites)
        self.assertIn(lacking(one.final, count, sites), range(-spare, 1), kind)

    def test_the_error_path_that_forgets_close(self):
        line = marked_line("error_paths.c")
        left = self.paths.truth["path_6"]["live_count"]
        self.assertGreater(left, SECONDS)
        self.assert_only(self.paths, "error_paths.c", {("socket", "path_6", line)})
        self.assert_leaking(self.paths, "socket", "error_paths.c", line, left)
        site, = sites_at(self.paths.final, "socket", "error_paths.c", line)
        what, states = the_group(site)
        self.assertEqual(what, ("TCP", "at", f"127.0.0.1:{self.ports[6]}"))
        self.assertGreater(states["CLOSE_WAIT"], 0.9 * site["live_count"])
        self.assert_whole(self.paths)

    def test_the_nine_others_were_seen(self):
        for function, truth in self.paths.truth.items():
            self.assertGreater(truth["acquired_count"], SECONDS)
            sites = sites_at(self.paths.final, "socket", "error_paths.c", function)
            self.assertEqual(
                lacking(self.paths.final, truth["acquired_count"], sites, "acquired_count"), 0)

    def test_threads_that_are_joined_or_detached(self):
        for mode in ("join", "detach"):
            with self.subTest(mode):
                self.assert_only(self.threads[mode], "thread_server.c", set())
                self.assert_whole(self.threads[mode])
                self.assertGreater(
                    self.threads[mode].truth["open_connection"]["released_count"], SECONDS)

    def test_threads_that_nobody_joins(self):
        """Their stacks stay, with what the dynamic linker keeps for each thread."""
        one, line = self.threads["forget"], marked_line("thread_server.c", "/* THREAD */")
        self.assert_only(one, "thread_server.c", {("stack", "open_connection", line),
                                                  ("heap", "open_connection", line)})
        served = one.truth["open_connection"]["released_count"]
        self.assert_leaking(one, "stack", "thread_server.c", line, served)
        self.assertEqual(one.final["totals"]["kinds"]["thread"]["live_count"], 1)
        self.assert_whole(one)

    def test_threads_that_hang_with_their_connections(self):
        one = self.threads["hang"]
        lines = {mark: marked_line("thread_server.c", f"/* {mark} */")
                 for mark in ("CONNECTION", "SOCKET", "THREAD")}
        kinds = {"thread": "THREAD", "stack": "THREAD", "socket": "SOCKET", "heap": "CONNECTION"}
        places = {(kind, "open_connection", lines[mark]) for kind, mark in kinds.items()}
        self.assert_only(one, "thread_server.c",
                         places | {("heap", "open_connection", lines["THREAD"])})
        left = one.truth["open_connection"]["live_count"]
        for kind, mark in kinds.items():
            self.assert_leaking(one, kind, "thread_server.c", lines[mark], left,
                                SPARE_STACKS if kind == "stack" else 0)
        for kind in ("thread", "socket"):  # and main's own
            self.assertEqual(one.final["totals"]["kinds"][kind]["live_count"], left + 1)
        self.assertEqual(findings(one.final), [set(kinds)])
        self.assert_whole(one)
