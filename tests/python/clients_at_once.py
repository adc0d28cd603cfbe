"""Many clients at once: nothing lost, nothing mixed up, every dialect on one port."""
import socket
import time

import redis

from lib_kv import Raw, Server, main, request, together, until, PASSWORD

CLIENTS, REQUESTS, DEPTH = 64, 10_000, 50


def busy_client(port, number, problems):
    """Sets and reads keys of its own in pipelines and counts on a shared one."""
    try:
        raw = Raw(port, timeout=120)
        done = 0
        while done < REQUESTS:
            want, batch = [], b""
            for i in range(DEPTH // 2):
                value = f"{number}:{done + i}:" + "v" * (i % 40)
                batch += request("SET", f"k{number}:{i}", value) + request("GET", f"k{number}:{i}")
                want += [b"+OK\r\n", b"$%d\r\n%s\r\n" % (len(value), value.encode())]
            raw.send(batch)
            for expected in want:
                got = raw.reply()
                if got != expected:
                    problems.append(f"client {number}: got {got!r}, expected {expected!r}")
                    return
            done += DEPTH
        for _ in range(100):
            raw.call("INCR", "shared")
        raw.close()
    except Exception as error:
        problems.append(f"client {number}: {error!r}")


def many(tap, *options):
    with Server(*options) as server:
        problems = together(CLIENTS, lambda n, problems: busy_client(server.port, n, problems))
        what = " ".join(options) or "default options"
        tap.equal(f"{CLIENTS} clients x {REQUESTS} requests, each answered with its own ({what})", problems, [])
        tap.equal(f"no increment of {CLIENTS} clients is lost ({what})",
                  Raw(server.port).call("GET", "shared"), b"$4\r\n%d\r\n" % (CLIENTS * 100))


def test_default(tap):
    many(tap)


def test_one_child(tap):
    many(tap, "--children", "1")


def test_many_keys_at_their_end(tap):
    """More keys than expiry has time for at once: they go soon, and others are served meanwhile."""
    keys, step = 300_000, 5_000
    with Server() as server:
        raw = Raw(server.port, timeout=60)
        raw.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        for i in range(0, keys, step):
            raw.send(b"".join(request("SET", f"k{n}", "v" * 100, "PX", 1) for n in range(i, i + step)))
            raw.exactly(len(b"+OK\r\n") * step)
        raw.call("SET", "stays", "v")
        tap.equal(f"{keys} keys whose time has come", raw.call("DBSIZE"), b":%d\r\n" % (keys + 1))
        raw.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
        start, waits = time.monotonic(), []
        while raw.call("DBSIZE") != b":1\r\n" and time.monotonic() - start < 20:
            asked = time.monotonic()
            raw.call("GET", "stays")
            waits.append(time.monotonic() - asked)
        waits.sort()
        tap.equal("go within some seconds", raw.call("DBSIZE"), b":1\r\n")
        tap.ok(waits and waits[len(waits) // 2] < 0.02, "meanwhile others are answered as ever", f"{waits[len(waits) // 2:][:1]} s")


def test_python_redis(tap):
    with Server() as server:
        r = redis.Redis(port=server.port, password=PASSWORD)
        tap.equal("python3-redis sets", r.set("k", b"\x00\xff"), True)
        tap.equal("python3-redis gets the same bytes", r.get("k"), b"\x00\xff")
        tap.equal("python3-redis hash", (r.hset("h", mapping={"a": 1, "b": 2}), r.hgetall("h")), (2, {b"a": b"1", b"b": b"2"}))
        with r.pipeline(transaction=False) as p:
            for i in range(1000):
                p.rpush("l", i)
            tap.equal("python3-redis pipeline", p.execute()[-1], 1000)
        tap.equal("python3-redis scan_iter", sorted(r.scan_iter()), [b"h", b"k", b"l"])
        tap.ok(r.info()["redis_version"] == "7.0.0", "python3-redis reads INFO")
        tap.ok(len(r.client_list()) >= 1, "python3-redis reads CLIENT LIST")


def test_cut_anywhere(tap):
    with Server() as server:
        raw = Raw(server.port)
        data = request("SET", "cut", "a\r\nb") + b"PING\r\n" + request("GET", "cut")
        want = b"+OK\r\n+PONG\r\n$4\r\na\r\nb\r\n"
        bad = []
        for cut in range(1, len(data)):
            raw.send(data[:cut])
            raw.send(data[cut:])
            got = raw.reply() + raw.reply() + raw.reply()
            if got != want:
                bad.append((cut, got))
        tap.equal("a request cut at any byte", bad, [])
        for byte in data:
            raw.send(bytes([byte]))
        tap.equal("a byte at a time", raw.reply() + raw.reply() + raw.reply(), want)


def test_large(tap):
    with Server() as server:
        raw = Raw(server.port, timeout=60)
        for size in (1000, 65536, 1 << 20, 5_000_001, 64 << 20):
            value = (b"0123456789abcde\n" * (size // 16 + 1))[:size]
            tap.equal(f"SET of {size} bytes", raw.call("SET", "big", value), b"+OK\r\n")
            got = raw.call("GET", "big")
            tap.ok(got == b"$%d\r\n%s\r\n" % (size, value), f"GET of {size} bytes gives the same", f"{len(got)} bytes came")
        tap.equal("APPEND to it", raw.call("APPEND", "big", "x"), b":%d\r\n" % ((64 << 20) + 1))


def test_pipeline_then_half_close(tap):
    """N9: a deep pipeline, then no more input: everything asked is answered."""
    with Server() as server:
        raw = Raw(server.port, timeout=60)
        raw.send(b"PING\r\n" * 100_000)
        raw.socket.shutdown(socket.SHUT_WR)
        got = b""
        while True:
            data = raw.socket.recv(1 << 20)
            if not data:
                break
            got += data
        tap.ok(got == b"+PONG\r\n" * 100_000, "N9: 100,000 pipelined commands, then half-closed", f"{len(got)} bytes")


def sent_before_reading(raw, data, want):
    """Sends it all, and only then reads as many bytes as are wanted: what came, or where sending stopped."""
    sent, view = 0, memoryview(data)
    try:
        while sent < len(data):
            sent += raw.socket.send(view[sent:sent + (1 << 20)])
    except socket.timeout:
        return f"stuck after {sent} of {len(data)} bytes"
    return raw.exactly(want)


def test_all_sent_before_reading(tap):
    """Many clients send a whole pipeline before they read the first reply."""
    for options in ([], ["--children", "1"]):
        with Server(*options) as server:
            raw = Raw(server.port, timeout=15)
            raw.call("SET", "v", b"x" * 400)
            get, value = request("GET", "v"), b"$400\r\n" + b"x" * 400 + b"\r\n"
            want = value * 400_000 + b":1\r\n"
            tap.ok(sent_before_reading(raw, get * 400_000 + request("INCR", "n"), len(want)) == want,
                   f"400,000 requests, then 160 MB of replies {' '.join(options)}")
            large = b"y" * 300_000
            data = (request("SET", "large", large) + request("GET", "large") + get) * 100
            want = (b"+OK\r\n" + b"$300000\r\n" + large + b"\r\n" + value) * 100
            tap.ok(sent_before_reading(raw, data, len(want)) == want, "large values there and back")
            want = value * 400_000 + b"-ERR Protocol error: expected '$', got 'x'\r\n"
            tap.ok(sent_before_reading(raw, get * 400_000 + b"*1\r\nx\r\n" + get, len(want)) == want and raw.closed(),
                   "a protocol error behind them is told behind their replies")
            raw = Raw(server.port, timeout=15)
            raw.send(get * 100_000)  # its end comes while much is kept
            raw.send(get * 30_000)
            raw.socket.shutdown(socket.SHUT_WR)
            tap.ok(raw.exactly(130_000 * len(value)) == value * 130_000 and raw.closed(), "half-closed behind them")


SLOW = 25


def slow_requests():
    """SLOW commands of 0.1 s each, a number behind each, and the answers."""
    data = b"".join(request("DEBUG", "SLEEP", "0.1") + request("ECHO", 1000 + i) for i in range(SLOW))
    return data, b"".join(b"+OK\r\n$4\r\n%d\r\n" % (1000 + i) for i in range(SLOW))


def turns(tap, what, slow, other, want):
    """The other one is answered in between; then all of want comes, though nothing more is sent."""
    tap.equal(f"{what}: another client is answered", other.call("PING"), b"+PONG\r\n")
    slow.socket.setblocking(False)
    try:
        slow.more()
    except BlockingIOError:
        pass
    slow.socket.settimeout(60)
    before = slow.buffer.count(b"+OK")
    tap.ok(before < SLOW // 2, f"{what}: before most of them are done", f"{before} of {SLOW} were")
    tap.equal(f"{what}: each is answered, in order", slow.exactly(len(want)), want)


def test_slow_pipeline(tap):
    """Slow commands that one client has pipelined are done in turn with what others ask."""
    with Server("--children", "0") as server:
        slow, other = Raw(server.port), Raw(server.port)
        data, want = slow_requests()
        slow.send(data)
        first = len(b"+OK\r\n")
        tap.equal("the first of some slow commands is answered by itself", slow.exactly(first), want[:first])
        turns(tap, "a pipeline of them", slow, other, want[first:])
        slow.call("SET", "big", b"v" * (5 << 20))
        slow.send(request("GET", "big") + data)  # which wait until it has been read
        slow.reply()
        turns(tap, "a pipeline behind a large reply", slow, other, want)
        slow.send(data + request("SET", "last", "done"))
        slow.close()
        tap.ok(until(30, lambda: other.call("GET", "last") == b"$4\r\ndone\r\n"), "and so is what a client leaves behind")


if __name__ == "__main__":
    main(test_default, test_one_child, test_many_keys_at_their_end, test_python_redis, test_cut_anywhere, test_large,
         test_pipeline_then_half_close, test_all_sent_before_reading, test_slow_pipeline)
