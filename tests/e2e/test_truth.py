# SPDX-License-Identifier: GPL-2.0-or-later
"""The truth of stacks: at random stops of real programs under load, what leaktrace's unwinder
found is compared frame by frame with what elfutils finds (tests/truth).  Prints the table."""

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import harness
from test_servers import Load, Memcached

TRUTH = harness.BUILD / "truth" / "truth"
STOPS = 270  # of each target
STACKS = 2000
EQUAL = 0.99
OUTERMOST = 0.995
COLUMNS = ("stops", "equal", "ours_shorter", "theirs_shorter", "different", "outermost", "frames",
           "longest", "signals", "trapped", "remapped", "recalled", "misremembered", "elsewhere")

# C code that calls back into Python that calls C code.
PYTHON_WORK = """
import ctypes, functools, json, random, re

libc = ctypes.CDLL(None)
compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int),
                                ctypes.POINTER(ctypes.c_int))

def through_sorted(depth):
    return sorted(range(3), key=lambda n: str(work(depth) or n) + str(n))

def through_comparison(depth):
    return sorted([3, 1, 2], key=functools.cmp_to_key(lambda a, b: (work(depth), a - b)[1]))

def through_json(depth):
    return json.dumps({"key": object(), "list": [1.5] * 20}, default=lambda o: work(depth))

def through_re(depth):
    return re.sub("[a-c]+", lambda match: str(work(depth)), "xaybzc" * 2)

def through_qsort(depth):
    def compare(a, b):
        work(depth)
        return a[0] - b[0]
    values = (ctypes.c_int * 3)(3, 1, 2)
    libc.qsort(values, 3, 4, compare_type(compare))
    return list(values)

WAYS = (through_sorted, through_comparison, through_json, through_re, through_qsort)

def work(depth):
    if depth <= 0 or random.random() < 0.6:
        return json.loads(json.dumps({str(n): [n, None, "text"] for n in range(4)}))["1"]
    return random.choice(WAYS)(depth - 1)

print("working", flush=True)
while True:
    work(random.randrange(1, 7))
"""

# Native code under interpreted, compiled and built-in JavaScript.
NODE_WORK = """
const crypto = require('crypto'), vm = require('vm'), zlib = require('zlib');
const pick = list => list[Math.floor(Math.random() * list.length)];
const ways = [
  depth => [3, 1, 2].sort((a, b) => (work(depth), a - b)),
  depth => 'xaybzc'.replace(/[abc]/g, () => { work(depth); return 'y'; }),
  depth => JSON.stringify({ toJSON() { work(depth); return [1, 2, 3]; } }),
  depth => [1, 2].map(() => work(depth)),
  depth => new Proxy({}, { get() { return work(depth); } }).anything,
];
const ends = [
  () => crypto.createHash('sha256').update('x'.repeat(100)).digest('hex'),
  () => zlib.deflateSync(Buffer.alloc(300)),
  () => new RegExp('a{' + Math.floor(Math.random() * 90) + '}b*').test('aaa'),
  () => new vm.Script('(x => x + ' + Math.random() + ')(1)').runInThisContext(),
  () => Buffer.from('text'.repeat(2000)).toString('base64'),
  () => new TextDecoder().decode(new Uint8Array(100)),
];
function work(depth) {
  if (depth <= 0 || Math.random() < 0.3) return pick(ends)();
  return pick(ways)(depth - 1);
}
console.log('working');
setInterval(() => { for (let i = 0; i < 20; i++) work(Math.floor(Math.random() * 8)); }, 0);
"""

SQLITE_SCHEMA = """
create table items (id integer primary key, name text, price real, tag integer);
create index by_tag on items (tag, name);
insert into items with recursive n(i) as (select 1 union all select i + 1 from n where i < 500)
select i, 'item' || i, i * 1.5, i % 17 from n;
create view dear as select tag, max(price) as top from items group by tag;
"""
SQL_WORK = (
    "select tag, count(*), group_concat(name) from items group by tag order by 2 desc limit 1;",
    "select a.name from items a join items b on a.tag = b.tag where b.id = {n} order by 1 limit 1;",
    "update items set name = 'item{n}' || 'x', price = price + 1 where tag = {n} % 17 returning 1;",
    "with recursive t(d) as (select 1 union all select d + 1 from t where d < {n} % 50) "
    "select sum(d) from t;",
    "select top from dear where tag in (select tag from items where id = {n}) limit 1;",
    "select json_extract(json_array({n}, 'a', json_object('k', {n})), '$[2].k');",
    "select printf('%.3f', avg(price) over (partition by tag order by name)) from items limit 1;",
)
POSTGRES_WORK = (
    "select string_agg(name, ',') from items group by tag order by count(*) desc limit 1;",
    "select a.name from items a join items b using (tag) where b.id = {n} order by 1 limit 1;",
    "with u as (update items set price = price + 1 where tag = {n} % 17 returning 1) "
    "select count(*) from u;",
    "with recursive t(d) as (select 1 union all select d + 1 from t where d < {n} % 50) "
    "select sum(d) from t;",
    "select jsonb_path_query(jsonb_build_array({n}, 'a'), '$[1]');",
    "do $$ begin for i in 1..3 loop perform f(i); end loop; end $$; select 1;",
    "select avg(price) over (partition by tag order by name) from items limit 1;",
    "select regexp_replace(name, '([0-9])+', '<\\\\1>') from items where id = {n} % 400 + 1;",
)
POSTGRES_SCHEMA = """
create temp table items as select i as id, 'item' || i as name, i * 1.5 as price, i % 17 as tag
from generate_series(1, 500) i;
create index on items (tag);
create function f(depth int) returns int language plpgsql as $$ begin
if depth <= 0 then return length(repeat('x', 2000)); end if;
return f(depth - 1) + (select count(*) from items where tag = depth); end $$;
"""


class Truth(harness.TestCase):
    def load(self, stack, ask):
        load = Load(ask)
        stack.callback(load.end)
        load.start()

    def started(self, stack, *argv, **options):
        process = harness.Process(argv, **options)
        stack.callback(process.close)
        return process

    @staticmethod
    def wait_port(port):
        def is_open():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return True
            return False
        harness.wait_until(is_open, f"port {port}")

    def redis(self, stack):
        port = str(harness.free_port())
        server = self.started(stack, "/usr/bin/redis-server", "--port", port, "--bind", "127.0.0.1",
                              "--save", "", "--appendonly", "no", "--dir", self.directory)
        self.wait_port(port)
        self.started(stack, "/usr/bin/redis-benchmark", "-p", port, "-l", "-q", "-r", "1000",
                     "-d", "300", "-n", "3000", "-c", "10",
                     "-t", "set,lpush,lpop,sadd,hset,zadd,lrange_100,mset",
                     stdout=subprocess.DEVNULL)
        return server.pid

    def nginx(self, stack):
        port = harness.free_port()
        temporary = "".join(f"{name}_temp_path {self.directory}/{name};" for name in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = self.directory / "nginx.conf"
        config.write_text(
            f"daemon off; master_process off; pid {self.directory}/pid;"
            f"error_log {self.directory}/error.log; events {{ worker_connections 64; }}"
            f"http {{ access_log off; {temporary} gzip on; gzip_types *; gzip_min_length 1;"
            f"server {{ listen 127.0.0.1:{port}; root {self.directory}; autoindex on;"
            f"location /text {{ return 200 '{'text ' * 500}'; }}"
            f"location /own {{ proxy_pass http://127.0.0.1:{port}/text; }} }} }}\n")
        server = self.started(stack, "/usr/sbin/nginx", "-p", self.directory, "-c", config,
                              "-e", self.directory / "error.log")
        self.wait_port(port)

        def ask(number):
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=harness.PATIENCE_S)
            client.request("GET", ("/text", "/own", "/", "/nginx.conf")[number % 4],
                           headers={"Accept-Encoding": "gzip"})
            answer = client.getresponse()
            answer.read()
            client.close()
            if answer.status != 200:
                raise ValueError(answer.status)
        self.load(stack, ask)
        return server.pid

    def memcached(self, stack):
        port = harness.free_port()
        server = self.started(stack, "/usr/bin/memcached", "-u", "nobody", "-l", "127.0.0.1",
                              "-p", str(port), "-U", "0", "-m", "64", "-t", "2")
        self.wait_port(port)

        def ask(number):
            client = Memcached(port)
            with client.socket, client.file:
                client.ask(number)
                client.ask_stats()
        self.load(stack, ask)
        return server.pid

    def python(self, stack):
        worker = self.started(stack, "/usr/bin/python3", "-c", PYTHON_WORK,
                              env={**os.environ, "PYTHONMALLOC": "malloc"})
        worker.line()
        return worker.pid

    def node(self, stack):
        script = self.directory / "work.js"
        script.write_text(NODE_WORK)
        worker = self.started(stack, "/usr/bin/node", script)
        worker.line()
        return worker.pid

    def sqlite(self, stack):
        shell = self.started(stack, "/usr/bin/sqlite3", "-batch", self.directory / "items.db")
        shell.say(SQLITE_SCHEMA + "select 'ready';")
        while shell.line() != "ready":
            pass
        self.load(stack, self.asking(shell, SQL_WORK))
        return shell.pid

    @staticmethod
    def asking(shell, queries):
        """Each query, and an end that it is known by."""
        def ask(number):
            shell.say(queries[number % len(queries)].format(n=number % 500) +
                      f"\nselect 'end {number}';")
            while shell.line() != f"end {number}":
                pass
        return ask

    def postgres(self, stack):
        """One backend; everything of it belongs to an unprivileged user."""
        programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        home = self.directory / "postgres"
        home.mkdir()
        shutil.chown(home, "postgres", "postgres")
        made = harness.run(*user, programs / "initdb", "-A", "trust", "-N", "--locale=C",
                           "-D", home / "data", cwd=home)
        self.assertEqual(made.returncode, 0, made.stderr)
        server = self.started(stack, *user, programs / "postgres", "-D", home / "data", "-k", home,
                              "-c", "listen_addresses=", "-c", "fsync=off", cwd=home)
        stack.callback(server.wait)
        stack.callback(server.signal, harness.signal.SIGINT)  # fast shutdown
        harness.wait_until(
            lambda: harness.run(programs / "pg_isready", "-h", home).returncode == 0, "postgres")
        client = self.started(stack, *user, programs / "psql", "-XqAt", "-h", home, "postgres",
                              cwd=home)
        client.say(POSTGRES_SCHEMA + "select pg_backend_pid();")
        pid = int(client.line())
        self.load(stack, self.asking(client, POSTGRES_WORK))
        return pid

    def exceptions(self, stack):
        target = harness.Target("exceptions")
        stack.callback(target.close)
        return target.go().pid

    def measure(self, target):
        with contextlib.ExitStack() as stack:
            pid = target(stack)
            made = harness.run(TRUTH, str(pid), str(STOPS), timeout=180)
        if made.stderr:
            print(f"{target.__name__}: {made.stderr}", flush=True)
        self.assertEqual(made.returncode, 0, f"{target.__name__}: {made.stdout} {made.stderr}")
        return json.loads(made.stdout)

    @staticmethod
    def table(rows):
        lines = [" ".join(["target".ljust(12)] + [c.rjust(max(8, len(c))) for c in COLUMNS])]
        for name, row in rows.items():
            lines.append(" ".join([name.ljust(12)] +
                                  [str(row[c]).rjust(max(8, len(c))) for c in COLUMNS]))
        return "\n".join(lines)

    def test_stacks_of_real_programs(self):
        targets = (self.redis, self.nginx, self.memcached, self.python, self.node, self.sqlite,
                   self.postgres, self.exceptions)
        rows = {target.__name__: self.measure(target) for target in targets}
        total = {c: sum(row[c] for row in rows.values()) for c in COLUMNS}
        total["frames"] = round(sum(r["frames"] * r["stops"] for r in rows.values()) /
                                total["stops"], 1)
        total["longest"] = max(row["longest"] for row in rows.values())
        print(self.table({**rows, "all": total}), flush=True)
        ends = {name: {end: n for end, n in row["ends"].items() if n} for name, row in rows.items()}
        print(f"ends: {ends}", flush=True)

        self.assertGreaterEqual(total["stops"], STACKS)
        self.assertGreaterEqual(total["equal"], EQUAL * total["stops"])
        self.assertGreaterEqual(total["outermost"], OUTERMOST * total["stops"])
        self.assertEqual(total["misremembered"], 0)
        self.assertGreater(total["recalled"], 0)
        self.assertGreater(rows["exceptions"]["signals"], 0)
        # The registers that both started from are those of the stopped thread.
        self.assertLess(total["elsewhere"], 0.01 * total["stops"])
