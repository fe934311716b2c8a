# SPDX-License-Identifier: GPL-2.0-or-later
"""Several processes in one session: children followed, many targets, commands started."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import harness
from harness import LEAKTRACE, WORKLOADS
from test_cycles import code_of

BPFTOOL = next((p for p in ("/usr/sbin/bpftool", "/usr/bin/bpftool") if os.path.exists(p)), "bpftool")


def lines_of(path, kind):
    return [d for d in map(json.loads, Path(path).read_text().splitlines()) if d["type"] == kind]


def map_entries(pid, name):
    """How many elements the BPF map of this name has that this process holds."""
    count = 0
    for fd in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            info = dict(l.split(":\t", 1) for l in fd.read_text().splitlines() if ":\t" in l)
        except OSError:
            continue
        if "map_id" not in info:
            continue
        shown = json.loads(subprocess.run([BPFTOOL, "-j", "map", "show", "id", info["map_id"].strip()],
                                          capture_output=True, text=True, check=True).stdout)
        if shown.get("name") == name:
            dump = subprocess.run([BPFTOOL, "-j", "map", "dump", "id", info["map_id"].strip()],
                                  capture_output=True, text=True, check=True).stdout
            count = max(count, len(json.loads(dump)))
    return count


def open_fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def rss_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))


class Session(harness.TestCase):
    def totals(self, leaktrace):
        return lines_of(leaktrace.json_path, "total")

    def assert_children(self, leaktrace, target, truth):
        """What the children did is in the sum of those that ended, to the last block."""
        ended = self.totals(leaktrace)[-1]["ended"]
        kinds = ("child_site", "image_site")
        self.assertEqual(ended["acquired_count"], sum(truth[k]["acquired_count"] for k in kinds))
        self.assertEqual(ended["released_count"], sum(truth[k]["released_count"] for k in kinds))
        self.assertEqual(ended["live_at_end_count"], sum(truth[k]["live_count"] for k in kinds))
        self.assertEqual(ended["live_at_end_bytes"], sum(truth[k]["live_bytes"] for k in kinds))
        # Every fork that executes a program is a process more: the image before and the one after
        # it, unless it was a vfork.
        self.assertEqual(ended["processes"], truth["children"]["acquired_count"])

    def assert_parent(self, leaktrace, target, truth):
        report = [r for r in lines_of(leaktrace.json_path, "report")
                  if r["final"] and r["target"]["pid"] == target.pid][-1]
        # Stacks of a program just executed end where its code is not known yet.
        self.assert_no_loss(report, "RELEASE", "ACQUIRE")
        self.assert_truth(report, {"parent_site": truth["parent_site"]})

    def end(self, leaktrace):
        leaktrace.signal(signal.SIGINT)
        self.assertEqual(leaktrace.wait(), 0, leaktrace.stderr)


class Follow(Session):
    def run_forks(self, *arguments, options=()):
        target = self.target("forks", *arguments)
        leaktrace = self.leaktrace(target, "--follow", "--kinds", "heap", "--top", 100, *options)
        target.go()
        return target, leaktrace

    def finish(self, target, leaktrace):
        truth = target.truth()
        self.end(leaktrace)
        self.assert_parent(leaktrace, target, truth)
        self.assert_children(leaktrace, target, truth)
        self.assertEqual(target.quit(), 0)
        return truth

    def test_children_are_traced_from_birth_to_death(self):
        target, leaktrace = self.run_forks(160, 2000)
        self.finish(target, leaktrace)

    def test_any_thread_may_fork(self):
        target, leaktrace = self.run_forks(160, 5000, 4)
        self.finish(target, leaktrace)

    def test_a_recording_says_the_same(self):
        recording = self.directory / "forks.ltrec"
        target, leaktrace = self.run_forks(80, 2000, options=("--record", recording))
        self.finish(target, leaktrace)
        again = self.directory / "again.ndjson"
        replay = harness.run(LEAKTRACE, "--top", "100", "--json", again, "replay", recording)
        self.assertEqual(replay.returncode, 0, replay.stderr)
        self.assertEqual(again.read_text(), leaktrace.json_path.read_text())

    def test_200_a_second_for_a_minute(self):
        target, leaktrace = self.run_forks(12000, 5000)
        time.sleep(10)
        early = open_fds(leaktrace.pid), rss_kib(leaktrace.pid)
        truth = target.truth()
        # The life of the last child is told within a turn of the reader.
        harness.wait_until(lambda: map_entries(leaktrace.pid, "lt_targets") == 1, "children gone")
        late = open_fds(leaktrace.pid), rss_kib(leaktrace.pid)
        print(f"     200 forks/s for a minute: {early[0]} then {late[0]} descriptors, {early[1]} then "
              f"{late[1]} KiB; {truth['children']['acquired_count']} children")
        self.assertLess(late[0], early[0] + 50)
        self.assertLess(late[1], early[1] + 16384)
        self.assertEqual(map_entries(leaktrace.pid, "lt_process_spac"), 1)
        self.assertLessEqual(map_entries(leaktrace.pid, "lt_threads"), 1)
        self.end(leaktrace)
        self.assert_parent(leaktrace, target, truth)
        self.assert_children(leaktrace, target, truth)
        self.assertEqual(target.quit(), 0)
        self.assertEqual(truth["children"]["acquired_count"], 12000)

    def test_a_bystander_has_no_breakpoints(self):
        bystander, target = self.target("victim"), self.target("forks", 400, 2000)
        before, traced_before = code_of(bystander.pid), code_of(target.pid)
        leaktrace = self.leaktrace(target, "--follow", "--kinds", "heap", "--top", 100)
        target.go()
        harness.wait_until(lambda: self.totals(leaktrace), "a round with children")
        self.assertEqual(code_of(bystander.pid), before)
        self.assertNotEqual(code_of(target.pid), traced_before)
        truth = target.truth()
        self.end(leaktrace)
        self.assertEqual(code_of(target.pid), traced_before)
        self.assert_children(leaktrace, target, truth)
        self.assertEqual(target.quit(), 0)


EXEC_BY_A_THREAD = """
import os, sys, threading
sys.stdin.readline()
for _ in range(10):
    child = os.fork()
    if not child:
        threading.Thread(target=os.execv, args=("/bin/true", ["true"])).start()
        threading.Event().wait()
    os.waitpid(child, 0)
print("done", flush=True)
sys.stdin.readline()
"""


class Threads(Session):
    def test_an_exec_by_any_thread_leaves_nothing_behind(self):
        target = self.own(harness.Process([sys.executable, "-c", EXEC_BY_A_THREAD]))
        leaktrace = self.own(harness.Leaktrace(target.pid, self.directory, "--follow"))
        target.say("go")
        self.assertEqual(target.line(), "done")
        harness.wait_until(lambda: map_entries(leaktrace.pid, "lt_targets") == 1, "children gone")
        self.assertLessEqual(map_entries(leaktrace.pid, "lt_threads"), 1)
        target.say("end")
        self.assertEqual(leaktrace.wait(), 0, leaktrace.stderr)
        self.assertEqual(self.totals(leaktrace)[-1]["ended"]["processes"], 20)


class Many(Session):
    def test_several_pids_each_with_its_own_report_and_a_total(self):
        targets = [self.target("forks", 40, 1000) for _ in range(3)]
        pids = ",".join(str(t.pid) for t in targets)
        leaktrace = self.own(harness.Leaktrace(pids, self.directory, "--top", 1000))
        truths = [{"parent_site": t.go().truth()["parent_site"]} for t in targets]
        self.end(leaktrace)
        finals = {r["target"]["pid"]: r for r in lines_of(leaktrace.json_path, "report") if r["final"]}
        self.assertEqual(set(finals), {t.pid for t in targets})
        for target, truth in zip(targets, truths):
            self.assert_truth(finals[target.pid], truth)
            self.assertEqual(target.quit(), 0)
        total = self.totals(leaktrace)[-1]
        self.assertTrue(total["final"])
        self.assertEqual(total["totals"]["live_count"],
                         sum(r["totals"]["live_count"] for r in finals.values()))

    def test_one_ends_and_the_others_go_on(self):
        targets = [self.target("forks", 40, 1000) for _ in range(2)]
        leaktrace = self.own(harness.Leaktrace(",".join(str(t.pid) for t in targets), self.directory,
                                               "--top", 1000))
        truths = [{"parent_site": t.go().truth()["parent_site"]} for t in targets]
        self.assertEqual(targets[0].quit(), 0)
        ended = harness.wait_until(
            lambda: [r for r in lines_of(leaktrace.json_path, "report") if r["final"]], "its report")
        self.assertEqual([r["target"]["pid"] for r in ended], [targets[0].pid])
        self.assertEqual(ended[0]["end"]["reason"], "exited")
        self.assert_truth(ended[0], truths[0])
        self.assertTrue(leaktrace.alive())
        self.assertEqual(targets[1].quit(), 0)
        self.assertEqual(leaktrace.wait(), 0, leaktrace.stderr)
        last = lines_of(leaktrace.json_path, "report")[-1]
        self.assertEqual((last["final"], last["target"]["pid"]), (True, targets[1].pid))
        self.assert_truth(last, truths[1])

    def test_one_executes_and_ends_and_the_other_lost_nothing(self):
        target = self.target("forks", 40, 1000)
        other = self.own(harness.Process(["sh", "-c", "read line; exec sh -c :"]))
        leaktrace = self.own(harness.Leaktrace(f"{target.pid},{other.pid}", self.directory))
        other.say("go")
        self.assertEqual(other.wait(), 0)
        final = harness.wait_until(
            lambda: [r for r in lines_of(leaktrace.json_path, "report") if r["final"]], "its report")
        self.assertEqual(final[0]["end"]["reason"], "exec")
        target.go().truth()
        self.assertEqual(target.quit(), 0)
        self.assertEqual(leaktrace.wait(), 0, leaktrace.stderr)
        self.assert_no_loss(lines_of(leaktrace.json_path, "report")[-1])

    def test_by_name(self):
        name = f"lt-{os.getpid()}"
        path = self.directory / name
        path.write_bytes((WORKLOADS / "forks").read_bytes())
        path.chmod(0o755)
        targets = [self.own(harness.Target(name, 40, 1000, path=path)) for _ in range(2)]
        output = self.directory / "name.ndjson"
        leaktrace = self.own(harness.Process([LEAKTRACE, "-n", name, "--json", output, "1"]))
        harness.wait_until(lambda: leaktrace.stderr.count("leaktrace: attached") == 2, "attached")
        for target in targets:
            target.go().truth()
            self.assertEqual(target.quit(), 0)
        self.assertEqual(leaktrace.wait(), 0)
        self.assertEqual({r["target"]["pid"] for r in lines_of(output, "report")},
                         {t.pid for t in targets})

    def test_nothing_of_that_name(self):
        result = harness.run(LEAKTRACE, "-n", "no-such-program-here", "1")
        self.assertEqual(result.returncode, 5, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1)


class Command(Session):
    PATIENT = True

    def command(self, *arguments, options=()):
        output = self.directory / "command.ndjson"
        result = harness.run(LEAKTRACE, "--json", output, "--top", "1000", *map(str, options), "1", "--",
                             *map(str, arguments))
        return result, [r for r in lines_of(output, "report") if r["final"]] if output.exists() else []

    def test_from_the_first_allocation(self):
        result, reports = self.command(WORKLOADS / "forks", "image", options=("--kinds", "heap"))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(len(reports), 1)
        self.assert_no_loss(reports[0])
        site = harness.sites_of(reports[0], "image_site")
        self.assertEqual([(s["acquired_count"], s["released_count"]) for s in site], [(40, 33)])
        self.assertEqual(site[0]["stack_end"], None)
        self.assertEqual(reports[0]["end"], {"reason": "exited", "status": 0})
        self.assertEqual(reports[0]["totals"]["unknown_released"], 0)

    def test_its_exit_code(self):
        for script, code in (("exit 7", 7), ("kill -9 $$", 128 + 9), ("true", 0)):
            with self.subTest(script=script):
                result, reports = self.command("sh", "-c", script, options=("--propagate-exit",))
                self.assertEqual(result.returncode, code, result.stderr)
                self.assertEqual(len(reports), 1)
        result, _ = self.command("sh", "-c", "exit 7")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_its_output_is_its_own(self):
        result, _ = self.command("echo", "said")
        self.assertIn("said\n", result.stdout)

    def test_what_ends_while_it_is_loaded(self):
        for option in ("--propagate-exit",), ("--propagate-exit", "--follow"):
            result, reports = self.command("/lib64/ld-linux-x86-64.so.2", "/no/such/program", options=option)
            self.assertEqual(result.returncode, 127, result.stderr)
            self.assertEqual([r["end"] for r in reports], [{"reason": "exited", "status": 127}])

    def test_what_cannot_be_started(self):
        result, _ = self.command("/no/such/program")
        self.assertEqual(result.returncode, 1)
        self.assertIn("/no/such/program", result.stderr)

    def test_followed(self):
        result, reports = self.command("sh", "-c", f"'{WORKLOADS}/forks' image; '{WORKLOADS}/forks' image; :",
                                       options=("--follow",))
        self.assertEqual(result.returncode, 0, result.stderr)
        totals = lines_of(self.directory / "command.ndjson", "total")
        self.assertTrue(totals[-1]["final"])
        ended = totals[-1]["ended"]
        self.assertIn(ended["processes"], (2, 4), totals[-1])  # with vfork, with fork and exec
        self.assertGreaterEqual(ended["acquired_count"], 80)
        self.assertGreaterEqual(ended["released_count"], 66)


class Late(Session):
    """An allocator that is loaded when leaktrace has long been there."""
    PATIENT = True

    def attached_late(self, *options):
        target = self.target("late", "libmimalloc.so.2", "mi_malloc", "mi_free")
        leaktrace = self.leaktrace(target, "--kinds", "heap", "--top", 100, *options)
        target.go()
        self.assertEqual(target.line(), "holds")
        time.sleep(1)  # what is promised: within a second of the mapping
        target.say("next")
        truth = target.truth()
        report = leaktrace.stop()
        self.assert_no_loss(report, "RELEASE", "ACQUIRE")
        self.assert_truth(report, truth)
        self.assertEqual(target.quit(), 0)

    def test_it_is_picked_up(self):
        self.attached_late()

    def test_it_is_picked_up_with_children(self):
        self.attached_late("--follow")


class ControlGroup(Session):
    ROOT = Path("/sys/fs/cgroup")

    def setUp(self):
        super().setUp()
        base = self.ROOT if (self.ROOT / "cgroup.procs").exists() else next(
            p.parent for p in sorted(self.ROOT.glob("*/cgroup.procs")))
        self.group = base / f"leaktrace-test-{os.getpid()}"
        self.inner = self.group / "inner"
        self.inner.mkdir(parents=True)
        self.addCleanup(lambda: [harness.wait_until(lambda g=g: self.remove(g), f"no more {g}")
                                 for g in (self.inner, self.group)])

    @staticmethod
    def remove(group):
        try:
            group.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False  # a process in it is still on its way out
        return True

    def test_all_in_it_and_below(self):
        # Processes live in leaves: cgroup v2 allows nothing else once controllers are handed down.
        targets = [self.target("forks", 20, 1000) for _ in range(2)]
        for target, group in zip(targets, (self.inner, self.group)):
            (group / "cgroup.procs").write_text(str(target.pid))
        output = self.directory / "group.ndjson"
        leaktrace = self.own(harness.Process(
            [LEAKTRACE, "--cgroup", str(self.group), "--kinds", "heap", "--json", output, "1"]))
        harness.wait_until(lambda: leaktrace.stderr.count("leaktrace: attached") == 2, "attached")
        for target in targets:
            target.go().truth()
            self.assertEqual(target.quit(), 0)
        self.assertEqual(leaktrace.wait(), 0, leaktrace.stderr)
        self.assertEqual({r["target"]["pid"] for r in lines_of(output, "report")},
                         {t.pid for t in targets})

    def test_an_empty_one(self):
        result = harness.run(LEAKTRACE, "--cgroup", str(self.group), "1")
        self.assertEqual(result.returncode, 5, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1)
