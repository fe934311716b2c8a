# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's own servers, each private to a test and at a free port of loopback, and a paced load."""

import contextlib
import shutil
import signal
import socket
import threading
import time
from pathlib import Path

from harness import PATIENCE_S, Process, free_port, run, wait_until


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def wait_port(port):
    def is_open():
        with contextlib.suppress(OSError):
            connect(port).close()
            return True
        return False
    wait_until(is_open, f"port {port}")


class Nginx(Process):
    """One process; the lines are those of its only server."""

    CONNECTIONS = 2048

    def __init__(self, directory, *lines):
        self.port = free_port()
        home = Path(directory) / "nginx"
        home.mkdir(exist_ok=True)
        temporary = "".join(f"{name}_temp_path {home}/{name};" for name in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = home / "nginx.conf"
        config.write_text(
            f"user root; daemon off; master_process off;"
            f"pid {home}/pid; error_log {home}/error.log;"
            f"worker_rlimit_nofile {2 * self.CONNECTIONS};"
            f"events {{ worker_connections {self.CONNECTIONS}; }}"
            f"http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{self.port};"
            f"{' '.join(lines)} }} }}\n")
        super().__init__(["/usr/sbin/nginx", "-p", home, "-c", config, "-e", home / "error.log"])
        wait_port(self.port)


class Memcached(Process):
    def __init__(self):
        self.port = free_port()
        super().__init__(["/usr/bin/memcached", "-u", "nobody", "-l", "127.0.0.1",
                          "-p", self.port, "-U", "0", "-m", "64", "-t", "2", "-c", "2048"])
        wait_port(self.port)


class Postgres(Process):
    """Everything of it belongs to an unprivileged user."""

    USER = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def __init__(self, directory, **settings):
        self.port = free_port()
        programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
        home = Path(directory) / "postgres"
        home.mkdir()
        shutil.chown(home, "postgres", "postgres")
        made = run(*self.USER, programs / "initdb", "-A", "trust", "-N", "--locale=C",
                   "-D", home / "data", cwd=home)
        if made.returncode:
            raise AssertionError(made.stderr)
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "fsync": "off", **settings}
        super().__init__([*self.USER, programs / "postgres", "-D", home / "data", "-k", home,
                          *(word for name, value in settings.items()
                            for word in ("-c", f"{name}={value}"))], cwd=home)
        wait_until(lambda: run(programs / "pg_isready", "-h", home, "-p", str(self.port)).returncode
                   == 0, "postgres")

    @property
    def conninfo(self):
        return (f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"
                " sslmode=disable gssencmode=disable")

    def close(self):
        if self.alive():
            self.signal(signal.SIGINT)  # fast shutdown, with all its children
            self.wait()
        super().close()


class Paced(threading.Thread):
    """Calls turn(number) so many times a second, until told to end."""

    def __init__(self, per_second, turn):
        super().__init__(daemon=True)
        self.pause_s, self.turn = 1 / per_second, turn
        self.done, self.error = 0, None
        self.over = threading.Event()
        self.start()

    def run(self):
        due = time.monotonic()
        try:
            while not self.over.wait(max(0, due - time.monotonic())):
                due += self.pause_s
                self.turn(self.done)
                self.done += 1
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def end(self):
        """How often turn was called."""
        self.over.set()
        self.join(PATIENCE_S)
        if self.is_alive():
            raise AssertionError("a server does not answer any more")
        if self.error:
            raise AssertionError(f"the load failed: {self.error!r}") from self.error
        return self.done
