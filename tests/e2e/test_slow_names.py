# SPDX-License-Identifier: GPL-2.0-or-later
"""Debug information that takes long to read holds up neither the events nor the reports."""

import http.server
import os
import pty
import re
import select
import signal
import subprocess
import threading

import harness
from harness import top_function

# libdw waits here until the file "gate" exists.
SLOW_LIBDW = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
void *dwarf_begin_elf(void *elf, int command, void *group)
{
    void *(*next)(void *, int, void *) = dlsym(RTLD_NEXT, "dwarf_begin_elf");
    while (access(getenv("GATE"), F_OK))
        usleep(10000);
    return next(elf, command, group);
}
"""
READING = "leaktrace: reading debug information of "
WAITING = "; Ctrl-C prints the report without them"


class SlowNames(harness.TestCase):
    PATIENT = True

    def setUp(self):
        super().setUp()
        source, library = self.directory / "slow.c", self.directory / "slow.so"
        source.write_text(SLOW_LIBDW)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
        self.gate = self.directory / "gate"
        self.slow = {**os.environ, "LD_PRELOAD": str(library), "GATE": str(self.gate)}

    def leaktrace_at_the_gate(self, target, *options, **more):
        return self.leaktrace(target, "--top", 1000, *options, env=self.slow, **more)

    def unnamed(self, report):
        return report["sites"] and not any(map(top_function, report["sites"]))

    def test_events_are_read_and_reports_go_out(self):
        target = self.target("family", 2, 100000, 1)
        leaktrace = self.leaktrace_at_the_gate(target)
        truth = target.go().truth()
        for _ in range(3):
            self.assert_no_loss(leaktrace.wait_report(self.unnamed))
        self.gate.touch()
        leaktrace.wait_report(lambda report: any(map(top_function, report["sites"])))
        report = leaktrace.stop()
        self.assert_no_loss(report)
        self.assert_truth(report, truth)
        self.assertNotIn(READING, leaktrace.stderr)

    def test_the_final_report_has_all_names(self):
        """The target is gone, and the recording has the names, too."""
        recording = self.directory / "recording"
        target = self.target("family", 1, 10000, 1)
        leaktrace = self.leaktrace_at_the_gate(target, "--record", recording, "-v")
        truth = target.go().truth()
        leaktrace.wait_report(self.unnamed)
        target.quit()
        harness.wait_until(lambda: READING in leaktrace.stderr, "a word about the delay")
        self.gate.touch()
        report = leaktrace.final()
        self.assert_truth(report, truth)
        self.assertEqual(report["end"]["reason"], "exited")
        replayed = harness.run(harness.LEAKTRACE, "replay", recording, "--json", "-", "--top",
                               "1000")
        self.assertEqual(replayed.returncode, 0, replayed.stderr)
        self.assertEqual(replayed.stdout, leaktrace.json_path.read_text())

    def assert_hurried(self, leaktrace, target, reason):
        """At the gate, a signal brings the report, and whole files."""
        harness.wait_until(lambda: READING in leaktrace.stderr, "a word about the delay")
        self.assertIn(WAITING, leaktrace.stderr)
        self.assertTrue(leaktrace.alive())
        leaktrace.signal(signal.SIGINT)
        report = leaktrace.final()
        self.assertTrue(self.unnamed(report))
        self.assertEqual(report["end"]["reason"], reason)
        self.assertIn("the report goes out without", leaktrace.stderr)
        self.assertTrue(leaktrace.stdout)
        self.assert_works(target)

    def test_a_second_sigint_does_not_wait(self):
        recording, prom = self.directory / "recording", self.directory / "leaktrace.prom"
        target = self.target("victim", 1, 20000).go()
        leaktrace = self.leaktrace_at_the_gate(target, "-v", "--record", recording, "--prom", prom,
                                               "--keep-prom", interval=60)
        self.assert_works(target)  # so there is something to name
        leaktrace.signal(signal.SIGINT)
        self.assert_hurried(leaktrace, target, "detached")
        self.assertIn("leaktrace_", prom.read_text())
        replayed = harness.run(harness.LEAKTRACE, "replay", recording, "--json", "-", "--top",
                               "1000")
        self.assertEqual(replayed.returncode, 0, replayed.stderr)
        self.assertEqual(replayed.stdout, leaktrace.json_path.read_text())

    def test_the_first_sigint_after_the_last_report_does_not_wait(self):
        target = self.target("victim", 1, 20000).go()
        leaktrace = self.leaktrace_at_the_gate(target, "-v", count=1)
        self.assert_hurried(leaktrace, target, "detached")

    def test_a_terminal_is_told_why_it_waits(self):
        target = self.target("victim", 1, 20000).go()
        self.assert_works(target)
        reader, writer = pty.openpty()
        self.addCleanup(os.close, reader)
        process = subprocess.Popen(
            [harness.LEAKTRACE, "-p", str(target.pid), "1", "2"], env=self.slow, stderr=writer,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        os.close(writer)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        heard = b""
        while READING.encode() not in heard:
            self.assertTrue(select.select([reader], [], [], harness.PATIENCE_S)[0], heard)
            heard += os.read(reader, 4096)
        self.gate.touch()
        self.assertEqual(process.wait(harness.PATIENCE_S), 0)


class DebugInfo(http.server.BaseHTTPRequestHandler):
    """A debuginfod that has the files of server.files, by build id."""

    def do_GET(self):
        words = self.path.split("/")
        content = self.server.files.get(words[2]) if words[3:] == ["debuginfo"] else None
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_):
        pass


class NamesFromServers(harness.TestCase):
    def stripped_victim(self):
        """A copy without symbols; its build id, and what was taken from it."""
        victim, debug = self.directory / "victim", self.directory / "victim.debug"
        whole = harness.WORKLOADS / "victim"
        subprocess.run(["objcopy", "--only-keep-debug", whole, debug], check=True)
        subprocess.run(["objcopy", "--strip-all", whole, victim], check=True)
        notes = subprocess.run(["readelf", "-n", victim], check=True, capture_output=True,
                               text=True).stdout
        return victim, re.search(r"Build ID: ([0-9a-f]+)", notes)[1], debug.read_bytes()

    def test_names_first_wanted_at_the_end_are_fetched(self):
        victim, build_id, debug = self.stripped_victim()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), DebugInfo)
        self.addCleanup(server.server_close)
        server.files = {build_id: debug}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        environment = {**os.environ, "DEBUGINFOD_CACHE_PATH": str(self.directory / "cache")}
        target = self.target("victim", 1, 20000, path=victim).go()
        leaktrace = self.leaktrace(
            target, f"--debuginfod=http://127.0.0.1:{server.server_port}", "--top", 1000, count=1,
            env=environment)
        report = leaktrace.final()
        self.assertTrue(any(map(top_function, report["sites"])), report["sites"])
        self.assert_works(target)
