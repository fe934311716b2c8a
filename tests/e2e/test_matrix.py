# SPDX-License-Identifier: GPL-2.0-or-later
"""Every function of every allocator, in every way that it gets into a process: counts are exact.

One program (tests/workloads/matrix*) is linked with each allocator in each way, and traced once for
each: a cell.  Its cases are functions, that is sites; a case's name begins with its group.
"""

from typing import NamedTuple

import harness

ROUNDS = 120  # of every case, in each thread
C = ("malloc", "realloc", "aligned")
CXX = ("sized", "new")
TCACHE_BLOCKS = 64 * 7  # glibc: TCACHE_MAX_BINS, TCACHE_FILL_COUNT


class Cell(NamedTuple):
    allocator: str           # the one that malloc is of, then those that are called by name
    linkage: str
    program: str             # in $BUILD/matrix
    groups: tuple = C + CXX  # of which every case is run
    preload: str = ""
    threads: int = 1
    leave_out: tuple = ()    # what is not run after all, see LEFT_OUT
    options: tuple = ()      # of leaktrace; {} is the program


def own_cell(allocator, linkage, threads=1, **more):
    """An allocator in place of libc's, with the functions of its own."""
    group = allocator.partition("_")[0]
    preload = f"lib{allocator}.so" if linkage == "preloaded" else ""
    if group == "mimalloc":
        more["leave_out"] = ("new_fails",)
    return Cell(allocator, linkage, "glibc-shared" if preload else f"{allocator}-{linkage}",
                C + CXX + (group,), preload, threads, **more)


CELLS = (
    Cell("glibc", "shared", "glibc-shared", threads=4),
    Cell("glibc", "static", "glibc-static", threads=4),
    Cell("glibc", "static-pie", "glibc-static-pie"),
    Cell("musl", "shared", "musl-shared", groups=C, threads=4, leave_out=("malloc_strdup",)),
    Cell("musl", "static", "musl-static", groups=C, leave_out=("malloc_strdup",)),
    own_cell("jemalloc", "shared"),
    own_cell("jemalloc", "preloaded", 4),
    own_cell("jemalloc", "archive"),  # in an executable that is dynamic otherwise
    own_cell("jemalloc", "static", 4),
    own_cell("tcmalloc", "shared", 4),
    own_cell("tcmalloc", "preloaded"),
    own_cell("tcmalloc", "archive"),
    own_cell("tcmalloc", "static"),
    own_cell("tcmalloc_minimal", "shared"),
    own_cell("tcmalloc_minimal", "preloaded"),
    own_cell("tcmalloc_minimal", "archive", 4),
    own_cell("tcmalloc_minimal", "static"),
    own_cell("mimalloc", "shared"),
    own_cell("mimalloc", "preloaded", 4),
    # Several in one process.
    Cell("glibc + mimalloc", "preloaded", "glibc-shared", C + CXX + ("mimalloc",),
         "libc.so.6 libmimalloc.so", threads=4, leave_out=("new_fails",)),
    Cell("glibc + tcmalloc", "preloaded", "glibc-shared", C + CXX + ("tcmalloc",),
         "libc.so.6 libtcmalloc.so"),
    Cell("glibc + jemalloc", "preloaded", "glibc-shared", C + ("jemalloc",),
         "libc.so.6 libjemalloc.so", leave_out=("new", "sized_new")),
    Cell("mimalloc + jemalloc", "preloaded", "glibc-shared", C + CXX + ("jemalloc", "mimalloc"),
         "libmimalloc.so libjemalloc.so", leave_out=("new_fails",)),
    # Under a prefix: one that is known, and one that only the user knows.
    Cell("glibc + je_", "archive", "je_-archive", C + CXX + ("prefixed",),
         leave_out=("prefixed_c23",)),
    Cell("glibc + je_", "static", "je_-static", C + CXX + ("prefixed",), threads=4,
         leave_out=("prefixed_c23",)),
    Cell("glibc + other_", "archive", "other_-archive", C + CXX + ("prefixed",),
         leave_out=("prefixed_sized",), options=("--allocator", "{}:other_")),
)
ALLOCATORS = ("glibc", "musl", "jemalloc", "tcmalloc", "tcmalloc_minimal", "mimalloc")
LINKAGES = ("shared", "preloaded", "static")
NO_CELL = {
    ("glibc", "preloaded"): "it is the libc of any program that could preload it",
    ("musl", "preloaded"): "no program can have two libcs, and a musl one has it anyhow",
    ("mimalloc", "static"): "Debian has no archive of it",
}

# What a cell's groups have that is not run; any other case of them must be.
LEFT_OUT = {
    ("mimalloc", "new_fails"): "built as C, it ends the program where new should throw",
    ("glibc + jemalloc", "new"): "jemalloc's delete calls free, which is glibc's here",
    ("glibc + jemalloc", "sized_new"): "the same",
    ("musl", "malloc_strdup"): "without unwind tables or frame pointers, who called it is unknown",
    ("musl", "new"): "Debian has no libstdc++ for musl",
    ("musl", "sized"): "the same, and no free_sized",
    ("je_", "prefixed_c23"): "jemalloc has free_sized since 5.3.1",
    ("other_", "prefixed_sized"): "its sdallocx is behind its free_sized",
}
# Loss of detail that lies in the allocator's file, not in leaktrace.
DETAIL = {
    "musl": {"stack_no_frame"},  # its code that starts main and threads has no unwind tables
}
# What only newer versions have is run where it is there, and not missed where it is not.
MAY_LACK = {
    "aligned_pvalloc": "musl has none, jemalloc since 5.3.1",
    "sized_malloc": "free_sized is of C23",
    "sized_calloc": "the same",
    "sized_realloc": "the same",
    "sized_aligned": "free_aligned_sized is of C23",
}


def group_of(name):
    return name.partition("_")[0]


def case_of(site, names):
    """The first of the cases in a site's stack; what an exception needs on its way is no case's."""
    for function in (frame.get("func") or "" for frame in site["frames"]):
        if function in names:
            return function
        if function.startswith(("__cxa_", "_Unwind_")):
            return None
    return None


def counted(report, names):
    """Sums of the report by case."""
    sums = {name: dict.fromkeys(harness.TRUTH_FIELDS, 0) for name in names}
    for site in report["sites"]:
        case = case_of(site, sums)
        if case:
            for field in harness.TRUTH_FIELDS:
                sums[case][field] += site[field]
    return sums


class Matrix(harness.TestCase):
    def target_of(self, cell):
        program = harness.BUILD / "matrix" / cell.program
        preload = [f"LD_PRELOAD={cell.preload}"] if cell.preload else []
        return self.own(harness.Target(cell.program, *preload, program, cell.threads, ROUNDS,
                                       *cell.leave_out, path="/usr/bin/env"))

    def run_cell(self, cell):
        """Report and truth of a session."""
        target = self.target_of(cell)
        options = [o.format(harness.BUILD / "matrix" / cell.program) for o in cell.options]
        leaktrace = self.leaktrace(target, "--top", 1000, *options)
        truth = target.go().truth()
        report = leaktrace.stop()
        self.assertEqual(target.quit(), 0, target.stderr)
        return report, truth

    def check_cell(self, cell, report, truth):
        ours = counted(report, truth)
        wrong = [f"{name} {field}: {ours[name][field]}, truth {counts[field]}"
                 for name, counts in truth.items() for field in harness.TRUTH_FIELDS
                 if ours[name][field] != counts[field]]
        self.maxDiff = None
        self.assertEqual(wrong, [], f"loss: {report['loss']}")
        self.assert_no_loss(report, "RELEASE", "ACQUIRE")
        self.assertEqual(set(harness.lost(report, "DETAIL")) - DETAIL.get(cell.allocator, set()),
                         set())
        # A thread's cache is passed to glibc's free again at its end.
        cached = cell.threads * TCACHE_BLOCKS if cell.allocator.startswith("glibc") else 0
        self.assertLessEqual(report["totals"]["unknown_released"], cached)

    def check_cases(self, cell, truth):
        """All that the cell is said to run was run, and nothing else."""
        for name, counts in truth.items():
            wanted = group_of(name) in cell.groups and not name.startswith(cell.leave_out or "-")
            if name not in MAY_LACK:
                self.assertEqual(counts["acquired_count"] > 0, wanted, name)

    @staticmethod
    def row(cell, report, truth):
        """Blocks acquired, by group; both figures where they differ."""
        ours = counted(report, truth)
        columns = []
        for group in C + CXX + ("own",):
            sums = [sum(c["acquired_count"] for n, c in counts.items()
                        if group_of(n) == group or
                        group == "own" and group_of(n) not in C + CXX)
                    for counts in (ours, truth)]
            columns.append("-" if sums == [0, 0] else str(sums[1]) if sums[0] == sums[1] else
                           f"{sums[0]}/{sums[1]}")
        wrong = [n for n in truth if ours[n] != truth[n]]
        return [cell.allocator, cell.linkage, str(cell.threads), *columns, str(len(wrong))]

    @staticmethod
    def print_table(rows):
        head = ["allocator", "linkage", "threads", *C, *CXX, "own", "wrong"]
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        for row in [head, *rows]:
            print(" ".join(text.ljust(width) if i < 2 else text.rjust(width)
                           for i, (text, width) in enumerate(zip(row, widths))), flush=True)

    def test_every_cell(self):
        rows = []
        for cell in CELLS:
            with self.subTest(allocator=cell.allocator, linkage=cell.linkage):
                report, truth = self.run_cell(cell)
                rows.append(self.row(cell, report, truth))
                self.check_cases(cell, truth)
                self.check_cell(cell, report, truth)
        self.print_table(rows)

    def test_no_cell_is_forgotten(self):
        cells = {(cell.allocator, cell.linkage) for cell in CELLS}
        for allocator in ALLOCATORS:
            for linkage in LINKAGES:
                pair = (allocator, linkage)
                self.assertNotEqual(pair in cells, pair in NO_CELL, pair)
        for cell in CELLS:
            names = set(cell.allocator.split(" + ")) | {cell.allocator}
            for part in cell.leave_out:
                self.assertTrue(any((name, part) in LEFT_OUT for name in names), (cell, part))
            for group in set(C + CXX) - set(cell.groups):
                self.assertTrue(any((name, part) in LEFT_OUT for name in names
                                    for part in (group, f"{group}_new")), (cell, group))
