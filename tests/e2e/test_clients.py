# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of ours that forget connections, results, statements and cursors, beside twins that
forget nothing, and one with a pool that grows once: of nginx, of PostgreSQL, of SQLite.

They run once, side by side; the tests look at what was reported.
"""

import harness
from harness import Target, marked_line
from servers import Nginx, Postgres
from watched import Watched, accused, findings, lacking, sites_at, the_group, watch

SECONDS = 84
POOL_LIMIT, POOL_FILL_S = 500, 56
POOL_REQUESTS = 25  # of a connection, before the server closes it
BODY_SIZE = 64 << 10  # more than is read with the head, less than sockets hold


class Clients(harness.TestCase):
    PATIENT = True

    @classmethod
    def setUpClass(cls):
        directory = cls.own_directory(cls.addClassCleanup)
        (directory / "files").mkdir()
        (directory / "files" / "body").write_bytes(b"x" * BODY_SIZE)
        cls.databases = directory / "sqlite"
        cls.databases.mkdir()

        def own(process):
            cls.addClassCleanup(process.close)
            return process

        cls.nginx = own(Nginx(directory, f"root {directory}/files; keepalive_timeout 3s;",
                              "location = /pool {", f"keepalive_requests {POOL_REQUESTS};",
                              "keepalive_timeout 1h; return 204; }"))
        cls.postgres = own(Postgres(directory, idle_session_timeout="5s"))

        def watched(*arguments):
            one = Watched(Target(*arguments), directory)
            cls.addClassCleanup(one.close)
            return one

        cls.http = watched("http_client", cls.nginx.port)
        cls.pool = watched("pool_client", cls.nginx.port, POOL_LIMIT, POOL_FILL_S)
        cls.libpq = watched("libpq_client", cls.postgres.conninfo)
        cls.sqlite = watched("sqlite_client", cls.databases)
        all_ = (cls.http, cls.pool, cls.libpq, cls.sqlite)

        def start():
            for one in all_:
                one.process.go()
            return ()
        watch(all_, start, SECONDS)

    def assert_healthy(self, one):
        self.assertGreater(len(one.reports), SECONDS // 2)
        self.assert_no_loss(one.final, "RELEASE", "ACQUIRE")
        self.assertEqual(one.process.quit(), 0)

    def assert_leaks(self, one, source, leaks):
        """These (kind, function, marker of the line) are leaking in the end, nothing else ever."""
        places = {(kind, function, marked_line(source, f"/* {marker} */"))
                  for kind, function, marker in leaks}
        for report in one.reports:
            self.assertLessEqual(accused(report, source), places, f"after {report['elapsed_s']} s")
        self.assertEqual(accused(one.final, source), places)
        self.assert_healthy(one)

    def leaking_site(self, one, kind, source, marker, function):
        """The one of this line, which has all that this function has left."""
        line = marked_line(source, f"/* {marker} */")
        site, = (s for s in sites_at(one.final, kind, source, line) if s["verdict"] == "leaking")
        self.assertEqual(lacking(one.final, one.truth[function]["live_count"], [site]), 0)
        return site

    def test_bodies_that_are_not_read_to_their_end(self):
        self.assert_leaks(self.http, "http_client.c", {
            ("socket", "connection_open", "SOCKET"), ("heap", "connection_open", "CONNECTION")})
        site = self.leaking_site(self.http, "socket", "http_client.c", "SOCKET", "check_status")
        callers = [frame["func"] for frame in site["frames"]]
        self.assertIn("check_status", callers)
        self.assertNotIn("download", callers)
        what, states = the_group(site)
        self.assertEqual(what, ("TCP", "to", f"127.0.0.1:{self.nginx.port}"))
        self.assertGreater(states["CLOSE_WAIT"], 0.8 * site["live_count"])
        self.assertEqual(findings(self.http.final), [{"socket", "heap"}])

    def test_a_pool_that_grows_to_its_limit_is_warming_then_stable(self):
        line = marked_line("pool_client.c", "/* SOCKET */")
        verdicts = []
        for report in self.pool.reports:
            self.assertEqual(accused(report, "pool_client.c"), set())
            sites = sites_at(report, "socket", "pool_client.c", line)
            verdicts += [(report["elapsed_s"], s["verdict"]) for s in sites if s["live_count"] > 1]
        filling = {v for at, v in verdicts if 50 < at < POOL_FILL_S}
        self.assertEqual(filling, {"warming"})
        self.assertEqual(verdicts[-1][1], "stable")
        self.assertEqual(lacking(self.pool.final, POOL_LIMIT, sites), 0)
        self.assert_healthy(self.pool)

    def test_results_statements_and_cursors_of_postgresql(self):
        self.assert_leaks(self.libpq, "libpq_client.c", {
            ("heap", "result_not_cleared", "RESULT"),
            ("heap", "statement_not_closed", "STATEMENT"),
            ("heap", "cursor_not_closed", "CURSOR"),
            ("heap", "connection_not_finished", "CONNECTION"),
            ("socket", "connection_not_finished", "CONNECTION")})
        site = self.leaking_site(self.libpq, "socket", "libpq_client.c", "CONNECTION",
                                 "connection_not_finished")
        what, states = the_group(site)
        self.assertEqual(what, ("TCP", "to", f"127.0.0.1:{self.postgres.port}"))
        self.assertGreater(states["CLOSE_WAIT"], 0.8 * site["live_count"])
        self.assertEqual(findings(self.libpq.final), [{"socket", "heap"}])

    def test_statements_cursors_and_databases_of_sqlite(self):
        self.assert_leaks(self.sqlite, "sqlite_client.c", {
            ("heap", "statement_not_finalized", "STATEMENT"),
            ("heap", "cursor_not_closed", "CURSOR"),
            ("heap", "database_not_closed", "DATABASE"), ("fd", "database_not_closed", "DATABASE")})
        site = self.leaking_site(self.sqlite, "fd", "sqlite_client.c", "DATABASE",
                                 "database_not_closed")
        what, _ = the_group(site)
        self.assertEqual(what, ("file", None, f"{self.databases}/left_open.db"))
        self.assertEqual(findings(self.sqlite.final), [{"fd", "heap"}])
