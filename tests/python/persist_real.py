"""D1, S1, S3 on real input: the README's package index, loaded while everything is killed with -9.

An oracle sends the commands in order, notes what was acknowledged, and after each kill asks what is
there: all that was acknowledged, and of what was under way a beginning, nothing twice. The end must
be the digest of a run that nobody disturbed. KV_INDEX names another index (by hand: the output of
`apt-cache dumpavail` in a file); the usual one is what dpkg has installed here. It must never end a
process that it did not start.
"""
import os
import random
import shlex
import signal
import struct
import subprocess
import time
from collections import Counter

from lib_kv import SERVER, Raw, Server, main, request, until, TOP

INDEX = os.environ.get("KV_INDEX", "/var/lib/dpkg/status")
WINDOW = 16
KILLS = ["sibling", "writer", "parent", "writer", "sibling", "sibling", "writer", "parent", "writer", "sibling"]


def commands():
    """The README's awk program makes them; as lists of words."""
    with open(os.path.join(TOP, "README.md")) as f:
        program = f.read().split("<!-- packages.awk -->")[1].split("<!-- end -->")[0]
    program = "\n".join(line for line in program.splitlines() if not line.startswith("```"))
    lines = subprocess.run(["awk", program, INDEX], capture_output=True, check=True).stdout
    return [shlex.split(line) for line in lines.decode(errors="surrogateescape").splitlines()]


def as_bytes(words):
    return request(*[w.encode(errors="surrogateescape") for w in words])


def children(pid, title):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            pids = [int(p) for p in f.read().split()]
    except OSError:
        return []
    found = []
    for child in pids:
        try:
            with open(f"/proc/{child}/cmdline", "rb") as f:
                if title.encode() in f.read():
                    found.append(child)
        except OSError:
            pass
    return found


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except OSError:
        return False


def wait_gone(pids):
    deadline = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{p}") for p in pids) and time.monotonic() < deadline:
        time.sleep(0.01)


def connect(server):
    """Once the data is restored; until then clients are told LOADING or find nobody."""
    deadline = time.monotonic() + 30
    while True:
        try:
            raw = Raw(server.port)
            if raw.call("DBSIZE").startswith(b":"):
                return raw
            raw.close()
        except (OSError, EOFError, RuntimeError):
            pass
        if time.monotonic() > deadline:
            raise RuntimeError("the server does not come back: " + server.text()[-500:])
        time.sleep(0.02)


class Oracle:
    def __init__(self, server, todo):
        self.server, self.todo = server, todo
        self.acked = 0                # commands acknowledged, all before this one
        self.lengths = Counter()      # of each list, as acknowledged
        self.problems, self.killed = [], Counter()
        self.connection = connect(server)

    def note(self, command):
        if command[0] == "RPUSH":
            self.lengths[command[1]] += 1
        self.acked += 1

    def harm(self, whom):
        """Kills one of the server's processes; the parent is started again."""
        parent = self.server.process.pid
        sibling = children(parent, "kv sibling")
        if whom == "sibling":
            self.killed[whom] += any([kill(p) for p in sibling])
        elif whom == "writer":
            for _ in range(50):  # it may be done before it is seen
                Raw(self.server.port).call("BGSAVE")
                if any([kill(w) for s in sibling for w in children(s, "kv snapshot writer")]):
                    self.killed[whom] += 1
                    break
        else:
            with open(f"/proc/{parent}/task/{parent}/children") as f:
                family = f.read().split()
            self.killed[whom] += kill(parent)
            self.server.process.wait()
            wait_gone(family)
            self.server.start()

    def round(self, whom):
        """Sends the next commands, kills somebody meanwhile if told to, reads what is answered."""
        batch = self.todo[self.acked:self.acked + WINDOW]
        self.connection.send(b"".join(as_bytes(c) for c in batch))
        if whom:
            time.sleep(random.uniform(0, 0.004))
            self.harm(whom)
        for command in batch:
            reply = self.connection.reply()
            if not reply.startswith(b":"):
                raise EOFError(f"{command[:2]} was answered {reply!r}")
            self.note(command)

    def recover(self):
        """After a kill: of what was under way a beginning was done; go on behind it."""
        self.connection.close()
        self.connection = connect(self.server)
        window = self.todo[self.acked:self.acked + WINDOW]
        more = {}
        for key in {c[1] for c in window if c[0] == "RPUSH"}:
            more[key] = int(self.connection.call("LLEN", key)[1:]) - self.lengths[key]
        done, want = sum(more.values()), Counter()
        for command in [c for c in window if c[0] == "RPUSH"][:max(done, 0)]:
            want[command[1]] += 1
        if any(more[key] != want[key] for key in more):
            self.problems.append(f"after {self.acked} commands: {more} more than acknowledged")
        for command in self.todo[max(self.acked - 2, 0):self.acked]:
            if self.connection.call("EXISTS", command[1].encode(errors="surrogateescape")) != b":1\r\n":
                self.problems.append(f"{command[1]} was acknowledged and is not there")
        while done > 0:  # the HSETs between them may be done again
            done -= self.todo[self.acked][0] == "RPUSH"
            self.note(self.todo[self.acked])

    def run(self):
        step = len(self.todo) // (len(KILLS) + 1)
        due = [(i + 1) * step for i in range(len(KILLS))]
        while self.acked < len(self.todo):
            whom = None
            if due and self.acked >= due[0]:
                due.pop(0)
                whom = KILLS[len(KILLS) - len(due) - 1]
            try:
                self.round(whom)
            except (OSError, EOFError):
                self.recover()


def state_of(connection):
    return connection.call("DBSIZE"), connection.call("DEBUG", "DIGEST")


def left_alone(todo):
    with Server() as server:
        raw = Raw(server.port)
        for start in range(0, len(todo), 100):
            part = todo[start:start + 100]
            raw.send(b"".join(as_bytes(c) for c in part))
            for _ in part:
                raw.reply()
        return state_of(raw)


def checked(folder):
    return subprocess.run([SERVER, "--check", "--dir", folder], capture_output=True, text=True)


def test_killed(tap, *options):
    todo = commands()
    tap.ok(len(todo) > 100, f"{INDEX} makes {len(todo)} commands")
    want = left_alone(todo)
    with Server("--persist", "1", "--fsync", "always", *options) as server:
        oracle = Oracle(server, todo)
        oracle.run()
        what = " ".join(options) or "text"
        tap.equal(f"D1 S3 acknowledged is there, nothing twice, after every kill -9 ({what})", oracle.problems, [])
        for whom in ("sibling", "parent", "writer"):
            tap.ok(oracle.killed[whom] > 0, f"the {whom} was killed {oracle.killed[whom]} times ({what})")
        tap.equal(f"D1 count and digest of the run left alone ({what})", state_of(oracle.connection), want)
        server.stop(signal.SIGTERM)
        server.start()
        tap.equal(f"D1 the same after a clean end and a start ({what})", state_of(connect(server)), want)
        server.stop(signal.SIGTERM)
        check = checked(server.folder)
        tap.ok(check.returncode == 0, f"S1 check finds every byte accounted for ({what})", check.stdout, check.stderr)
        tap.ok(want[1][1:-2].decode() in check.stdout, f"S7 and the same digest in the files ({what})", check.stdout)


def tool(*options, **more):
    return subprocess.run([SERVER, *options], capture_output=True, **more)


def test_dumps(tap):
    """Every form of --dump, taken by --load, gives the same data in both formats of snapshots."""
    with Server("--persist", "3600") as server:
        raw = Raw(server.port)
        for command in commands():
            raw.call(*[w.encode(errors="surrogateescape") for w in command])
        digest = state_of(raw)[1][1:-2].decode()
        server.stop(signal.SIGTERM)
        for form in ("text", "json", "resp"):
            dump = tool("--dump", form, "--dir", server.folder).stdout
            for binary in ([], ["--binary"]):
                into = os.path.join(server.folder, "from_" + form + "".join(binary))
                load = tool("--load", "-", "--dir", into, *binary, input=dump)
                tap.ok(load.returncode == 0 and digest in checked(into).stdout,
                       f"S7 the index as {form}, loaded {' '.join(binary) or 'as text'}: the same digest", load.stderr)


def most_memory(*command):
    """KiB that a program used at most."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True); " \
           "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    return int(subprocess.check_output(["/usr/bin/python3", "-c", code, *command]))


def test_a_count_that_lies(tap):
    with Server("--persist", "3600", "--binary") as server:
        connect(server).call("SET", "k", os.urandom(20 << 20))
        server.stop()
        check = [SERVER, "--check", "--dir", server.folder]
        honest = most_memory(*check)
        with open(os.path.join(server.folder, "kv.bin"), "r+b") as f:
            f.seek(-20, os.SEEK_END)
            f.write(struct.pack("<5I", 2, 0, 0xFFFFFFFF, 1, 0))
        lying = most_memory(*check)
        tap.ok(lying < honest + (60 << 10), "a count of keys that lies costs no more memory than the file has bytes",
               f"{honest} and {lying} KiB")


def listening(server):
    """A connection, or None if the sibling that would serve it is gone."""
    try:
        return Raw(server.port)
    except (EOFError, OSError, RuntimeError):  # the last: turned away
        return None


def test_questions_while_loading(tap):
    with Server("--persist", "3600", "--fsync", "no") as server:
        raw = connect(server)
        for n in range(25):  # a log that takes a while to replay
            raw.send(b"".join(request("RPUSH", f"list{n}:{i}", *"abcdefgh") for i in range(20_000)))
            for _ in range(20_000):
                raw.line()
        kill(children(server.process.pid, "kv sibling")[0])
        asked = [("CONFIG", "GET", "appendfsync"), ("CONFIG", "GET", "dbfilename"), ("CONFIG", "SET", "appendfsync", "always"),
                 ("GET", "x")]
        raw = until(20, lambda: listening(server))
        raw.send(b"".join(request(*words) for words in asked))
        got = [raw.reply() for _ in asked]
        tap.equal("while it loads CONFIG GET answers", got[:2],
                  [b"*2\r\n$11\r\nappendfsync\r\n$2\r\nno\r\n", b"*2\r\n$10\r\ndbfilename\r\n$5\r\nkv.db\r\n"])
        tap.ok(got[2].startswith(b"-ERR") and b"still loading" in got[2], "and CONFIG SET appendfsync says that it has to wait",
               repr(got[2]))
        tap.ok(got[3].startswith(b"-LOADING"), "it was loading all the time", repr(got[3]))


def test_binary(tap):
    test_killed(tap, "--binary")


if __name__ == "__main__":
    main(test_killed, test_binary, test_dumps, test_a_count_that_lies, test_questions_while_loading)
