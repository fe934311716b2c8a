# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's own memcached, nginx and python3, attached under load: they keep answering correctly,
nothing is lost, nothing of theirs is accused, and they run on after the detach."""

import json
import os
import socket
import threading
import time
import urllib.request
from pathlib import Path

import harness
from harness import leaking

LOAD_SECONDS = 12
PAUSE_S = 0.0005

PYTHON_SERVER = """
import ctypes, json, sys
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
table = {}
for line in sys.stdin:
    number = int(line)
    table[number % 500] = [str(i) * 3 for i in range(20)]
    if LEAK:
        libc.malloc(LEAK_SIZE)
    print(json.dumps({"square": number * number, "size": len(table)}), flush=True)
"""
LEAK_SIZE = 1003  # a size that nothing else asks for


class Load(threading.Thread):
    """Asks and checks answers, at a bounded pace, until told to end."""

    def __init__(self, ask):
        super().__init__(daemon=True)
        self.ask, self.error, self.answered = ask, None, 0
        self.over = threading.Event()

    def run(self):
        try:
            while not self.over.is_set():
                self.ask(self.answered)
                self.answered += 1
                time.sleep(PAUSE_S)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def end(self):
        self.over.set()
        self.join(harness.PATIENCE_S)
        if self.is_alive():
            raise AssertionError("the server does not answer any more")
        if self.error:
            raise AssertionError(f"the server answered wrongly: {self.error!r}")
        return self.answered


class Memcached:
    """One connection to a memcached."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=harness.PATIENCE_S)
        self.file = self.socket.makefile("rwb")

    def ask(self, number):
        key, value = f"key{number % 1000}", os.urandom(8 + number % 400).hex().encode()
        self.file.write(f"set {key} 0 0 {len(value)}\r\n".encode() + value + b"\r\n")
        self.file.write(f"get {key}\r\n".encode())
        self.file.flush()
        answer = [self.file.readline() for _ in range(4)]
        if answer != [b"STORED\r\n", f"VALUE {key} 0 {len(value)}\r\n".encode(), value + b"\r\n",
                      b"END\r\n"]:
            raise ValueError(answer)
        if number % 8 == 0:
            self.ask_stats()

    def ask_stats(self):
        """Its items live in slabs of its own; the answer to this one is built with realloc."""
        self.file.write(b"stats\r\n")
        self.file.flush()
        line = self.file.readline()
        while line.startswith(b"STAT "):
            line = self.file.readline()
        if line != b"END\r\n":
            raise ValueError(line)

    @staticmethod
    def reconnecting(port):
        """A new connection for each request: connections allocate."""
        def ask(number):
            client = Memcached(port)
            try:
                client.ask(number)
            finally:
                client.file.close()
                client.socket.close()
        return ask


class Server(harness.TestCase):
    PATIENT = True

    def python(self, leak):
        script = self.directory / "server.py"
        script.write_text(f"LEAK = {leak}\nLEAK_SIZE = {LEAK_SIZE}\n" + PYTHON_SERVER)
        server = self.own(harness.Process(["/usr/bin/python3", script],
                                          env={**os.environ, "PYTHONMALLOC": "malloc"}))
        mapped = Path(f"/proc/{server.pid}/exe")
        self.assertTrue(os.readlink(mapped).startswith("/usr/bin/python3"))

        def ask(number):
            server.say(str(number))
            answer = json.loads(server.line())
            if answer["square"] != number * number:
                raise ValueError(answer)
        return server, ask


class Servers(Server):
    def trace_under_load(self, server, ask):
        """Load before, while and after leaktrace is attached; the reports."""
        load = Load(ask)
        load.start()
        self.addCleanup(load.over.set)
        leaktrace = self.leaktrace(server, "--top", 1000)
        time.sleep(LOAD_SECONDS)
        final = leaktrace.stop()
        answered = load.answered
        harness.wait_until(lambda: load.answered > answered or load.error, "answers afterwards")
        self.assertGreater(load.end(), 100)
        self.assertTrue(server.alive(), server.stderr)
        self.assertGreaterEqual(len(leaktrace.reports()), LOAD_SECONDS // 2)
        for report in leaktrace.reports():
            self.assertEqual(leaking(report), [])
        self.assert_no_loss(final, "RELEASE", "ACQUIRE")
        self.assertGreater(final["totals"]["acquired_count"], 100)
        return final

    def wait_port(self, port):
        def open_():
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return True
            except OSError:
                return False
        harness.wait_until(open_, f"port {port}")

    def test_memcached(self):
        port = harness.free_port()
        server = self.own(harness.Process(
            ["/usr/bin/memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", str(port),
             "-U", "0", "-m", "64", "-t", "2"]))
        self.wait_port(port)
        self.trace_under_load(server, Memcached.reconnecting(port))

    def test_nginx(self):
        port = harness.free_port()
        body = "x" * 3000
        config = self.directory / "nginx.conf"
        temporary = "".join(f"{name}_temp_path {self.directory}/{name};" for name in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config.write_text(
            f"daemon off; master_process off; pid {self.directory}/pid;"
            f"error_log {self.directory}/error.log;"
            f"events {{ worker_connections 64; }}"
            f"http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port};"
            f" location / {{ return 200 '{body}'; }} }} }}\n")
        server = self.own(harness.Process(["/usr/sbin/nginx", "-p", self.directory, "-c", config,
                                           "-e", self.directory / "error.log"]))
        self.wait_port(port)

        def ask(number):
            url = f"http://127.0.0.1:{port}/{number}"
            with urllib.request.urlopen(url, timeout=harness.PATIENCE_S) as answer:
                if answer.status != 200 or answer.read().decode() != body:
                    raise ValueError(number)
        self.trace_under_load(server, ask)

    def test_python(self):
        server, ask = self.python(leak=False)
        ask(0)  # it is up: all its libraries are mapped
        self.trace_under_load(server, ask)


class LeakingExtension(Server):
    def test_python_with_a_leaking_extension(self):
        server, ask = self.python(leak=True)
        ask(0)
        leaktrace = self.leaktrace(server, "--top", 1000)
        load = Load(lambda number: (ask(number), time.sleep(0.005)))
        load.start()
        self.addCleanup(load.over.set)

        def named(report):
            return any(s["live_bytes"] == LEAK_SIZE * s["live_count"] for s in leaking(report))
        leaktrace.wait_report(named, 90)
        asked = load.end()
        final = leaktrace.stop()
        self.assert_no_loss(final, "RELEASE", "ACQUIRE")
        leaks = [s for s in final["sites"] if s["live_count"] and
                 s["live_bytes"] == LEAK_SIZE * s["live_count"]]
        self.assertEqual(sum(s["live_count"] for s in leaks), asked)
        self.assertTrue(server.alive())
