# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs as they are shipped: stripped, stacks are told apart by build-id and offset; with their
debug files installed, the same stacks have functions, inlined callers and lines."""

import os
import re
import shutil
from pathlib import Path

import harness
from harness import marked_line, run
from test_stacks import LIBC, Element, Frame, fits, is_complete, size_of

BUILD_IDS = Path("/usr/lib/debug/.build-id")
ANY_NAMED = Element("named...", lambda f: bool(f.function), many=True)
ENTRY = ["main", LIBC, LIBC, "_start"]


def command(*argv):
    done = run(*argv)
    if done.returncode:
        raise AssertionError(f"{argv}: {done.stderr}")
    return done.stdout


def build_id_of(file):
    return re.search(r"Build ID: ([0-9a-f]+)", command("readelf", "-n", file)).group(1)


class NamesCase(harness.TestCase):
    def ship(self, workload):
        """What a packager makes of a program: (stripped program, debug file not yet installed)."""
        program, debug = self.directory / workload, self.directory / f"{workload}.debug"
        shutil.copy(harness.WORKLOADS / workload, program)
        command("objcopy", "--only-keep-debug", program, debug)
        command("strip", "--strip-all", program)
        command("objcopy", f"--add-gnu-debuglink={debug}", program)
        stored = self.directory / "not-installed"
        stored.mkdir()
        return program, debug.rename(stored / debug.name)

    def install_beside(self, program, debug):
        folder = program.parent / ".debug"
        folder.mkdir()
        shutil.copy(debug, folder / debug.name)

    def install_by_build_id(self, program, debug):
        build_id = build_id_of(program)
        place = BUILD_IDS / build_id[:2] / f"{build_id[2:]}.debug"
        made = [f for f in place.parents if not f.exists()]
        place.parent.mkdir(parents=True, exist_ok=True)
        for folder in reversed(made):  # cleanups run backwards: the innermost first
            self.addCleanup(folder.rmdir)
        self.addCleanup(place.unlink)
        shutil.copy(debug, place)

    def leak_of(self, program):
        """Runs it; (the site of its leak, where it was loaded)."""
        target = self.target(None, path=program)
        base = Path(f"/proc/{target.pid}/maps").read_text().split("-", 1)[0]
        leaktrace = self.leaktrace(target, "--top", 1000)
        truth = target.go().truth()["leak"]
        report = leaktrace.stop()
        self.assertEqual(target.quit(), 0)
        sites = [s for s in report["sites"] if s["acquired_count"] and
                 size_of(s) == truth["size"]]
        self.assertEqual([s["acquired_count"] for s in sites], [truth["count"]])
        return sites[0], base

    def assert_nameless(self, site, program):
        """No name of its own, but what finds the place again; whole all the same."""
        self.assertTrue(is_complete(site), site["stack_end"])
        own = [f for f in site["frames"] if f["module"] == str(program)]
        self.assertGreater(len(own), 3)
        self.assertIs(site["frames"][-1], own[-1])  # _start
        for frame in own:
            self.assertEqual([frame[key] for key in ("func", "file", "line", "inlined")],
                             [None, None, None, False])
            self.assertEqual(frame["build_id"], build_id_of(program))
            self.assertIn(frame["offset"], range(1, os.stat(program).st_size))

    def assert_named(self, site, chain, inlined, source):
        """
        The chain, complete; the function named inlined is inlined into another one of the program
        and has the marked line.
        """
        self.assertTrue(is_complete(site), site["stack_end"])
        frames = Frame.of(site)
        self.assertTrue(fits(frames, chain, True), " < ".join(map(str, frames)))
        found = [f for f in site["frames"] if f["func"] == inlined]
        self.assertEqual([f["inlined"] for f in found], [True], site["frames"])
        self.assertEqual(Path(found[0]["file"]).name, source)
        self.assertEqual(found[0]["line"], marked_line(source))

    def check(self, workload, install, chain, inlined, source):
        program, debug = self.ship(workload)
        before, base = self.leak_of(program)
        self.assert_nameless(before, program)
        again, other_base = self.leak_of(program)
        self.assertNotEqual(base, other_base)  # else equal ids would say nothing
        self.assertEqual(again["stack_id"], before["stack_id"])
        install(program, debug)
        after, _ = self.leak_of(program)
        self.assert_named(after, chain, inlined, source)
        self.assertEqual(after["stack_id"], before["stack_id"])
        self.assertEqual(
            [(f.module, f.offset) for f in Frame.of(after)],
            [(f.module, f.offset) for f in Frame.of(before)])


class Names(NamesCase):
    def test_cxx_with_its_debug_file_beside_it(self):
        self.check("names", self.install_beside, [
            "operator new(unsigned long)",
            "void shop::fill<shop::Apple>(shop::Basket<shop::Apple>&, unsigned long)",
            "shop::Customer::visit(std::__cxx11::basic_string<char, std::char_traits<char>, "
            "std::allocator<char> > const&, std::vector<int, std::allocator<int> >&)",
            *ENTRY,
        ], "shop::Basket<shop::Apple>::add(unsigned long)", "names.cc")

    def test_rust_v0_with_its_debug_file_by_build_id(self):
        self.check("names_rust_v0", self.install_by_build_id, [
            "<names::shop::Basket<names::shop::Apple>>::fill",
            "names::shop::visit",
            "names::main",
            ANY_NAMED,
            *ENTRY,
        ], "<names::shop::Basket<names::shop::Apple>>::reserve", "names.rs")

    def test_rust_legacy_with_its_debug_file_beside_it(self):
        self.check("names_rust_legacy", self.install_beside, [
            "names::shop::Basket<T>::fill",
            "names::shop::visit",
            "names::main",
            ANY_NAMED,
            *ENTRY,
        ], "names::shop::Basket<T>::reserve", "names.rs")
