# SPDX-License-Identifier: GPL-2.0-or-later
"""Every stack is the true chain of calls, to its end; or it is a true beginning and says so.

The workloads allocate a size of its own in each chain (tests/workloads/chain.h), so that a site is
known without looking at its frames; here stands which frames it must have.
"""

from pathlib import Path

import harness
from harness import marked_line

FIRST_SIZE, STEP = 20010, 10  # tests/workloads/chain.h
MAX_FRAMES = 127  # include/leaktrace/limits.h

# What __restore_rt is made of: mov $15 (rt_sigreturn), %rax; syscall
SIGRETURN = bytes.fromhex("48c7c00f0000000f05")


class Frame:
    """One return address: a function, and those that were inlined into it at this place."""

    def __init__(self, frames):
        self.frames = frames  # innermost first; the last one is the function itself
        self.function = frames[-1]["func"]
        self.module = frames[-1]["module"]
        self.offset = frames[-1]["offset"]

    def __str__(self):
        return self.function or f"{self.module or 'nowhere'}+{self.offset:#x}"

    @staticmethod
    def of(site):
        """The frames of a site, leaf first."""
        result, inlined = [], []
        for frame in site["frames"]:
            inlined.append(frame)
            if not frame["inlined"]:
                result.append(Frame(inlined))
                inlined = []
        if inlined:
            raise AssertionError("the outermost function of an address is inlined into nothing")
        return result

    def is_in(self, *names):
        return bool(self.module) and Path(self.module).name.startswith(names)


class Element:
    """What an expected chain has beside plain names: a test of one frame; many: of one or more."""

    def __init__(self, name, fits, many=False):
        self.name, self.fits, self.many = name, fits, many

    def __repr__(self):
        return self.name


def is_trampoline(frame):
    """The return from a signal handler, whatever it is called; at its address or one below."""
    if not frame.is_in("libc.so"):
        return False
    with open(frame.module, "rb") as file:
        file.seek(frame.offset)
        return SIGRETURN in file.read(len(SIGRETURN) + 1)


def unloaded(function):
    """A function of code that may be gone: its name, or none."""
    return Element(function, lambda f: f.function == function or not (f.function or f.module))


LIBC = Element("libc", lambda f: f.is_in("libc.so"))
LIBCS = Element("libc...", lambda f: f.is_in("libc.so"), many=True)
LINKER = Element("linker...", lambda f: f.is_in("libc.so", "ld-linux"), many=True)
BOOST = Element("boost", lambda f: f.is_in("libboost_context"))
GENERATED = Element("generated", lambda f: not f.module and not f.function)
TRAMPOLINE = Element("trampoline", is_trampoline)
MAIN = ["main", LIBC, LIBC, "_start"]
THREAD = [LIBC, LIBC]


def fits(frames, chain, whole):
    """The frames are the chain; not whole: or its beginning."""
    if not frames:
        return not (whole and chain)
    if not chain:
        return False
    head = chain[0]
    if isinstance(head, str):
        return frames[0].function == head and fits(frames[1:], chain[1:], whole)
    return head.fits(frames[0]) and (fits(frames[1:], chain[1:], whole) or
                                     (head.many and fits(frames[1:], chain, whole)))


# Generated code keeps its frame pointers here, though leaktrace cannot be sure of that.
WHOLE = (None, "by frame pointers in part: callers may be missing")


def is_complete(site):
    return site["stack_end"] in WHOLE


class Expected:
    """
    chains: the legal ones, whole.  at_least: where the end of the stack cannot be known, so many
    frames will do if the report says that it stops early.
    """

    def __init__(self, *chains, at_least=None):
        self.chains, self.at_least = chains, at_least

    def complaint(self, site):
        frames, complete = Frame.of(site), is_complete(site)
        whole = any(fits(frames, chain, True) for chain in self.chains)
        early = (self.at_least is not None and len(frames) >= self.at_least and
                 any(fits(frames, chain, False) for chain in self.chains))
        if (whole and (complete or self.at_least is not None)) or (early and not complete):
            return None
        return (f"{' < '.join(map(str, frames))}; {site['stack_end'] or 'complete'};\n"
                f"    not: {self.chains}")


def size_of(site):
    """Bytes of each allocation; not an integer when they differ."""
    return site["acquired_bytes"] / site["acquired_count"]


def hold(target, leaktrace, times=1):
    """The target stays in a piece of new code until leaktrace has looked around again."""
    for _ in range(times):
        said = target.line()
        if said != "holds":
            raise AssertionError(f"{target.argv[0]} said {said!r}")
        leaktrace.wait_report()
        leaktrace.wait_report()
        target.say("next")


class StackCase(harness.TestCase):
    @classmethod
    def trace(cls, name, *arguments, ends=False, drive=lambda target, leaktrace: None):
        """
        Runs the workload; (truth, final report).  ends: it allocates while it exits, too;
        drive: what it needs to be told.
        """
        directory = cls.own_directory(cls.addClassCleanup)
        target = harness.Target(name, *arguments)
        cls.addClassCleanup(target.close)
        leaktrace = harness.Leaktrace(target.pid, directory, "--top", 1000)
        cls.addClassCleanup(leaktrace.close)
        target.go()
        drive(target, leaktrace)
        truth = target.truth()
        if ends:
            status, report = target.quit(), leaktrace.final()
        else:
            report, status = leaktrace.stop(), target.quit()
        if status:
            raise AssertionError(f"{name} ended with {status}: {target.stderr}")
        return truth, report

    def sites(self, name):
        sites = [s for s in self.report["sites"] if s["acquired_count"] and
                 size_of(s) == self.truth[name]["size"]]
        self.assertEqual(sum(s["acquired_count"] for s in sites), self.truth[name]["count"], name)
        return sites

    def assert_chains(self, expected):
        for name, chains in expected.items():
            with self.subTest(chain=name):
                sites = self.sites(name)
                self.assertTrue(sites)
                complaints = [c for c in map(chains.complaint, sites) if c]
                if complaints:
                    self.fail(f"{len(complaints)} of {len(sites)} stacks are wrong:\n" +
                              "\n".join(complaints[:10]))

    def assert_no_site_has_two_chains(self):
        last = FIRST_SIZE + STEP * len(self.truth)
        mixed = [size_of(s) for s in self.report["sites"] if s["acquired_count"] and
                 FIRST_SIZE <= size_of(s) < last and (size_of(s) - FIRST_SIZE) % STEP]
        self.assertEqual(mixed, [])

    def assert_cut_at_limit(self, name, head, function):
        """A stack deeper than what is kept: the leaf's end of it."""
        for site in self.sites(name):
            frames = Frame.of(site)
            self.assertEqual(len(frames), MAX_FRAMES)
            self.assertTrue(fits(frames[:len(head)], head, True), list(map(str, frames))[:10])
            self.assertEqual({f.function for f in frames[len(head):]}, {function})
            self.assertRegex(site["stack_end"] or "complete", "limit")


class CompiledCode(StackCase):
    """C without frame pointers, in all shapes."""

    EXPECTED = {
        "deep": Expected([*(f"deep_{n}" for n in range(12, 0, -1)), "case_deep", *MAIN]),
        "realigned": Expected(["realigned_site", "realigned_frame", "case_realigned", *MAIN]),
        "alloca": Expected(["alloca_site", "alloca_frame", "case_alloca", *MAIN]),
        "tail": Expected(["tail_site", "case_tail", *MAIN]),
        "noreturn": Expected(["noreturn_site", "noreturn_last", "noreturn_behind",
                              "case_noreturn", *MAIN]),
        "variadic": Expected(["variadic_site", "case_variadic", *MAIN]),
        "qsort": Expected(["qsort_site", LIBCS, "case_qsort", *MAIN]),
        "once": Expected(["once_site", LIBCS, "case_once", *MAIN]),
        "thread": Expected(["thread_site", "thread_start", *THREAD]),
        "constructor": Expected(["ctor_site", "ctor", LINKER, "open_library", "case_constructor",
                                 *MAIN]),
        "ifunc": Expected(["ifunc_chosen", "case_ifunc", *MAIN]),
        "lazy": Expected(["dl_lazy_site", "dl_lazy", "call_library", "case_lazy", *MAIN]),
        # The linker realigns its stack in a way of its own (_dl_runtime_resolve): what is beyond
        # may be unknown.
        "resolver": Expected(["resolver_site", "choose", LINKER, "dl_choose", "call_library",
                              "case_resolver", *MAIN], at_least=4),
        "atexit": Expected(["atexit_site", LIBC, LIBC, LIBC, LIBC, "_start"]),
    }

    @classmethod
    def setUpClass(cls):
        cls.truth, cls.report = cls.trace("chains", ends=True, drive=hold)

    def test_chains(self):
        self.assertEqual(set(self.EXPECTED) | {"recursion"}, set(self.truth))
        self.assert_chains(self.EXPECTED)
        self.assert_no_site_has_two_chains()

    def test_deep_recursion_is_cut_and_says_so(self):
        self.assert_cut_at_limit("recursion", [], "recursion_step")


class Exceptions(StackCase):
    EXPECTED = {
        "thrown": Expected(["__cxa_allocate_exception", "flight::throws()", "flight::guarded()",
                            "flight::catches()", *MAIN]),
        "destructor": Expected(["flight::Guard::~Guard()", "flight::guarded()",
                                "flight::catches()", *MAIN]),
        "handler": Expected(["flight::handler_site()", "flight::catches()", *MAIN]),
    }

    def test_chains_on_the_way_of_an_exception(self):
        self.truth, self.report = self.trace("throwing")
        self.assertEqual(set(self.EXPECTED), set(self.truth))
        self.assert_chains(self.EXPECTED)


class SwitchedStacks(StackCase):
    CONTEXT = ["context_entry", LIBC]
    EXPECTED = {
        "context": Expected(["context_site", *3 * ["context_step"], *CONTEXT]),
        "leak": Expected(["context_leak", *CONTEXT]),
        # What is below the entry has no unwind information; what is beyond it is another stack.
        "boost": Expected(["boost_site", "boost_step", "boost_entry", BOOST], at_least=3),
        "switched": Expected(["switched_site", "switched_step", "switched_entry",
                              "coroutine_begin"], at_least=3),
        "inherited": Expected(["inherited_site", "inherited_entry", "coroutine_begin"],
                              at_least=2),
        "creator": Expected(["creator_site", "creator_entry", "coroutine_begin"], at_least=2),
    }

    @classmethod
    def setUpClass(cls):
        cls.truth, cls.report = cls.trace("coroutines")

    def test_chains_end_where_the_coroutine_began(self):
        self.assertEqual(set(self.EXPECTED), set(self.truth))
        self.assert_chains(self.EXPECTED)
        self.assert_no_site_has_two_chains()

    def test_a_leak_in_a_coroutine_has_its_line(self):
        for site in self.sites("leak"):
            frame = site["frames"][0]
            self.assertEqual(Path(frame["file"]).name, "coroutines.c")
            self.assertEqual(frame["line"], marked_line("coroutines.c"))


class SignalHandlers(StackCase):
    """On an alternate stack: through the handler and the trampoline to what was interrupted."""

    TIMER_SIGNALS = 300
    FAULT = ["handler_site", "on_fault", TRAMPOLINE]
    RUN = ["run_timer", *MAIN]
    MIX = ["mix_room", "compute", *RUN]
    INTERRUPTED = [
        ["mix_leaf", "mix_saves", "mix_alloca", *MIX],
        ["mix_saves", "mix_alloca", *MIX],
        ["mix_alloca", *MIX],
        ["mix_leaf", *MIX],
        MIX,
        MIX[1:],
        RUN,  # between the start of the timer and that of the work
        [LIBC, *RUN],
    ]
    EXPECTED = {
        "raised": Expected(["handler_site", "on_raise", TRAMPOLINE, LIBCS, "raise_here",
                            "run_raised", *MAIN]),
        "first_instruction": Expected(["handler_site", "on_illegal", TRAMPOLINE,
                                       "first_instruction", "run_first_instruction", *MAIN]),
        "nothing": Expected([*FAULT, GENERATED, "call_nothing", "run_nothing", *MAIN], at_least=3),
        "timer": Expected(*map(["handler_site", "on_timer", TRAMPOLINE].__add__, INTERRUPTED)),
    }

    @classmethod
    def setUpClass(cls):
        cls.truth, cls.report = cls.trace("altstack", cls.TIMER_SIGNALS)

    def test_chains_reach_through_the_handler(self):
        self.assertEqual(set(self.EXPECTED) | {"overflow"}, set(self.truth))
        self.assertGreaterEqual(self.truth["timer"]["count"], self.TIMER_SIGNALS)
        self.assert_chains(self.EXPECTED)
        self.assert_no_site_has_two_chains()

    def test_a_stack_overflow_is_cut_and_says_so(self):
        self.assert_cut_at_limit("overflow", self.FAULT, "overflow_step")


class CodeThatComesAndGoes(StackCase):
    """
    Generated code and two libraries that take turns at the same addresses.  No chain may be that
    of the other code, not even while leaktrace has yet to learn that it changed; what is gone may
    be without a name.
    """

    LOADER = ["call_often", "take_turns", "loader", *THREAD]
    A = [unloaded(f) for f in ("a_site", "a_step", "dl_enter")]
    B = [unloaded(f) for f in ("b_site", "b_third", "b_second", "b_first", "dl_enter")]
    EXPECTED = {
        "shallow": Expected(["shallow_site", GENERATED, "call_shallow", "generator", *THREAD],
                            at_least=1),
        "nested": Expected(["nested_site", GENERATED, GENERATED, "call_nested", "generator",
                            *THREAD], at_least=1),
        "dl_a": Expected([*A, "call_a", *LOADER], at_least=1),
        "dl_b": Expected([*B, "call_b", *LOADER], at_least=1),
        "after_library": Expected(["after_site", GENERATED, "call_after", *LOADER], at_least=1),
    }

    HELD_ROUNDS = 2

    @classmethod
    def setUpClass(cls):
        cls.truth, cls.report = cls.trace(
            "codechurn", cls.HELD_ROUNDS,
            drive=lambda *both: hold(*both, times=3 * cls.HELD_ROUNDS))

    def test_addresses_were_used_again(self):
        self.assertGreater(self.truth["followed"]["count"], 1000)
        self.assertGreater(self.truth["followed_library"]["count"], 100)
        self.assertGreater(self.truth["after_library"]["count"], 100)

    def test_no_chain_is_wrong(self):
        self.assert_chains(self.EXPECTED)
        self.assert_no_site_has_two_chains()

    def test_code_that_stays_has_whole_chains(self):
        for name in ("dl_a", "dl_b", "after_library"):
            with self.subTest(chain=name):
                sites = self.sites(name)
                self.assertTrue(any(map(is_complete, sites)), {s["stack_end"] for s in sites})
