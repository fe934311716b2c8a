# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's nginx, memcached and PostgreSQL under clients that come and go, and ever more that stay:
nothing of theirs is accused, at any moment.

They run once, side by side; the tests look at what was reported.
"""

import random
import struct

import harness
from harness import leaking
from servers import Memcached, Nginx, Paced, Postgres, connect
from watched import Watched, watch

SECONDS = 88
LEAST_RISE = 3  # times as many clients at once in the end as in the first seconds
WAVE_EVERY_S = 16
WAVE_S = 2
SHORT_STAY_S = (0, 2)
LONG_STAY_S = (30, 60)
QUESTION_EVERY_S = 3  # of each client


class Client:
    def __init__(self, port):
        self.socket = connect(port)

    def close(self):
        self.socket.close()


class Http(Client):
    def ask(self):
        self.socket.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = self.socket.recv(1000)
        if not answer.startswith(b"HTTP/1.1 204 "):
            raise ValueError(answer)


class Cache(Client):
    def ask(self):
        self.socket.sendall(b"get nothing\r\n")
        answer = self.socket.recv(1000)
        if answer != b"END\r\n":
            raise ValueError(answer)


class Sql(Client):
    """PostgreSQL's protocol 3.0, as far as a user who is trusted needs it."""

    def __init__(self, port):
        super().__init__(port)
        self.file = self.socket.makefile("rb")
        parameters = b"user\0postgres\0database\0postgres\0\0"
        self.socket.sendall(struct.pack("!II", 8 + len(parameters), 3 << 16) + parameters)
        self.until_ready()

    def close(self):
        self.file.close()
        super().close()

    def until_ready(self):
        """The types of messages until the server waits for a query."""
        types = b""
        while not types.endswith(b"Z"):
            kind, size = struct.unpack("!cI", self.file.read(5))
            self.file.read(size - 4)
            types += kind
        if b"E" in types:
            raise ValueError(types)
        return types

    def ask(self):
        query = b"select count(*) from pg_class\0"
        self.socket.sendall(b"Q" + struct.pack("!I", 4 + len(query)) + query)
        if b"D" not in self.until_ready():
            raise ValueError("no row")


class Clients:
    """Each second so many come, ask, and go soon; in waves, as many come that stay for long.

    The turns are those of Paced.
    """

    def __init__(self, client, port, per_second):
        self.client, self.port, self.per_second = client, port, per_second
        self.random = random.Random(1)
        self.present = []  # (turn at which it goes, client)
        self.made = self.early = self.most = 0  # in all; at once before the first wave; ever

    def come(self, number, stay_s):
        client = self.client(self.port)
        client.ask()
        self.made += 1
        self.present.append((number + self.random.uniform(*stay_s) * self.per_second, client))

    def __call__(self, number):
        for going in [p for p in self.present if p[0] <= number]:
            going[1].close()
            self.present.remove(going)
        self.come(number, SHORT_STAY_S)
        wave, into = divmod(number, WAVE_EVERY_S * self.per_second)
        if wave and into < WAVE_S * self.per_second:
            self.come(number, LONG_STAY_S)
        for _ in range(len(self.present) // (QUESTION_EVERY_S * self.per_second) + 1):
            self.random.choice(self.present)[1].ask()
        self.most = max(self.most, len(self.present))
        if not wave:
            self.early = self.most

    def close(self):
        for _, client in self.present:
            client.close()


# A connection is a process to PostgreSQL.
CLIENTS = (("nginx", Http, 20), ("memcached", Cache, 20), ("postgres", Sql, 8))


class ConnectionChurn(harness.TestCase):
    PATIENT = True

    @classmethod
    def setUpClass(cls):
        directory = cls.own_directory(cls.addClassCleanup)

        def watched(server):
            cls.addClassCleanup(server.close)
            one = Watched(server, directory)
            cls.addClassCleanup(one.close)
            return one

        cls.servers = {
            "nginx": watched(
                Nginx(directory, "location / { return 204; }", "keepalive_timeout 1h;")),
            "memcached": watched(Memcached()),
            "postgres": watched(Postgres(directory, max_connections=300)),
        }
        cls.clients = {name: Clients(client, cls.servers[name].process.port, per_second)
                       for name, client, per_second in CLIENTS}
        for clients in cls.clients.values():
            cls.addClassCleanup(clients.close)

        def start():
            return [Paced(clients.per_second, clients) for clients in cls.clients.values()]

        watch(cls.servers.values(), start, SECONDS)

    def assert_innocent(self, name):
        one, clients = self.servers[name], self.clients[name]
        self.assertGreater(len(one.reports), SECONDS // 2)
        for report in one.reports:
            self.assertEqual(leaking(report), [], f"after {report['elapsed_s']} s")
        self.assertGreater(clients.most, LEAST_RISE * clients.early)
        self.assert_no_loss(one.final, "RELEASE", "ACQUIRE")
        accepted = sum(s["acquired_count"] for s in one.final["sites"] if s["kind"] == "socket")
        self.assertGreaterEqual(accepted, clients.made)
        self.assertTrue(one.process.alive(), one.process.stderr)

    def test_nginx(self):
        self.assert_innocent("nginx")

    def test_memcached(self):
        self.assert_innocent("memcached")

    def test_postgres(self):
        self.assert_innocent("postgres")
