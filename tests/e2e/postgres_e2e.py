#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The postgres plugin against a real PostgreSQL with a standby: slow queries, long statements that are cancelled, locks
whose holder is terminated, replication, declared queries, users who may not see, and a server that is gone.

Prints `ok - name` or `not ok - name: why` per case."""
import argparse
import contextlib
import json
import os
import pathlib
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSWORD = "s3cret-of-the-monitor"
BINARIES = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
SETUP = f"""
CREATE EXTENSION pg_stat_statements;
CREATE ROLE watcher LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_monitor, pg_signal_backend;
CREATE ROLE nobody_special LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE app LOGIN PASSWORD '{PASSWORD}';
CREATE TABLE orders (id int PRIMARY KEY, state text, note text);
INSERT INTO orders SELECT n, CASE WHEN n % 4 = 0 THEN 'new' ELSE 'done' END, 'it''s; DROP TABLE orders' FROM generate_series(1, 1000) n;
GRANT SELECT, UPDATE ON orders TO app; GRANT SELECT ON orders TO watcher; ANALYZE orders;
CREATE DATABASE empty;
"""
QUERIES = """
  queries:
    waiting: { sql: "SELECT count(*) FROM orders WHERE state = $1", params: [text], returns: value }
    newest: { sql: "SELECT id, state FROM orders ORDER BY id DESC LIMIT $1", params: [integer] }
    one: { sql: "SELECT id, note FROM orders WHERE id = $1", params: [integer], returns: row }
    slow: { sql: "SELECT pg_sleep(60)", returns: value }
    odd: { sql: "SELECT 12345678901234567890123::numeric AS big, 250::numeric AS whole, 1.5::numeric AS part, 'NaN'::float8 AS nan",
           returns: row }
    all: { sql: "SELECT n FROM generate_series(1, 5000) n" }
    change: { sql: "WITH x AS (UPDATE orders SET state = 'gone' RETURNING 1) SELECT count(*) FROM x", returns: value }
    two: { sql: "SELECT 1; SELECT 2", returns: value }
    at: { sql: "SELECT now() - $1::interval < now()", params: [interval], returns: value }
"""
BOOK = """---
runbook: t
summary: a test
uses: {{ pg: {instance} }}
may:
  - {{ effect: pg.cancel, target: "statement/*", at_most: 3 }}
  - {{ effect: pg.terminate, target: "session/*", at_most: 3 }}
---
# T

```lua
{code}
```
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One cluster in a directory of its own, as a user that is not root. fsync "on": for what must survive, and be measured."""

    def __init__(self, path, fsync="off"):
        self.fsync = fsync
        self.bin, self.data, self.port = BINARIES[-1], path / "data", free_port()
        self.socket_dir = path
        self.who = {}
        path.mkdir(parents=True)
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(path, user.pw_uid, user.pw_gid)
            self.who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.process = None

    def tool(self, name, *words):
        return subprocess.run([str(self.bin / name), *map(str, words)], check=True, capture_output=True, text=True, timeout=120,
                              cwd="/", env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, **self.who)

    def init(self):
        self.tool("initdb", "-D", self.data, "-U", "postgres", "--auth-local=trust", "--auth-host=scram-sha-256", "-N")

    def copy_of(self, primary):
        self.tool("pg_basebackup", "-h", primary.socket_dir, "-p", primary.port, "-U", "postgres", "-D", self.data, "-R", "-X", "stream",
                  "-c", "fast")

    def start(self):
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": self.socket_dir, "fsync": self.fsync,
                    "shared_preload_libraries": "pg_stat_statements", "max_connections": 30, "logging_collector": "off",
                    "wal_level": "replica", "hot_standby": "on", "jit": "off"}
        words = [w for k, v in settings.items() for w in ("-c", f"{k}={v}")]
        self.process = subprocess.Popen([str(self.bin / "postgres"), "-D", str(self.data), *words], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, cwd="/", **self.who)
        for _ in range(300):
            if subprocess.run([str(self.bin / "pg_isready"), "-q", "-h", str(self.socket_dir), "-p", str(self.port)],
                              check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError("PostgreSQL does not start")

    def stop(self):
        if self.process:
            self.process.terminate()        # SIGTERM is the smart shutdown; a second signal makes it fast
            time.sleep(0.1)
            self.process.send_signal(2)
            self.process.wait(30)
        self.process = None

    def psql(self, sql, user="postgres", **more):
        return subprocess.Popen([str(self.bin / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1" if
                                 user != "postgres" else str(self.socket_dir), "-p", str(self.port), "-U", user, "-d", "postgres",
                                 "-c", sql], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORD}, **more)

    def sql(self, sql):
        p = self.psql(sql)
        out, err = p.communicate(timeout=60)
        if p.returncode:
            raise RuntimeError(err)
        return out.strip()

    @contextlib.contextmanager
    def holding(self, statements):
        """A session that ran statements and stays open, idle in its transaction."""
        p = subprocess.Popen([str(self.bin / "psql"), "-X", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "app", "-d",
                              "postgres"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env={"PATH": os.environ["PATH"], "PGPASSWORD": PASSWORD})
        p.stdin.write(statements + "\n\\echo ready\n")
        p.stdin.flush()
        p.stdout.readline()
        try:
            yield p
        finally:
            p.kill()
            p.wait()

    @contextlib.contextmanager
    def running(self, sql):
        p = self.psql(sql, "app")
        for _ in range(100):
            if self.sql(f"SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state = 'active' AND query = $q${sql}$q$") == "1":
                break
            time.sleep(0.05)
        try:
            yield p
        finally:
            p.kill()
            p.wait()


class Box:
    def __init__(self, program, path, primary, standby):
        self.program, self.path, self.n = program, path, 0
        path.mkdir()
        (path / "password").write_text(PASSWORD + "\n")
        (path / "wrong").write_text("not-the-password\n")
        for name in ("password", "wrong"):
            (path / name).chmod(0o600)

        def instance(name, server, user="watcher", password="password", more="", queries=""):
            return (f"  {name}:\n    plugin: postgres\n    host: 127.0.0.1\n    port: {server.port}\n    user: {user}\n"
                    f"    dbname: postgres\n    password: {password}\n{more}{queries}")

        indented = "".join("  " + line + "\n" for line in QUERIES.strip("\n").split("\n"))
        (path / "midwatch.yaml").write_text(
            "secrets:\n" + "".join(f"  {name}: {{ file: {name}, programs: [postgres] }}\n" for name in ("password", "wrong"))
            + "instances:\n" + instance("main", primary, more="    statement_timeout: 1s\n", queries=indented)
            + instance("replica", standby) + instance("blind", primary, "nobody_special")
            + instance("locked", primary, password="wrong") + instance("blank", primary).replace("dbname: postgres", "dbname: empty"))

    def run(self, code, instance="main", *options):
        self.n += 1
        (self.path / "t.md").write_text(BOOK.format(code=code, instance=instance))
        p = subprocess.run([str(self.program), "run", "t.md", "--state", f"s{self.n}", *options], cwd=self.path, text=True,
                           capture_output=True, timeout=120, check=False, env={**os.environ, "HOME": str(self.path)})
        return p.returncode, p.stdout + p.stderr

    def leaks(self):
        return [str(f) for f in self.path.rglob("*") if f.is_file() and f.name != "password" and PASSWORD.encode() in f.read_bytes()]


def wrong(got, code, *patterns):
    if got[0] != code:
        return f"exit {got[0]} instead of {code}: {got[1][-900:]}"
    for pattern in patterns:
        if not re.search(pattern, got[1]):
            return f"no /{pattern}/ in: {got[1][-900:]}"
    return None


def case_slow_queries(box, primary, _):
    """The seed's diagnosis: the slowest statements by mean time."""
    primary.sql("SELECT pg_stat_statements_reset()")
    for _ in range(2):
        primary.sql("SELECT pg_sleep(0.3), count(*) FROM orders WHERE note LIKE 'slow%'")
    return wrong(box.run("""
local slow = observe(pg.slow_queries(3))
if slow[1].mean_time < ms(300) or slow[1].calls ~= 2 then escalate("not so: " .. slow[1].mean_time) end
resolve("slowest: " .. slow[1].query .. " in " .. slow[1].database)"""), 0, r"slowest: SELECT pg_sleep\(\$1\).* in postgres")


def case_cancel(box, primary, _):
    with primary.running("SELECT pg_sleep(300)") as victim:
        why = wrong(box.run("""
sleep "1s"
local long = observe(pg.long_running("1s"))
if #long ~= 1 or long[1].user ~= "app" then escalate(#long .. " long statements") end
remedy("cancel it", pg.statement(long[1].statement):cancel(),
  { verify = function() return #observe(pg.long_running("1s")) == 0 end, within = "10s", first_look = "1s" })
resolve "cancelled" """), 0, r"outcome: resolved")
        return why or (None if "canceling statement due to user request" in victim.communicate(timeout=20)[1] else
                       "the client was not told")


def case_lock(box, primary, _):
    """Who blocks whom; the holder is terminated, and what waited goes on."""
    with primary.holding("BEGIN; LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE;"), \
            primary.running("UPDATE orders SET note = 'x' WHERE id = 1") as waiting:
        why = wrong(box.run("""
sleep "1s"
local o = observe { locks = pg.locks(), idle = pg.idle_in_transaction("1s"), blocked = pg.blocked() }
if #o.locks ~= 1 or #o.idle ~= 1 or #o.blocked ~= 1 then escalate "no lock" end
local l = o.locks[1]
note(l.blocking_user .. " blocks " .. l.blocked_query .. " on " .. l.object .. ", " .. l.blocking_state)
remedy("end the holder", pg.session(l.blocking_session):terminate(),
  { verify = function() return #observe(pg.locks()) == 0 end, within = "10s", first_look = "1s" })
resolve "free" """), 0, r"app blocks UPDATE orders SET note = 'x' WHERE id = 1 on orders, idle in transaction", r"outcome: resolved")
        return why or (None if waiting.wait(20) == 0 else "what waited did not go on")


def case_gone(box, primary, _):
    """A statement that has ended is already as wanted: nothing is sent."""
    with primary.running("SELECT pg_sleep(2)"):
        return wrong(box.run("""
local s = observe(pg.activity())[1]
local still = function() return #observe(pg.long_running("0s")) == 0 end
wait_until("it ends by itself", { every = "1s", within = "20s" }, still)
remedy("cancel it", pg.statement(s.statement):cancel(), { verify = still, within = "10s" })
resolve "gone" """), 0, r"recovered|already")


def case_identity(box, primary, _):
    """The pid of a session with another start is another session."""
    with primary.running("SELECT pg_sleep(60)") as other:
        why = wrong(box.run("""
local s = observe(pg.activity())[1]
local pid = text.capture(s.session, "%.(%x+)$")
remedy("end a session of the past", pg.session("1a." .. pid):terminate(), { verify = "applied", when = function() return true end })
resolve "nothing" """), 0, r"nothing sent: already so")
        return why or (None if other.poll() is None else "a session that was not meant has been ended")


def case_bad_id(box, *_):
    return wrong(box.run("""remedy("x", pg.session("12; DROP"):terminate(), { verify = "applied" }) resolve "x" """), 3,
                 r"'12; DROP' is no session")


def case_numbers(box, *_):
    return wrong(box.run("""
local o = observe { c = pg.connections(), s = pg.setting("max_connections"), size = pg.database_size(), t = pg.tables(1), sb = pg.standby() }
if o.c.max ~= 30 or o.c.used < 1 or o.c.ratio >= 1 or o.s.value ~= "30" or o.size < mib(1) or o.sb then escalate "no" end
resolve(o.t[1].name .. " has " .. o.t[1].live_rows .. " rows")"""), 0, r"orders has 1000 rows")


def case_query(box, *_):
    return wrong(box.run("""
local o = observe { n = pg.query("waiting", "new"), evil = pg.query("waiting", "' OR 'a' = 'a"), rows = pg.query("newest", 2),
  row = pg.query("one", 7), at = pg.query("at", "5 minutes") }
if o.n ~= 250 or o.evil ~= 0 or #o.rows ~= 2 or o.rows[1].id ~= 1000 or not o.at then escalate("n = " .. o.n) end
local odd = observe(pg.query("odd"))
if odd.big ~= "12345678901234567890123" or math.type(odd.whole) ~= "integer" or odd.part ~= 1.5 or odd.nan then escalate "numbers" end
resolve(o.row.note)"""), 0, r"it's; DROP TABLE orders")


BAD = {
    'pg.query("waiting", 5)': r"value 1 must be text",
    'pg.query("waiting")': r"takes 1 values, not 0",
    'pg.query("waitin", "new")': r"declares no query 'waitin'",
    'pg.query("slow")': r"statement timeout",
    'pg.query("all")': r"more than 1000 rows",
    'pg.query("change")': r"read-only transaction",
    'pg.query("two")': r"multiple commands",
    'pg.query("one", 5000)': r"0 rows",
    'pg.setting("max_conections")': r"no such setting",
    'pg.database_size("nothing")': r"no such database",
    'pg.replication_lag()': r"this is a primary",
}


def case_bad(box, *_):
    for read, pattern in BAD.items():
        why = wrong(box.run(f"resolve('' .. tostring(observe({read})))"), 3, pattern, "no_data")
        if why:
            return f"{read}: {why}"
    return None


def case_blind(box, *_):
    """Who may not see gets an error, never a short list."""
    for read in ("activity", "locks", "slow_queries", "connections", "blocked"):
        why = wrong(box.run(f"resolve('' .. #observe(pg.{read}()))", "blind"), 3, r"GRANT pg_monitor TO nobody_special")
        if why:
            return f"{read}: {why}"
    return None


def case_no_extension(box, *_):
    return wrong(box.run("resolve('' .. #observe(pg.slow_queries()))", "blank"), 3, r"CREATE EXTENSION pg_stat_statements")


def case_password(box, *_):
    return wrong(box.run("resolve('' .. #observe(pg.activity()))", "locked"), 3, r"password authentication failed")


def case_replication(box, primary, _):
    primary.sql("INSERT INTO orders SELECT n, 'new' FROM generate_series(2000, 2100) n")
    why = wrong(box.run("""
local r = observe(pg.replicas())
if #r ~= 1 or r[1].state ~= "streaming" then escalate "no replica" end
resolve(r[1].name .. " is " .. tostring(r[1].lag_bytes) .. " behind")"""), 0, r"is \d+ behind")
    return why or wrong(box.run("""
if not observe(pg.standby()) then escalate "no standby" end
wait_until("caught up", { every = "1s", within = "20s" }, function() return observe(pg.replication_lag()) < seconds(1) end)
resolve("lag " .. observe(pg.replication_lag()))""", "replica"), 0, r"lag [0-9.]+")


def case_restart(box, primary, _):
    """The server restarts while a run waits: its next look connects again."""
    (box.path / "mark").unlink(missing_ok=True)
    code = """
local first = observe(pg.connections())
sleep "4s"
local again = observe(pg.connections())
resolve("seen twice: " .. again.max)"""
    box.n += 1
    (box.path / "t.md").write_text(BOOK.format(code=code, instance="main"))
    p = subprocess.Popen([str(box.program), "run", "t.md", "--state", f"s{box.n}"], cwd=box.path, text=True, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT)
    time.sleep(1)
    primary.stop()
    primary.start()
    out = p.communicate(timeout=60)[0]
    return wrong((p.returncode, out), 0, r"seen twice: 30")


def case_contract(box, primary, _):
    """The kit on the shipped plugin, its effects on sessions made for it."""
    kit = box.path / "kit"
    kit.mkdir()
    shutil.copy(ROOT / "plugins/postgres/postgres.json", kit)
    (kit / "postgres").symlink_to(box.program.parent / "midwatch-postgres")
    with primary.running("SELECT pg_sleep(301)"), primary.running("SELECT pg_sleep(302)"):
        statement, session = (primary.sql(
            "SELECT to_hex(trunc(extract(epoch FROM backend_start))::bigint) || '.' || to_hex(pid)" + more +
            f" FROM pg_stat_activity WHERE query = 'SELECT pg_sleep({n})'") for n, more in
            ((301, " || '.' || to_hex((extract(epoch FROM query_start) * 1000000)::bigint)"), (302, "")))
        no_args = ["slow_queries", "activity", "blocked", "locks", "connections", "replicas", "tables"]
        examples = {
            "settings": {"host": "127.0.0.1", "port": primary.port, "user": "watcher", "dbname": "postgres", "password": "db",
                         "queries": {"one": {"sql": "SELECT 1", "returns": "value"}}},
            "secrets": {"db": {"file": "{{tmp}}/password", "programs": ["postgres"]}}, "files": {"password": PASSWORD},
            "reads": [{"read": r, "args": {}} for r in no_args] + [
                {"read": "standby", "value": False}, {"read": "replication_lag", "unknown": "no_data"},
                {"read": "long_running", "args": {"over": 3600}, "value": []},
                {"read": "idle_in_transaction", "args": {"over": 3600}, "value": []},
                {"read": "setting", "args": {"name": "max_connections"}}, {"read": "database_size", "args": {}},
                {"read": "query", "args": {"name": "one", "values": []}, "value": 1}],
            "effects": [{"effect": "cancel", "args": {"statement": statement}}, {"effect": "terminate", "args": {"session": session}}]}
        (kit / "postgres.plugin-test.yaml").write_text(json.dumps(examples))
        p = subprocess.run([str(box.program), "plugin", "test", str(kit / "postgres.json")], text=True, capture_output=True,
                           timeout=60, check=False)
    (kit / "postgres.plugin-test.yaml").unlink()
    return None if p.returncode == 0 and re.search(r"\n1[5-9] passed, 0 failed\n", p.stdout) else p.stdout + p.stderr


def case_down(box, primary, _):
    primary.stop()
    return wrong(box.run("resolve('' .. #observe(pg.activity()))"), 3, r"Connection refused", r"no_data")


def case_secret(box, *_):
    return f"the password is in {box.leaks()}" if box.leaks() else None


CASES = {
    "slow queries of pg_stat_statements": case_slow_queries, "a long statement is cancelled": case_cancel,
    "the holder of a lock is terminated": case_lock, "a statement that ended by itself": case_gone,
    "a session is its pid and its start": case_identity, "an id that is none": case_bad_id, "numbers": case_numbers,
    "declared queries": case_query, "what cannot be answered": case_bad, "a user who may not see": case_blind,
    "a database without the extension": case_no_extension, "a wrong password": case_password, "replication": case_replication,
    "the contract": case_contract, "a restart of the server": case_restart, "a server that is gone": case_down,
    "the password is nowhere": case_secret,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=str(ROOT / "build"))
    parser.add_argument("--only", default="", help="cases whose name has this")
    args = parser.parse_args()
    if not BINARIES:
        print("not ok - postgres: there is no /usr/lib/postgresql/*/bin (install postgresql)")
        return 1
    program, failed = pathlib.Path(args.build).resolve() / "midwatch", 0
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="midwatch-pg-"))
    scratch.chmod(0o755)
    primary, standby = Server(scratch / "a"), Server(scratch / "b")
    try:
        primary.init()
        primary.start()
        for statement in (s for s in SETUP.strip().split(";\n")):
            primary.sql(statement)
        standby.copy_of(primary)
        standby.start()
        box = Box(program, scratch / "box", primary, standby)
        for name, case in CASES.items():
            if args.only not in name:
                continue
            try:
                why = case(box, primary, standby)
            except Exception as e:  # pylint: disable=broad-except
                why = repr(e)
            failed += why is not None
            print(f"ok - postgres: {name}" if why is None else f"not ok - postgres: {name}: {why}", flush=True)
    finally:
        standby.stop()
        primary.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
