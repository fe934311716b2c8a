# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the growth of the resident set comes from: known growth of every kind gets its name."""

import harness

MIB = 1 << 20
SLACK = MIB // 4  # pages of libraries that come in meanwhile, the allocator's own records
# What the workload "memory" does.
BLOCKS, FREED, MAPPINGS, SHARED, STACKS, GLOBALS, BEFORE = 4, 4, 6, 3, 1, 1, 5
TOTAL = BLOCKS + FREED + MAPPINGS + SHARED + STACKS + GLOBALS + BEFORE


class Memory(harness.TestCase):
    def grown(self, *options):
        target = self.target("memory")
        leaktrace = self.leaktrace(target, *options)
        target.go().truth()
        final = leaktrace.stop()
        self.assert_no_loss(final)
        reports = leaktrace.reports()
        for report in reports:
            self.assert_adds_up(report)
        self.assertAlmostEqual(final["rss_growth_bytes"], TOTAL * MIB, delta=2 * SLACK)
        return final["memory"]

    def assert_adds_up(self, report):
        memory = report["memory"]
        self.assertEqual(memory["explained_bytes"] + memory["rest_bytes"],
                         report["rss_growth_bytes"])
        for whole, parts in (("explained_bytes", "explained"), ("rest_bytes", "rest")):
            known = [part for part in memory[parts].values() if part is not None]
            self.assertEqual(sum(known), memory[whole], memory)

    def assert_parts(self, memory, **expected):
        parts = memory["explained"] | memory["rest"]
        for name, mib in expected.items():
            self.assertAlmostEqual(parts[name], mib * MIB, delta=SLACK, msg=f"{name}: {memory}")

    def test_every_part_has_its_name(self):
        memory = self.grown()
        self.assertIsNone(memory["rest"]["undivided"])
        self.assert_parts(memory, heap=BLOCKS, mappings=MAPPINGS + SHARED, thread_stacks=STACKS,
                          allocator=FREED, before_attach=BEFORE, globals=GLOBALS, shared_memory=0,
                          main_stack=0, other=0)
        self.assertGreaterEqual(memory["mapped"]["plain"], (MAPPINGS + SHARED) * MIB)
        self.assertGreaterEqual(memory["mapped"]["stack"], STACKS * MIB)

    def test_without_mappings_private_memory_is_one_part(self):
        memory = self.grown("--kinds", "heap")
        self.assertEqual(set(memory["mapped"].values()), {None})
        for part in ("mappings", "thread_stacks"):
            self.assertIsNone(memory["explained"][part])
        self.assert_parts(memory, heap=BLOCKS, undivided=FREED + MAPPINGS + STACKS + BEFORE,
                          globals=GLOBALS, shared_memory=SHARED, main_stack=0, other=0)

