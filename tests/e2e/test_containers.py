# SPDX-License-Identifier: GPL-2.0-or-later
"""A target among files, pids and users of its own, traced from outside: counts, stacks and names
are the same as from inside."""

import os
import re
import shutil
import sys
from pathlib import Path

import harness
import test_jit
import test_names
from harness import TRUTH_FIELDS, Leaktrace, Process, Target, run
from test_cycles import code_of
from test_names import build_id_of
from test_stacks import LIBC, Frame, fits, is_complete

CONTAIN = [sys.executable, Path(__file__).with_name("contain.py")]
FAMILY = (1, 20000, 1)  # one thread and a seed: the same each time
FIRST_HOST_UID, IDS = 100000, 65536
INSIDE_UID = 1000


def needed_files(program):
    """The libraries and the loader, by their paths."""
    text = run("ldd", program).stdout
    return [Path(path) for path in re.findall(r"(/\S+) \(0x", text)]


def libc_of(program):
    return next(f for f in needed_files(program) if f.name == "libc.so.6")


def another_build_id(file):
    """The same code, but no debug file that is installed outside is its own any more."""
    content, build_id = file.read_bytes(), bytes.fromhex(build_id_of(file))
    if content.count(build_id) != 1:
        raise AssertionError(f"{file} does not have its build-id once")
    file.write_bytes(content.replace(build_id, build_id[::-1]))


class Tree:
    """A root of its own: a program with its libraries, all of them copies."""

    def __init__(self, path):
        self.path = path
        for name in ("proc", "sys", "tmp"):
            (path / name).mkdir(parents=True)
        (path / "tmp").chmod(0o1777)

    def inside(self, path):
        return self.path / str(path).lstrip("/")

    def add(self, file, path):
        """A copy of the file at this path in there, and of what it needs at theirs."""
        for source, place in [(file, path), *((f, f) for f in needed_files(file))]:
            place = self.inside(place)
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, place)
                if source != file:
                    another_build_id(place)
        return self

    def build_ids(self, *files):
        return {str(file): build_id_of(self.inside(file)) for file in files}


class Contained(Target):
    """A workload in a container: pid is its number outside, ns_pid what it calls itself."""

    def __init__(self, path, *arguments, tree, overlay=(), host_uid=0, uid=0):
        how = ["overlay", *overlay] if overlay else ["run"]
        Process.__init__(self, [*CONTAIN, *how, tree, host_uid, uid, path, *arguments])
        if host_uid:
            self.expect("unshared")
            for kind in ("uid_map", "gid_map"):
                Path(f"/proc/{self.pid}/{kind}").write_text(f"0 {host_uid} {IDS}\n")
            self.say("mapped")
        self.pid = int(self.expect(r"pid (\d+)"))
        self.ns_pid = int(self.expect(r"ready (\d+)"))

    def expect(self, pattern):
        line = self.line()
        match = re.fullmatch(pattern, line)
        if not match:
            raise AssertionError(f"{line!r}, not {pattern!r}: {self.stderr}")
        return match.group(match.lastindex or 0)


class Inside(Leaktrace):
    """leaktrace among the files of the target; written is where those that it writes appear."""

    def __init__(self, target, root, written):
        self.json_path = written / "reports.ndjson"
        Process.__init__(self, [*CONTAIN, "enter", target.pid, root, "/leaktrace", "-p", target.pid,
                                "--kinds", Leaktrace.MEMORY, "--json", "/reports.ndjson",
                                "--top", 1000, 1])
        self.wait_attached()


class ContainerCase(harness.TestCase):
    PATIENT = True

    maxDiff = None

    def setUp(self):
        """Outside, another program lies at the path of the workload."""
        super().setUp()
        self.program = self.directory / "program"
        shutil.copy(harness.WORKLOADS / "throwing", self.program)
        self.libc = libc_of(harness.LEAKTRACE)

    def tree(self, workload="family", name="tree"):
        return (Tree(self.directory / name)
                .add(harness.WORKLOADS / workload, self.program)
                .add(harness.LEAKTRACE, "/leaktrace"))

    def contained(self, tree, *arguments, **options):
        return self.own(Contained(self.program, *arguments, tree=tree, **options))

    def assert_frames(self, site, build_ids):
        """Whole, and each frame is in the container's program or libc."""
        frames = [frame.function for frame in Frame.of(site)]
        self.assertTrue(is_complete(site), site["stack_end"])
        self.assertTrue(fits(Frame.of(site)[-4:], ["main", LIBC, LIBC, "_start"], True) or
                        fits(Frame.of(site)[-2:], [LIBC, LIBC], True), frames)
        for frame in site["frames"]:
            file = self.libc if "libc.so" in frame["module"] else self.program
            self.assertEqual(frame["build_id"], build_ids[str(file)], frame)

    def result(self, report):
        """What is to be the same from outside and from inside."""
        keys = ("func", "file", "line", "build_id", "offset", "inlined")
        return {site["stack_id"]: ([site[f] for f in TRUTH_FIELDS], site["stack_end"],
                                   [[frame[key] for key in keys] for frame in site["frames"]])
                for site in report["sites"]}

    def trace_both(self, target, work, root="/", written=None):
        """From outside and from inside at once: (what work returned, final report, text)."""
        outside = self.leaktrace(target, "--top", 1000)
        inside = self.own(Inside(target, root, written))
        done = work()
        reports = [outside.stop(), inside.stop()]
        for report in reports:
            self.assert_no_loss(report)
            self.assertEqual(report["target"]["pid"], target.pid)
        self.assertEqual(*map(self.result, reports))
        return done, reports[0], outside.stdout

    def assert_family(self, report, truth, build_ids):
        self.assert_truth(report, truth)
        for site in (s for function in truth for s in harness.sites_of(report, function)):
            self.assert_frames(site, build_ids)

    def trace_family(self, target, tree, root="/", written=None):
        truth, report, text = self.trace_both(target, lambda: target.go().truth(), root,
                                              written or tree.path)
        self.assert_family(report, truth, tree.build_ids(self.program, self.libc))
        self.assertEqual(target.quit(), 0)
        return report, text

    def assert_both_pids(self, target, report, text):
        self.assertNotEqual(target.pid, target.ns_pid)
        self.assertEqual(report["target"]["ns_pid"], target.ns_pid)
        self.assertIn(f"(pid {target.pid}, {target.ns_pid} inside its namespace)", text)


class SameFromInside(ContainerCase):
    def test_chroot(self):
        tree = self.tree()
        target = self.target(None, tree.path, self.program, *FAMILY, path=shutil.which("chroot"))
        report, text = self.trace_family(target, tree, root=tree.path)
        self.assertEqual(report["target"]["ns_pid"], target.pid)
        self.assertIn(f"(pid {target.pid}", text)
        self.assertNotIn("inside its namespace", text)

    def test_mount_and_pid_namespaces(self):
        tree = self.tree()
        target = self.contained(tree.path, *FAMILY)
        self.assert_both_pids(target, *self.trace_family(target, tree))

    def test_user_namespace_and_another_user_in_it(self):
        tree = self.tree()
        target = self.contained(tree.path, *FAMILY, host_uid=FIRST_HOST_UID, uid=INSIDE_UID)
        self.assertEqual(os.stat(f"/proc/{target.pid}").st_uid, FIRST_HOST_UID + INSIDE_UID)
        self.assert_both_pids(target, *self.trace_family(target, tree))

    def test_overlay(self):
        """As images are mounted: /proc tells of other devices and inodes than stat(2)."""
        tree = self.tree(name="lower")
        places = [self.directory / name for name in ("upper", "work", "merged")]
        for place in places:
            place.mkdir()
        target = self.contained(places[2], *FAMILY, overlay=(tree.path, *places[:2]))
        self.assert_both_pids(target, *self.trace_family(target, tree, written=places[0]))

    def test_debug_files_in_the_container(self):
        """They are installed there alone."""
        tree = self.tree("names")
        program = tree.inside(self.program)
        build_id = build_id_of(program)
        debug = tree.inside(test_names.BUILD_IDS / build_id[:2] / f"{build_id[2:]}.debug")
        debug.parent.mkdir(parents=True)
        test_names.command("objcopy", "--only-keep-debug", program, debug)
        test_names.command("strip", "--strip-all", program)
        target = self.contained(tree.path)
        truth, report, _ = self.trace_both(target, lambda: target.go().truth()["leak"],
                                           written=tree.path)
        site, = (s for s in report["sites"] if s["acquired_count"] == truth["count"] and
                 s["acquired_bytes"] == truth["count"] * truth["size"])
        self.assertEqual([f["func"] for f in site["frames"] if f["module"] == str(self.program)
                          and f["func"]][-2:], ["main", "_start"])
        leaf = next(f for f in site["frames"] if f["func"] and "add" in f["func"])
        self.assertEqual((Path(leaf["file"]).name, leaf["line"]),
                         ("names.cc", harness.marked_line("names.cc")))
        self.assertEqual(target.quit(), 0)


class Upgraded(ContainerCase):
    """What is mapped no longer lies at its path."""

    def replace(self, tree, file):
        """As package managers do it: another file is renamed over it."""
        new = tree.inside(f"{file}.new")
        shutil.copy(harness.WORKLOADS / "throwing" if file == self.program else file, new)
        new.rename(tree.inside(file))

    def delete(self, tree, file):
        tree.inside(file).unlink()

    def check(self, upgrade, late):
        tree = self.tree()
        build_ids = tree.build_ids(self.program, self.libc)
        target = self.contained(tree.path, *FAMILY)
        leaktrace = self.leaktrace(target, "--top", 1000) if late else None
        for file in self.program, self.libc:
            upgrade(tree, file)
        leaktrace = leaktrace or self.leaktrace(target, "--top", 1000)
        self.assertIn(f"{self.libc} (deleted)", Path(f"/proc/{target.pid}/maps").read_text())
        truth = target.go().truth()
        report = leaktrace.stop()
        self.assert_no_loss(report)
        self.assert_family(report, truth, build_ids)
        self.assertEqual(target.quit(), 0)

    def test_replaced_before_the_attach(self):
        self.check(self.replace, late=False)

    def test_replaced_while_traced(self):
        self.check(self.replace, late=True)

    def test_deleted_before_the_attach(self):
        self.check(self.delete, late=False)

    def test_deleted_while_traced(self):
        self.check(self.delete, late=True)


class JitNames(ContainerCase):
    COUNT, SIZE, LEAK, OUTER = (getattr(test_jit.WrittenByJcmd, name)
                                for name in ("COUNT", "SIZE", "LEAK", "OUTER"))

    def check(self, **options):
        tree = self.tree("perfmap")
        target = self.contained(tree.path, **options)
        for pid in (target.pid, target.ns_pid):  # nobody's, but as new and of root
            decoy = Path(f"/tmp/perf-{pid}.map")
            with open(decoy, "x", encoding="ascii") as file:
                self.addCleanup(decoy.unlink)
                file.write("0 7fffffffffff wrong\n")

        def work():
            for line in (f"map {self.LEAK}", "leak"):
                target.say(line)
                self.assertEqual(target.line(), "done")
        _, report, _ = self.trace_both(target, work, written=tree.path)
        self.assertTrue(tree.inside(f"/tmp/perf-{target.ns_pid}.map").exists())
        site, = (s for s in report["sites"] if s["acquired_count"] == self.COUNT and
                 s["acquired_bytes"] == self.COUNT * self.SIZE)
        self.assertEqual([f["func"] for f in site["frames"][:5]],
                         [self.LEAK, self.OUTER, "leak", "obey", "main"])
        self.assertEqual(target.quit(), 0)

    def test_the_map_is_the_container_s(self):
        self.check()

    def test_with_a_user_of_its_own(self):
        self.check(host_uid=FIRST_HOST_UID, uid=INSIDE_UID)


class Bystanders(ContainerCase):
    def test_other_containers_are_not_touched(self):
        """Neither one with copies of its own nor one that shares the files."""
        tree, other = self.tree("victim"), self.tree("victim", "other")
        target = self.contained(tree.path, 1, 20000)
        bystanders = [self.contained(tree.path, 1, 20000), self.contained(other.path, 1, 20000)]
        everybody = [target, *bystanders]
        for process in everybody:
            process.go()
        before = [code_of(p.pid) for p in everybody]
        leaktrace = self.leaktrace(target)
        leaktrace.wait_report()
        during = [code_of(p.pid) for p in everybody]
        report = leaktrace.stop()
        self.assertGreater(report["totals"]["acquired_count"], 100)
        self.assertEqual([a == b for a, b in zip(before, during)], [False, True, True])
        for process in everybody:
            self.assert_works(process)
            self.assertEqual(process.quit(), 0)
