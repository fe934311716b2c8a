# SPDX-License-Identifier: GPL-2.0-or-later
"""Exit codes, signals, colour and streams; the target outlives leaktrace, however that ends."""

import fcntl
import json
import os
import pty
import select
import signal
import statistics
import subprocess
from pathlib import Path

import harness
from harness import LEAKTRACE, NOBODY, run

EXIT_FAILURE, EXIT_USAGE, EXIT_PERMISSION, EXIT_NO_TARGET = 1, 2, 4, 5
ESCAPE = "\x1b"
STEADY = ("victim", 1, 20000)


def kernel_thread():
    """A kernel thread has no memory of its own, so no VmSize in its status."""
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            text = path.read_text()
        except OSError:
            continue
        if "\nVmSize:" not in text and "\nState:\tZ" not in text:
            return int(path.parent.name)
    raise AssertionError("no kernel thread in sight")


def dead_pid():
    child = subprocess.Popen(["/bin/true"])
    child.wait()
    return child.pid


class ExitCodes(harness.TestCase):
    PATIENT = True

    def assert_error(self, result, code, *words):
        """One line on stderr that says what is wrong, nothing on stdout."""
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertRegex(result.stderr, r"\Aleaktrace: [^\n]+\n\Z")
        for word in words:
            self.assertIn(word, result.stderr)

    def test_not_root(self):
        target = self.target(*STEADY).go()
        self.assert_error(run(*NOBODY, LEAKTRACE, "-p", str(target.pid), "1", "1"),
                          EXIT_PERMISSION, "root")
        self.assert_works(target)

    def test_no_such_pid(self):
        pid = str(dead_pid())
        self.assert_error(run(LEAKTRACE, "-p", pid, "1", "1"), EXIT_NO_TARGET, pid)

    def test_kernel_thread(self):
        self.assert_error(run(LEAKTRACE, "-p", str(kernel_thread()), "1", "1"), EXIT_NO_TARGET,
                          "kernel thread")

    def bare(self, *flags):
        """A process without any C library, which only waits."""
        source = self.directory / "bare.c"
        source.write_text("""void _start(void) { for (;;) __asm__ volatile(
            #ifdef __i386__
            "int $0x80" :: "a"(29)
            #else
            "syscall" :: "a"(34) : "rcx", "r11", "memory"
            #endif
        ); }""".replace("            #", "#"))
        program = self.directory / "bare"
        subprocess.run(["gcc", *flags, "-nostdlib", "-static", "-o", program, source], check=True)
        process = subprocess.Popen([program])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process.pid

    def test_no_allocator(self):
        self.assert_error(run(LEAKTRACE, "-p", str(self.bare())), EXIT_FAILURE, "--explain")

    def test_a_32_bit_program(self):
        self.assert_error(run(LEAKTRACE, "-p", str(self.bare("-m32"))), EXIT_NO_TARGET, "32-bit")

    def test_usage(self):
        own = str(os.getpid())
        for arguments in ((), ("--no-such-option",), ("-p",), ("-p", "abc"), ("-p", "0"),
                          ("-p", "-5"), ("-p", "99999999999999999999"), ("-p", own, "0"),
                          ("-p", own, "-1"), ("-p", own, "nan"), ("-p", own, "1", "x"),
                          ("-p", own, "--top", "0"), ("-p", own, "--top", "many"),
                          ("-p", own, "--color=pink"), ("-p", own, "1", "1", "1"),
                          ("-p", own, "--prom", "no-suffix"),
                          ("replay",), ("replay", "a", "b")):
            with self.subTest(arguments=arguments):
                result = run(LEAKTRACE, *arguments)
                self.assertEqual(result.returncode, EXIT_USAGE, result.stderr)
                self.assertEqual(result.stdout, "")
                self.assertTrue(result.stderr.startswith("leaktrace: "), result.stderr)

    def test_help_and_version_go_to_stdout(self):
        for option, word in (("--help", "-p"), ("-h", "-p"), ("--version", "0."), ("-V", "0.")):
            with self.subTest(option=option):
                result = run(LEAKTRACE, option)
                self.assertEqual((result.returncode, result.stderr), (0, ""))
                self.assertIn(word, result.stdout)

    def test_output_paths_that_cannot_be_written(self):
        target = self.target(*STEADY).go()
        link = self.directory / "link.prom"
        link.symlink_to(self.directory / "elsewhere")
        missing = self.directory / "missing" / "file.prom"
        folder = self.directory / "folder.prom"
        folder.mkdir()
        for option in ("--json", "--prom", "--record"):
            for path in (missing, link, folder):
                with self.subTest(option=option, path=path.name):
                    result = run(LEAKTRACE, "-p", str(target.pid), option, path, "1", "1")
                    self.assert_error(result, EXIT_FAILURE, str(path))
        self.assertFalse((self.directory / "elsewhere").exists())
        self.assert_works(target)

    def test_replay_of_a_missing_file(self):
        self.assert_error(run(LEAKTRACE, "replay", self.directory / "none"), EXIT_FAILURE, "none")

    def test_fail_on_leak_without_a_leak(self):
        target = self.target(*STEADY).go()
        leaktrace = self.leaktrace(target, "--fail-on-leak", count=2)
        leaktrace.final(status=0)


class Signals(harness.TestCase):
    PATIENT = True

    def test_sigint_and_sigterm_end_with_a_final_report(self):
        target = self.target(*STEADY).go()
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number.name):
                leaktrace = self.leaktrace(target)
                leaktrace.wait_report()
                report = leaktrace.stop(number=number)
                self.assertEqual(report["end"]["reason"], "detached")
                self.assertTrue(leaktrace.stdout)
                self.assert_works(target)

    def test_second_sigint_leaves_even_when_nobody_reads(self):
        """The final report blocks in a full pipe."""
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b"x" * 512)
        except BlockingIOError:
            os.set_blocking(writer, True)
        target = self.target("victim", 1, 20000).go()
        process = subprocess.Popen([LEAKTRACE, "-p", str(target.pid), "60"], stdout=writer,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        while "attached" not in process.stderr.readline():
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        harness.wait_until(lambda: "pipe_write" in
                           Path(f"/proc/{process.pid}/wchan").read_text(), "the full pipe", 20)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(harness.PATIENCE_S), -signal.SIGINT)
        self.assertTrue(target.alive())

    def test_second_sigint_leaves_at_once(self):
        target = self.target(*STEADY).go()
        leaktrace = self.leaktrace(target)
        leaktrace.signal(signal.SIGINT)
        leaktrace.signal(signal.SIGINT)
        self.assertIn(leaktrace.wait(10), (0, -signal.SIGINT))
        self.assert_works(target)

    def test_sigkill_leaves_the_target_as_it_was(self):
        target = self.target("victim", 1).go()
        before = statistics.median(target.rate() for _ in range(3))
        leaktrace = self.leaktrace(target)
        leaktrace.wait_report()
        leaktrace.signal(signal.SIGKILL)
        self.assertEqual(leaktrace.wait(), -signal.SIGKILL)
        # The probes go with their last descriptor, which the kernel closes a moment later.
        harness.wait_until(lambda: target.rate() > before / 2, "the old speed", 20)
        again = self.leaktrace(target)
        again.wait_report()
        again.stop()
        harness.wait_until(lambda: target.rate() > before / 2, "the old speed", 20)

    def test_a_reader_that_goes_away_ends_the_session(self):
        target = self.target(*STEADY).go()
        read_end, write_end = os.pipe()
        leaktrace = self.leaktrace(target, stdout=write_end)
        os.close(write_end)
        os.close(read_end)
        leaktrace.wait(20)
        self.assert_works(target)

    def test_count(self):
        target = self.target(*STEADY).go()
        leaktrace = self.leaktrace(target, count=3)
        leaktrace.final()
        self.assertEqual([r["final"] for r in leaktrace.reports()], [False, False, True])
        self.assert_works(target)

    def test_target_killed_from_outside(self):
        target = self.target(*STEADY).go()
        leaktrace = self.leaktrace(target)
        leaktrace.wait_report()
        target.signal(signal.SIGKILL)
        report = leaktrace.final()
        self.assertEqual(report["end"], {"reason": "killed", "status": int(signal.SIGKILL)})


class Streams(harness.TestCase):
    PATIENT = True

    def test_data_on_stdout_diagnostics_on_stderr(self):
        target = self.target(*STEADY).go()
        result = run(LEAKTRACE, "-p", str(target.pid), "--json", "-", "1", "2")
        self.assertEqual(result.returncode, 0, result.stderr)
        reports = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([r["final"] for r in reports], [False, True])
        self.assertEqual({r["target"]["pid"] for r in reports}, {target.pid})
        for line in result.stderr.splitlines():
            self.assertTrue(line.startswith("leaktrace: "), line)

    def test_quiet_says_nothing_and_prints_the_final_report(self):
        target = self.target(*STEADY).go()
        result = run(LEAKTRACE, "-q", "-p", str(target.pid), "1", "2")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("victim_malloc", result.stdout)

    def test_explain_prints_the_plan_and_traces_nothing(self):
        target = self.target(*STEADY).go()
        result = run(LEAKTRACE, "--explain", "-p", str(target.pid))
        self.assertEqual(result.returncode, 0, result.stderr)
        for word in ("glibc", "malloc", "free", "realloc", "libc.so.6"):
            self.assertIn(word, result.stdout)
        self.assert_works(target)


class Colour(harness.TestCase):
    PATIENT = True

    def setUp(self):
        super().setUp()
        recording = self.directory / "recording"
        target = self.target(*STEADY).go()
        self.leaktrace(target, "--record", recording, count=2).final()
        self.command = [str(LEAKTRACE), "replay", str(recording)]

    def on_terminal(self, *options, **environment):
        """What a terminal would get."""
        main, side = pty.openpty()
        env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
        env.update(TERM="xterm", **environment)
        child = subprocess.Popen([*self.command, *options], stdin=subprocess.DEVNULL, stdout=side,
                                 stderr=subprocess.DEVNULL, env=env)
        os.close(side)
        chunks = []
        while select.select([main], [], [], 30)[0]:
            try:
                chunk = os.read(main, 65536)
            except OSError:  # EIO: the other side is closed
                break
            if not chunk:
                break
            chunks.append(chunk)
        os.close(main)
        self.assertEqual(child.wait(30), 0)
        return b"".join(chunks).decode()

    def test_only_on_a_terminal(self):
        self.assertIn(ESCAPE, self.on_terminal())
        self.assertNotIn(ESCAPE, run(*self.command).stdout)

    def test_no_color_is_honoured(self):
        self.assertNotIn(ESCAPE, self.on_terminal(NO_COLOR="1"))
        self.assertIn(ESCAPE, self.on_terminal(NO_COLOR=""))  # https://no-color.org: not empty

    def test_the_option_wins(self):
        self.assertNotIn(ESCAPE, self.on_terminal("--color=never"))
        self.assertIn(ESCAPE, self.on_terminal("--color=always", NO_COLOR="1"))
        self.assertIn(ESCAPE, run(*self.command, "--color=always").stdout)

    def test_reports_fit_eighty_columns(self):
        text = run(*self.command, env={**os.environ, "COLUMNS": "80"}).stdout
        self.assertTrue(text)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
