"""Requests that wait for a list (BLPOP and its kin) or a sorted set (BZPOPMIN): as redis-server answers them, and over kv's own
processes: shared children, clients that go away, a sibling that dies, thousands of workers."""
import os
import re
import signal
import socket
import time

import redis

from lib_kv import PASSWORD, Raw, Redis, Server, answers, main, request, sibling_of, together, until


def quiet(raw, seconds=0.15):
    """What comes within that time; nothing, if all is well."""
    raw.socket.settimeout(seconds)
    try:
        while True:
            raw.more()
    except socket.timeout:
        pass
    finally:
        raw.socket.settimeout(20)
    got, raw.buffer = raw.buffer, b""
    return got


class Stage:
    """Some clients of one server; says what each was answered, in order."""

    def __init__(self, port, hello):
        self.port, self.hello, self.said = port, hello, []
        self.a, self.b, self.c = (self.client() for _ in range(3))

    def client(self):
        raw = Raw(self.port)
        if self.hello:
            raw.call("HELLO", "3")
        return raw

    def say(self, who, *words):
        self.said.append((" ".join(map(str, words)), who.call(*words)))

    def wait(self, who, *words):
        """Asks what waits, until the server knows."""
        number = int(who.call("CLIENT", "ID")[1:-2])
        who.send(request(*words))
        if not until(5, lambda: number in self.blocked()):
            raise RuntimeError(f"{words} does not wait")

    def blocked(self):
        return [int(number) for number in re.findall(rb"\bid=(\d+) .* flags=b ", self.c.call("CLIENT", "LIST"))]

    def served(self, who, what):
        self.said.append((what, who.reply()))


def first_come(s):
    a, b, c = s.a, s.b, s.client()
    s.wait(a, "BRPOP", "k", "0")
    s.wait(c, "BLPOP", "other", "k", "0")
    s.say(b, "RPUSH", "k", 1, 2, 3)
    s.served(a, "who waited first"), s.served(c, "who waited next")
    s.say(b, "LRANGE", "k", 0, -1)
    s.say(b, "DEL", "k")


def moves(s):
    a, b, c = s.a, s.b, s.client()
    s.wait(a, "BLMOVE", "k", "l", "LEFT", "RIGHT", "0")
    s.wait(c, "BLPOP", "l", "0")
    s.say(b, "LPUSH", "k", "x")
    s.served(a, "BLMOVE"), s.served(c, "fed by BLMOVE")
    s.wait(a, "BRPOPLPUSH", "k", "s", "0")
    s.say(b, "SET", "s", "v")
    s.say(b, "RPUSH", "k", "stays")
    s.served(a, "the target is no list")
    s.say(b, "LRANGE", "k", 0, -1)
    s.wait(a, "BLMPOP", "0", 2, "k1", "k2", "RIGHT", "COUNT", 2)
    s.say(b, "RPUSH", "k2", "a", "b", "c")
    s.served(a, "BLMPOP")
    s.say(b, "FLUSHALL")


def sorted_sets(s):
    a, b, c = s.a, s.b, s.client()
    s.wait(a, "BZPOPMIN", "none", "k", "0")
    s.wait(c, "BLPOP", "k", "0")
    s.say(b, "RPUSH", "k", "for the list's worker")
    s.served(c, "BLPOP")
    s.say(b, "ZADD", "k", 2, "y", 1.5, "x")
    s.served(a, "BZPOPMIN")
    s.say(b, "ZRANGE", "k", 0, -1)
    s.say(b, "DEL", "k")
    s.wait(a, "BZPOPMAX", "k", "0")
    s.wait(c, "BZMPOP", "0", 2, "j", "k", "MAX", "COUNT", 5)
    s.say(b, "ZADD", "k", 1, "x", 2, "y", 3, "z")
    s.served(a, "BZPOPMAX"), s.served(c, "BZMPOP")
    s.wait(a, "BZPOPMIN", "d", "0")
    s.say(b, "ZADD", "u", 1, "x", 2, "y")
    s.say(b, "ZUNIONSTORE", "d", 1, "u")
    s.served(a, "fed by ZUNIONSTORE")
    s.wait(a, "BZPOPMIN", "t", "0")
    s.say(b, "RENAME", "u", "t")
    s.served(a, "fed by RENAME")
    for words in (["BZPOPMIN", "none", "0.05"], ["BZMPOP", "0.05", 1, "none", "MIN"]):
        s.say(a, *words)
    s.say(b, "FLUSHALL")


def first_fed(s):
    """Of several keys the one that was written to first, wherever it stands in the request."""
    a, b, c = s.a, s.b, s.client()
    for words, fill in ((["BZPOPMIN", "p", "q", "0"], "ZADD"), (["BZMPOP", "0", 3, "o", "p", "q", "MAX", "COUNT", 9], "ZADD"),
                        (["BLPOP", "p", "q", "0"], "RPUSH"), (["BLMPOP", "0", 2, "p", "q", "RIGHT"], "RPUSH")):
        s.wait(a, *words)
        for queued in (["MULTI"], [fill, "q", 1, "x"], [fill, "p", 2, "y"], ["EXEC"]):
            s.say(b, *queued)
        s.served(a, words)
        s.say(b, "DEL", "p", "q")
    s.wait(a, "BLPOP", "p", "q", "0")  # what leaves a key as it was feeds nobody
    for queued in (["MULTI"], ["LPUSHX", "p", 1], ["RPUSH", "q", "x"], ["RPUSH", "p", "y"], ["EXEC"]):
        s.say(b, *queued)
    s.served(a, "BLPOP")
    s.say(b, "DEL", "p", "q")
    s.wait(a, "BZPOPMIN", "p", "q", "0")
    s.wait(c, "BZPOPMAX", "q", "p", "0")
    for queued in (["MULTI"], ["ZADD", "q", 1, "x"], ["ZADD", "p", 2, "y"], ["EXEC"]):
        s.say(b, *queued)
    s.served(a, "the first"), s.served(c, "the second")
    s.say(b, "FLUSHALL")


def other_ways(s):
    a, b = s.a, s.b
    for how in (["RENAME", "u", "t"], ["COPY", "u", "t"]):
        s.wait(a, "BLPOP", "t", "0")
        s.say(b, "RPUSH", "u", how[0])
        s.say(b, *how)
        s.served(a, how[0])
    s.wait(a, "BLPOP", "t", "0")
    s.say(b, "SELECT", 1)
    s.say(b, "RPUSH", "t", "from another database")
    s.say(b, "MOVE", "t", 0)
    s.served(a, "MOVE")
    s.wait(a, "BLPOP", "t", "0")
    s.say(b, "RPUSH", "t", "swapped")
    s.say(b, "SWAPDB", 0, 1)
    s.served(a, "SWAPDB")
    s.say(b, "SELECT", 0)
    s.wait(a, "BLPOP", "t", "0")
    s.say(b, "SET", "t", "no list")
    s.say(b, "DEL", "t")
    s.say(b, "RPUSH", "t", "a list")
    s.served(a, "a list after something else")
    s.say(b, "FLUSHALL")


def ends(s):
    a, b = s.a, s.b
    for words in (["BLPOP", "k", "l", "0.05"], ["BLMOVE", "k", "l", "LEFT", "LEFT", "0.05"],
                  ["BRPOPLPUSH", "k", "l", "0.05"], ["BLMPOP", "0.05", "1", "k", "LEFT"]):
        s.say(a, *words)
    number = a.call("CLIENT", "ID")[1:-2].decode()
    for how in ([], ["TIMEOUT"], ["ERROR"]):
        s.wait(a, "BLPOP", "k", "0")
        s.said.append((f"UNBLOCK {how}", b.call("CLIENT", "UNBLOCK", number, *how)))
        s.served(a, f"unblocked {how}")
    s.said.append(("UNBLOCK one that does not wait", b.call("CLIENT", "UNBLOCK", number)))
    s.say(b, "CLIENT", "UNBLOCK", "1", "SOMEHOW")
    s.say(b, "CLIENT", "UNBLOCK", "abc")
    s.say(b, "CLIENT", "UNBLOCK", "123456789")


def behind_it(s):
    a, b = s.a, s.b
    s.wait(a, "BLPOP", "k", "0")
    a.send(request("SET", "n", 1) + request("INCR", "n") + request("BLPOP", "k", "0") + request("GET", "n"))
    s.said.append(("nothing behind it is done", b.call("EXISTS", "n"), quiet(a)))
    s.say(b, "RPUSH", "k", "one")
    for what in ("BLPOP", "SET", "INCR"):
        s.served(a, what)
    s.said.append(("and the next one waits", quiet(a)))
    s.say(b, "RPUSH", "k", "two")
    s.served(a, "BLPOP again"), s.served(a, "GET")
    s.wait(a, "BLPOP", "k", "0")
    b.send(request("RPUSH", "k", 1) + request("LPOP", "k") + request("RPUSH", "k", 2, 3) + request("LLEN", "k"))
    for what in ("RPUSH", "LPOP comes too late", "RPUSH again", "LLEN"):
        s.served(b, what)
    s.served(a, "before the LPOP of the same pipeline")
    s.say(b, "FLUSHALL")


def away(s):
    b = s.b
    gone = s.client()
    s.wait(gone, "BLPOP", "k", "0")
    gone.close()
    s.said.append(("a client that is gone waits no longer", bool(until(5, lambda: not s.blocked()))))
    half = s.client()
    half.send(request("PING") + request("BLPOP", "k", "0"))
    half.socket.shutdown(socket.SHUT_WR)
    s.said.append(("nor one that says no more", half.reply(), half.closed()))
    killed = s.client()
    number = killed.call("CLIENT", "ID")[1:-2].decode()
    s.wait(killed, "BLPOP", "k", "0")
    s.said.append(("CLIENT KILL", b.call("CLIENT", "KILL", "ID", number), killed.closed()))
    s.say(b, "RPUSH", "k", "is left")
    s.say(b, "LRANGE", "k", 0, -1)
    s.say(b, "FLUSHALL")


def compare(tap, what, *options):
    with Redis() as original:
        for hello in (False, True):
            with Server("--persist", "3600", *options) as kv:
                for scene in (first_come, moves, sorted_sets, first_fed, other_ways, ends, behind_it, away):
                    stages = [Stage(server.port, hello) for server in (kv, original)]
                    for stage in stages:
                        scene(stage)
                    tap.equal(f"{scene.__name__} as redis-server, {what}, RESP{3 if hello else 2}", *(s.said for s in stages))


def test_default(tap):
    compare(tap, "default options")


def test_one_child(tap):
    compare(tap, "one child", "--children", "1")


def test_own_child(tap):
    compare(tap, "a child each", "--children", "100")


def test_hung_up_on(tap):
    """Who sees the server hang up on its wait knows that nothing more is taken for it."""
    for options in (["--children", "1"], ["--children", "100"]):
        with Server(*options) as server:
            other = Raw(server.port)
            for i in range(100):
                half = Raw(server.port)
                half.send(request("BLPOP", f"k{i}", "0"))
                half.socket.shutdown(socket.SHUT_WR)
                half.closed()
                other.call("RPUSH", f"k{i}", i)
            tap.equal(f"what comes after the end of a wait is left {' '.join(options)}", other.call("DBSIZE"), b":100\r\n")


def test_workers(tap):
    """Each job is done once, whoever comes and goes."""
    workers, jobs = 100, 20_000
    for options in (("--children", "4"), ("--persist", "3600", "--fsync", "always")):
        with Server(*options) as server:
            done = []

            def work(number, problems):
                client = redis.Redis(port=server.port, password=PASSWORD)
                try:
                    while True:
                        key, job = client.blpop(["urgent", "jobs"], timeout=0)
                        if job == b"end":
                            return
                        done.append(int(job))
                        if number % 4 == 0 and len(done) % 50 == 0:
                            client.connection_pool.disconnect()
                except Exception as error:
                    problems.append(repr(error))

            def all_work(number, problems):
                if number < workers:
                    return work(number, problems)
                giver = redis.Redis(port=server.port, password=PASSWORD)
                for i in range(0, jobs, 100):
                    giver.rpush("urgent" if i % 300 == 0 else "jobs", *range(i, i + 100))
                for _ in range(workers):
                    giver.rpush("jobs", "end")

            problems = together(workers + 1, all_work)
            tap.equal(f"{workers} workers run into no problem {' '.join(options)}", problems, [])
            tap.ok(sorted(done) == list(range(jobs)), f"each of {jobs} jobs is done once", f"{len(done)} were done")
            tap.equal("nothing is left", Raw(server.port).call("EXISTS", "jobs", "urgent"), b":0\r\n")


def test_what_it_costs_to_wait(tap):
    """Who waits and sends more keeps neither the server's memory nor others busy."""
    with Server() as server:
        waiting, other = Raw(server.port), Raw(server.port)
        waiting.send(request("BLPOP", "k", "0"))
        waiting.socket.settimeout(10)
        data = request("SET", "v", b"x" * (1 << 20)) * 100
        waiting.send(data)
        memory = int(other.call("INFO", "memory").split(b"used_memory:")[1].split(b"\r\n")[0])
        tap.ok(memory < 60 << 20, "100 MB that are asked meanwhile are not held by the sibling", f"{memory} bytes")
        tap.equal("others are served", other.call("EXISTS", "v"), b":0\r\n")
        other.call("RPUSH", "k", "go")
        want = b"*2\r\n$1\r\nk\r\n$2\r\ngo\r\n" + b"+OK\r\n" * 100
        tap.equal("and then it is all done, in order", waiting.exactly(len(want)), want)
        many = [Raw(server.port) for _ in range(200)]
        for raw in many:
            raw.send(request("BLPOP", "none", "0"))
        tap.ok(until(10, lambda: b"blocked_clients:200" in other.call("INFO", "clients")), "INFO counts who waits")
        for raw in many:
            raw.close()
        tap.ok(until(10, lambda: b"blocked_clients:0" in other.call("INFO", "clients")), "until they go")


def test_deaths(tap):
    """What was taken is gone for good, what was not is still there; nobody holds up an end."""
    with Server("--persist", "3600") as server:
        waiting, other = Raw(server.port), Raw(server.port)
        waiting.send(request("BRPOP", "k", "0"))
        until(5, lambda: b"blocked_clients:1" in other.call("INFO", "clients"))
        other.call("RPUSH", "k", "a", "b")
        tap.equal("one is served", waiting.reply(), b"*2\r\n$1\r\nk\r\n$1\r\nb\r\n")
        waiting.send(request("BLPOP", "none", "0"))
        os.kill(sibling_of(server), signal.SIGKILL)
        tap.ok(waiting.closed(), "who waits is hung up on when the sibling dies")
        tap.equal("what was served is not there again", answers(server, ("LRANGE", "k", 0, -1)), [b"*1\r\n$1\r\na\r\n"])
        other = Raw(server.port)
        waiting = Raw(server.port)
        waiting.send(request("BLPOP", "none", "0"))
        until(5, lambda: b"blocked_clients:1" in other.call("INFO", "clients"))
        start = time.monotonic()
        tap.equal("the server ends though somebody waits", server.stop(), 0)
        tap.ok(time.monotonic() - start < 5, "at once", f"{time.monotonic() - start:.1f} s")
        tap.ok(waiting.closed(), "and hangs up on it")


if __name__ == "__main__":
    main(test_default, test_one_child, test_own_child, test_hung_up_on, test_workers, test_what_it_costs_to_wait, test_deaths)
