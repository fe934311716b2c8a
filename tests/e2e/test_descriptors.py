# SPDX-License-Identifier: GPL-2.0-or-later
"""Descriptors: what leaktrace holds is what /proc/PID/fd lists, made where the program made it."""

import errno
import gzip
import platform
import re
from pathlib import Path

import harness
from listings import Steps, descriptors, differences, own_frame, summed, wrong_totals

SOURCES = ("fd_makers.def",)
KINDS = ("socket", "fd")
OPTIONS = ("--kinds", "socket,fd", "--top", "1000")
OPERATIONS = 100000
CORRECTED_AT_MOST = OPERATIONS // 100  # when threads race for numbers

# Calls that not every kernel has: what it is configured with.
OPTIONAL = {
    "make_memfd_secret": "SECRETMEM", "make_userfaultfd": "USERFAULTFD", "make_io_uring": "IO_URING",
    "make_fanotify": "FANOTIFY", "make_landlock": "SECURITY_LANDLOCK", "make_mq_open": "POSIX_MQUEUE",
    "make_open_by_handle": "FHANDLE", "unseen_uring": "IO_URING",
}
PIDFD_OF_PEERS = (6, 5)  # SO_PEERPIDFD, SO_PASSPIDFD
SECRETMEM = Path("/sys/module/secretmem/parameters/enable")  # off by default before 6.5

# What some of them are.
TYPES = {
    "make_socket_tcp": "TCP", "make_socket_udp": "UDP", "make_socket_unix": "unix stream",
    "make_socketpair": "unix datagram", "make_socket_netlink": "netlink", "make_accept": "unix stream",
    "make_open": "device", "make_opendir": "file", "make_pipe": "pipe", "make_eventfd": "eventfd",
    "make_epoll_create1": "epoll", "make_timerfd": "timerfd", "make_signalfd": "signalfd",
    "make_inotify1": "inotify", "make_memfd": "memfd", "make_pidfd": "pidfd", "make_clone3": "pidfd",
    "make_perf_event": "perf event", "make_bpf_map": "BPF map", "make_bpf_object": "BPF map",
    "make_bpf_program": "BPF program", "make_io_uring": "io_uring", "make_dup_socket": "UDP",
}
NAMES = {"make_open": "/dev/null", "make_opendir": "/", "make_memfd": "leaktrace test"}


def kernel_config():
    built_in = Path("/proc/config.gz")
    if built_in.exists():
        return gzip.decompress(built_in.read_bytes()).decode()
    return Path(f"/boot/config-{platform.release()}").read_text()


def unavailable():
    """The functions whose calls this kernel does not have."""
    config = kernel_config()
    names = {n for n, option in OPTIONAL.items() if f"CONFIG_{option}=y\n" not in config}
    if not SECRETMEM.exists() or SECRETMEM.read_text().strip() != "Y":
        names.add("make_memfd_secret")
    if tuple(map(int, re.findall(r"\d+", platform.release())[:2])) < PIDFD_OF_PEERS:
        names |= {"unseen_peer", "make_recvmsg_pidfd"}
    return names


def wrong_descriptions(report, skipped):
    """Where what is said of one call's descriptors is not what they are."""
    found = {}
    for site in report["sites"]:
        frame = own_frame(site, SOURCES)
        if frame and site["live_count"]:
            found.setdefault(frame["func"], []).extend(site["groups"])
    wrong = [f"{name}: {found.get(name)}, not {kind}" for name, kind in TYPES.items()
             if name not in skipped and {g["type"] for g in found.get(name, [])} != {kind}]
    return wrong + [f"{name}: {found.get(name)}, not {what}" for name, what in NAMES.items()
                    if {g["what"] for g in found.get(name, [])} != {what}]


class Told:
    """A workload's truth."""

    def __init__(self, said):
        self.all = {(name, kind): tuple(of[kind]) for name, of in said["truth"].items()
                    for kind in KINDS}
        self.truth = {key: counts for key, counts in self.all.items() if key[0] != "before"}
        self.lines = {name: of["line"] for name, of in said["truth"].items()}
        self.skipped = said["skipped"]

    def acquired(self):
        """By function, of either kind."""
        sums = {}
        for (name, _), (acquired, _) in self.truth.items():  # without "before"
            sums[name] = sums.get(name, 0) + acquired
        return {name: n for name, n in sums.items() if n}


class Process(Steps):
    """A workload at work, and the descriptors of its process."""

    def tell(self, name):
        return Told(self.step(name))

    def exactly(self, name):
        """
        Does a step, after which each function has what the workload says, and the process what /proc
        says.
        """
        told, listed = self.tell(name), descriptors(self.pid)
        self.test.assertEqual(summed(told.all), listed, f"{name}: the workload itself is wrong")
        report = self.agree(name, lambda r: wrong_totals(r, listed)
                            + differences(r, told.truth, told.lines, SOURCES))
        return report, told

    def in_total(self, what):
        """Waits until the report has what /proc says now."""
        listed = descriptors(self.pid)
        return self.agree(what, lambda r: wrong_totals(r, listed))


class Session(harness.TestCase):
    def trace(self, target, *options):
        return self.leaktrace(target, *OPTIONS, *options, interval=0.2)

    def assert_exact(self, report):
        self.assert_no_loss(report, "RELEASE", "ACQUIRE", "MAPPING")
        self.assertEqual(report["notes"]["listing_corrected"], 0)
        self.assertEqual(report["notes"]["received_missed"], 0)


class Calls(Session):
    PATIENT = True

    def started(self, *options):
        target = self.target("fd_calls")
        return Process(self, target, self.trace(target, *options))

    def test_every_call_that_makes_some_and_every_one_that_ends_them(self):
        process = self.started()
        process.exactly("make_too_many")
        _, told = process.exactly("make")
        self.assertEqual(set(told.skipped), {n for n in unavailable() if n.startswith("make_")},
                         {n: errno.errorcode[e] for n, e in told.skipped.items()})
        made = told.acquired()
        self.assertEqual({n for n in told.lines if n.startswith("make_")} - set(told.skipped), set(made))
        self.assertEqual((made["make_recvmsg_20"], made["make_recvmsg_253"]), (20, 253))
        process.agree("what they are", lambda r: wrong_descriptions(r, told.skipped))
        for name in ("fail", "close_wrongly", "close_some", "dup_over", "close_range",
                     "close_range_to_the_end", "close_range_unshare", "child"):
            process.exactly(name)
        for name in ("close_old", "make", "make_too_many", "fail"):
            process.exactly(name)
        _, told = process.exactly("close_all")
        self.assertEqual(sum(summed(told.truth).values()), 0)
        report = process.leaktrace.stop()
        self.assert_exact(report)
        self.assertEqual(differences(report, told.truth, told.lines, SOURCES), [])
        for site in report["sites"]:
            frame = own_frame(site, SOURCES)
            self.assertFalse(frame and frame["func"].startswith(("fail_", "same_")), site)
        self.assertEqual(process.target.quit(), 0)

    def test_what_it_held_when_it_ended(self):
        process = self.started()
        _, told = process.exactly("make")
        self.assertEqual(process.target.quit(), 0)
        report = process.leaktrace.final()
        self.assertEqual(report["end"], {"reason": "exited", "status": 0})
        self.assertEqual(differences(report, told.truth, told.lines, SOURCES), [])
        self.assert_exact(report)

    def test_what_no_call_shows_the_census_does(self):
        process = self.started()
        process.exactly("make")
        told = process.tell("unseen")
        self.assertEqual({n for n in told.skipped if n.startswith("unseen_")},
                         {n for n in unavailable() if n.startswith("unseen_")})
        came = sum(n for name, n in told.acquired().items() if name.startswith("unseen_"))
        self.assertGreaterEqual(came, 2)
        process.in_total("unseen")
        went = process.tell("close_unseen").acquired()["make_open"] - told.acquired()["make_open"]
        process.in_total("close_unseen")
        process.step("close_all")
        process.in_total("close_all")
        report = process.leaktrace.stop()
        self.assert_no_loss(report, "RELEASE", "ACQUIRE", "MAPPING")
        self.assertLessEqual(report["notes"]["listing_corrected"], came + went)
        self.assertEqual(process.target.quit(), 0)

    def test_an_exec_closes_some_and_hands_on_the_others(self):
        process = self.started("--follow")
        process.exactly("make")
        process.target.say("exec")
        self.assertEqual(process.target.line(), f"again {process.pid}")
        again = Process(self, process.target, process.leaktrace)
        self.assertGreater(descriptors(again.pid)["socket"], 10)
        again.in_total("exec")
        told = again.exactly("make")[1]
        self.assertEqual(told.skipped.keys(), {n for n in unavailable() if n.startswith("make_")})
        again.exactly("close_some")
        report, _ = again.exactly("close_all")
        self.assert_exact(report)
        self.assertEqual(process.target.quit(), 0)
        self.assertEqual(process.leaktrace.wait(), 0, process.leaktrace.stderr)


class Torture(Session):
    def start(self, mode, seed, *options):
        target = self.target("fd_torture", mode, OPERATIONS, seed)
        return Process(self, target, self.trace(target, "--follow", *options))

    def again(self, process, how):
        """It executes itself, or a child does: as a process of its own."""
        process.target.say(how)
        word, pid = process.target.line().split()
        self.assertEqual(word, "again")
        self.assertEqual(int(pid) == process.pid, how == "exec")
        again = Process(self, process.target, process.leaktrace, int(pid))
        again.in_total(how)
        return again

    def finish(self, process, *others):
        last = [p.in_total("the end") for p in (process, *others)]
        self.assertEqual(process.target.quit(), 0)
        self.assertEqual(process.leaktrace.wait(), 0, process.leaktrace.stderr)
        return last

    def end_child(self, process):
        process.target.say("quit")
        self.assertEqual(process.target.line(), "ended")

    def test_each_thread_with_its_own_numbers_is_exact(self):
        first = self.start("own", 1)
        report, told = first.exactly("go")
        self.assert_exact(report)
        self.assertGreater(sum(told.acquired().values()), OPERATIONS // 4)
        second = self.again(first, "exec")
        report, _ = second.exactly("go")
        self.assert_exact(report)
        child = self.again(second, "child")
        report, _ = child.exactly("go")
        self.assert_exact(report)
        self.end_child(child)
        for report in self.finish(second):
            self.assert_exact(report)

    def made(self, report):
        """By function, of either kind."""
        sums = {}
        for site in report["sites"]:
            frame = own_frame(site, SOURCES)
            if frame and site["acquired_count"]:
                sums[frame["func"]] = sums.get(frame["func"], 0) + site["acquired_count"]
        return sums

    def race(self, process):
        """
        All that was made is seen; what is left is right in the end, as the kernel's list shows who was
        the last of those that raced for a number.
        """
        told = process.tell("go")
        listed = descriptors(process.pid)
        report = process.agree("go", lambda r: wrong_totals(r, listed) + [
            f"{name}: {self.made(r).get(name)}, not {n}" for name, n in told.acquired().items()
            if self.made(r).get(name) != n])
        self.assert_no_loss(report, "RELEASE", "ACQUIRE", "MAPPING")
        corrected = report["notes"]["listing_corrected"]
        print(f"     {sum(told.acquired().values())} descriptors made in a race: {corrected} corrections")
        self.assertLess(corrected, CORRECTED_AT_MOST)
        return report

    def test_threads_that_race_for_numbers_end_up_right(self):
        recording = self.directory / "race.ltrec"
        first = self.start("race", 1, "--record", recording)
        self.race(first)
        second = self.again(first, "exec")
        self.race(second)
        child = self.again(second, "child")
        self.race(child)
        self.end_child(child)
        self.finish(second)
        again = self.directory / "again.ndjson"
        replay = harness.run(harness.LEAKTRACE, "--top", "1000", "--json", again, "replay", recording)
        self.assertEqual(replay.returncode, 0, replay.stderr)
        self.assertEqual(again.read_text(), first.leaktrace.json_path.read_text())
