"""Requests of megabytes through one shared child: each arrives whole, however it is cut, and none waits for another's
client.

Most run with one child, whose segment has six slots for requests and eight for replies, each of a little more than a
mebibyte: sizes around that are the ones that could go wrong.
"""
import re
import time

from lib_kv import Raw, Server, main, request, sibling_of, together, until

SLOT = (1 << 20) + 64 * 1024
HEADS = len(request("SET", "k", "")) + 6  # the words around a value of seven digits, and a little


def value_of(seed, size):
    block = (b"%08d" % seed) * 1024
    return (block * (size // len(block) + 1))[:size]


def bulk(value):
    return b"$%d\r\n%s\r\n" % (len(value), value)


def warmed(server):
    """A connection of a child that has its segment: the first large value asks for one."""
    raw = Raw(server.port, timeout=60)
    for _ in range(20):
        raw.call("SET", "warm", "w" * 100_000)
    return raw


def send_cut(raw, data, cut):
    for at in range(0, len(data), cut):
        raw.send(data[at:at + cut])


def test_sizes(tap):
    with Server("--persist", "60", "--children", "1") as server:
        raw = warmed(server)
        sizes = [65_000, 131_072, 1 << 20, SLOT - HEADS, SLOT - HEADS + 20, SLOT, SLOT + 1, 3 * SLOT, 9 * SLOT + 7]
        for cut in (1 << 26, 70_001):
            wrong = []
            for i, size in enumerate(sizes):
                value = value_of(i, size)
                send_cut(raw, request("SET", f"k{i}", value), cut)
                if raw.reply() != b"+OK\r\n" or raw.call("GET", f"k{i}") != bulk(value):
                    wrong.append(size)
            tap.equal(f"values of 64 KiB to 10 MiB come back, sent {cut} bytes at a time", wrong, [])
        server.stop()
        server.start()
        raw = Raw(server.port, timeout=60)
        wrong = [size for i, size in enumerate(sizes) if raw.call("GET", f"k{i}") != bulk(value_of(i, size))]
        tap.equal("and from the log after a restart", wrong, [])


def test_shapes(tap):
    with Server("--children", "1") as server:
        raw = warmed(server)
        big, other = value_of(1, 600_000), value_of(2, 400_000)
        raw.send(request("MSET", "a", big, "b", "small", "c", other))
        tap.equal("two large values in one request", (raw.reply(), raw.call("GET", "a"), raw.call("GET", "b"),
                                                      raw.call("GET", "c")),
                  (b"+OK\r\n", bulk(big), bulk(b"small"), bulk(other)))
        raw.send(request("SET", "d", big, "EX", "100") + request("GET", "d") + request("SET", "e", other)
                 + request("STRLEN", "e") + request("PING"))
        got = [raw.reply() for _ in range(5)]
        tap.equal("words behind a large value, and requests behind that", got,
                  [b"+OK\r\n", bulk(big), b"+OK\r\n", b":400000\r\n", b"+PONG\r\n"])
        words = [value_of(i, 1000) for i in range(3000)]
        raw.send(request("RPUSH", "l", *words) + request("LRANGE", "l", "2999", "-1"))
        tap.equal("three thousand words of 1,000 bytes", [raw.reply(), raw.reply()],
                  [b":3000\r\n", b"*1\r\n" + bulk(words[-1])])
        raw.send(b"*3\r\n$3\r\nSET\r\n$1\r\nf\r\n*2\r\n$1\r\nx\r\n$%d\r\n%s\r\n" % (len(big), big) + request("PING"))
        tap.equal("a large string inside a list, and a request behind it", [raw.reply(), raw.reply()],
                  [b"+OK\r\n", b"+PONG\r\n"])
        bad = Raw(server.port)
        bad.send(request("SET", "g", big)[:-2] + b"xx" + request("PING"))
        tap.ok(bad.reply().startswith(b"-ERR Protocol error") and bad.closed(), "a large value without its end is refused")
        tap.equal("and not stored", raw.call("EXISTS", "g"), b":0\r\n")


def test_kept(tap):
    """Large values are kept as they came; also those that are gone before their request has ended."""
    with Server("--persist", "60", "--children", "1") as server:
        raw = warmed(server)
        raw.call("CONFIG", "SET", "slowlog-log-slower-than", "0")
        big, other, half = (value_of(n, size) for n, size in ((1, 900_000), (2, 800_000), (3, 500_000)))
        before = int(raw.call("INFO", "memory").split(b"used_memory:")[1].split()[0])
        cases = [
            (("MSET", "a", big, "a", "x"), "a", b"x"), (("MSET", "a", big, "a", other), "a", other),
            (("MSET", "a", big, "a", half), "a", half), (("MSET", "a", big, "b", big), "b", big),
            (("SET", "a", other, "GET"), "a", other), (("SET", "a", big, "PXAT", "1"), "a", None),
            (("SET", "a", big, "KEEPTTL"), "a", big), (("GETSET", "a", other), "a", other), (("APPEND", "a", big), "a", other + big),
            (("APPEND", "new", big), "new", big), (("SETRANGE", "new", "1", other), "new", big[:1] + other + big[800_001:]),
            (("SETNX", "new", other), "new", big[:1] + other + big[800_001:])]
        wrong = []
        for words, key, value in cases:
            raw.call(*words)
            if raw.call("GET", key) != (b"$-1\r\n" if value is None else bulk(value)):
                wrong.append(words[0] + " " + str(words[1]))
        raw.send(request("HSET", "h", "f", big, "f", "x", "g", other) + request("HSET", "h", "f", half))
        raw.reply(), raw.reply()
        if (raw.call("HGET", "h", "f"), raw.call("HGET", "h", "g")) != (bulk(half), bulk(other)):
            wrong.append("HSET")
        tap.equal("each way to set a large value leaves what it should", wrong, [])
        tap.ok(b"MSET" in raw.call("SLOWLOG", "GET", "100"), "and the slow log, which looks at the words afterwards, can")
        digest = raw.call("DEBUG", "DIGEST")
        for _ in range(50):
            raw.call("SET", "n", big)
        raw.call("DEL", "n")
        tap.equal("setting the same key again changes nothing else", raw.call("DEBUG", "DIGEST"), digest)
        server.stop()
        server.start()
        raw = Raw(server.port, timeout=60)
        tap.equal("and the log says the same", raw.call("DEBUG", "DIGEST"), digest)
        raw.call("DEL", "a", "b", "new", "h")
        after = int(raw.call("INFO", "memory").split(b"used_memory:")[1].split()[0])
        tap.ok(after < before + 500_000, "deleted, they hold no memory", f"{before} and {after}")


def test_given_back(tap):
    """The memory of a large line of the log is given back once the line is written."""
    with Server("--persist", "60") as server:
        raw = Raw(server.port, timeout=60)
        used = lambda: int(raw.call("INFO", "memory").split(b"used_memory:")[1].split()[0])
        before = used()
        raw.call("SET", "big", value_of(1, 40_000_000))
        raw.call("DEL", "big")
        tap.ok(until(5, lambda: used() < before + 4_000_000), "a value of 40 MB that was deleted holds no memory, nor does its line",
               f"{before} and {used()}")


def test_stalled_clients(tap):
    """Clients that stop in the middle of a large value keep slots, but never the last one."""
    with Server("--children", "1") as server:
        raw = warmed(server)
        value = value_of(3, 1 << 20)
        whole = request("SET", "slow", value)
        stalled = [Raw(server.port, timeout=60) for _ in range(8)]
        for each in stalled:
            each.send(whole[:500_000])
        for size in (100_000, 1 << 20, 20 << 20):
            mine = value_of(4, size)
            raw.send(request("SET", "k", mine))
            tap.equal(f"{size} bytes pass eight clients that stopped half way", (raw.reply(), raw.call("GET", "k")),
                      (b"+OK\r\n", bulk(mine)))
        for each in stalled[:4]:
            each.close()
        for each in stalled[4:]:
            each.send(whole[500_000:])
        tap.equal("those who go on are served", [each.reply() for each in stalled[4:]], [b"+OK\r\n"] * 4)
        many = [Raw(server.port, timeout=60) for _ in range(12)]
        for each in many:
            each.send(whole[:300_000])
            each.close()
        tap.equal("the slots of those who hang up are used again", (raw.call("SET", "k", "v" * (1 << 20)),
                                                                    raw.call("STRLEN", "k")), (b"+OK\r\n", b":1048576\r\n"))


def test_short_words(tap):
    """A request that needs more room on its way to the sibling than it took on the wire, when room is short: its words
    lie where the child reads the next client to.
    """
    nils, mine, theirs = 19_800, [b"A" * 40] * 100, b"victims-secret/" * 4330
    push = b"*%d\r\n" % (2 + nils + 100) + b"$5\r\nRPUSH\r\n$1\r\nl\r\n" + b"_\r\n" * nils + b"".join(map(bulk, mine))
    assert len(push) < 65_536
    with Server("--children", "1") as server:
        raw = warmed(server)
        one, another, sleeper, fillers = (Raw(server.port), Raw(server.port), Raw(server.port),
                                          [Raw(server.port) for _ in range(5)])
        wrong = []
        for room_taken in (0, 5, 15, 17, 18):
            raw.call("DEL", "l")
            sleeper.send(request("DEBUG", "SLEEP", "0.7"))
            time.sleep(0.1)
            if room_taken != 5:
                for filler in fillers:
                    filler.send(request("SET", "large", value_of(1, SLOT - 200)))
            for i in range(room_taken):
                raw.send(request("SET", f"f{i}", "f" * 60_000))
                time.sleep(0.005)
            one.send(push)
            time.sleep(0.05)
            another.send(request("SET", "theirs", theirs))
            got = [one.reply(), another.reply(), sleeper.reply()] + [raw.reply() for _ in range(room_taken)]
            if room_taken != 5:
                got += [filler.reply() for filler in fillers]
            stored = raw.call("LRANGE", "l", "-100", "-1")
            if got[0] != b":%d\r\n" % (nils + 100) or stored != b"*100\r\n" + b"".join(map(bulk, mine)):
                wrong.append(f"{room_taken}: {got[0]!r} {stored[:60]!r}")
            if raw.call("GET", "theirs") != bulk(theirs):
                wrong.append(f"{room_taken}: the other's value")
        tap.equal("a list of a word and 19,800 nils is stored as it was sent, whatever others do meanwhile", wrong, [])


def test_beyond_the_limit(tap):
    """1,048,570 nils have 3 bytes each on the wire and 5 behind it: only there is the request too large."""
    nils, piece = 1_048_570, b"z" * (1 << 20)
    size = ((1 << 30) - 3 * nils - 100) // 2
    with Server("--children", "1") as server:
        raw, other = Raw(server.port, timeout=120), Raw(server.port)
        raw.send(b"*%d\r\n$5\r\nRPUSH\r\n$1\r\nl\r\n" % (4 + nils))
        for _ in range(2):
            raw.send(b"$%d\r\n" % size)
            for at in range(0, size, len(piece)):
                raw.send(piece[:size - at])
            raw.send(b"\r\n")
        raw.send(b"_\r\n" * nils)
        tap.equal("a request beyond 1 GiB is refused", raw.reply(), b"-ERR Protocol error: too big request\r\n")
        tap.ok(raw.closed(), "and its connection closed")
        tap.equal("nobody else's is", other.call("EXISTS", "l"), b":0\r\n")


def mapped(server):
    """Bytes of address space of the sibling, which maps each child's segment."""
    with open(f"/proc/{sibling_of(server)}/status") as status:
        return int(re.search(r"VmSize:\s+(\d+)", status.read()).group(1)) * 1024


def test_segments(tap):
    """Shared memory is for those who have logged in, and for a number of children only."""
    big = request("SET", *["g" * 16_000] * 9)
    with Server("--children", "0") as server:
        before = mapped(server)
        guests = [Raw(server.port, password=None) for _ in range(20)]
        for guest in guests:
            guest.send(big)
        tap.equal("guests are refused", {guest.reply()[:7] for guest in guests}, {b"-NOAUTH"})
        tap.equal("and get no shared memory", (mapped(server) - before) // (14 * SLOT), 0)
        users = [Raw(server.port) for _ in range(70)]
        for i, user in enumerate(users):
            for _ in range(2):
                user.call("SET", f"k{i}", "v" * 50_000)
        until(20, lambda: mapped(server) - before >= 64 * 14 * SLOT)
        tap.equal("of 70 processes with large values 64 get some", (mapped(server) - before) // (14 * SLOT), 64)
        tap.equal("and all of them are served", {user.call("GET", f"k{i}") for i, user in enumerate(users)},
                  {bulk(b"v" * 50_000)})


def busy(port, number, problems):
    try:
        raw = Raw(port, timeout=120)
        for i in range(12):
            values = [value_of(100 * number + i, size + number) for size in (70_000, 1 << 20, 2_500_000)]
            raw.send(b"".join(request("SET", f"k{number}", v) + request("GET", f"k{number}") for v in values))
            for v in values:
                if raw.reply() != b"+OK\r\n" or raw.reply() != bulk(v):
                    problems.append(f"client {number}, round {i}, {len(v)} bytes")
                    return
    except Exception as error:
        problems.append(f"client {number}: {error!r}")


def test_many(tap):
    with Server("--children", "1") as server:
        warmed(server)
        problems = together(16, lambda n, problems: busy(server.port, n, problems))
        tap.equal("sixteen clients share six slots: each gets its own values back", problems, [])
        tap.ok("no honest child" not in server.text(), "and the sibling finds no fault with the child")


def reader(port, size, problems):
    try:
        raw = Raw(port, timeout=120)
        for _ in range(10):
            raw.send(request("GET", "k") + request("GET", "small") + request("APPEND", "log", "x"))
            if raw.reply() != bulk(value_of(7, size)) or raw.reply() != bulk(b"small") or not raw.reply().startswith(b":"):
                problems.append("a reply is another's or damaged")
                return
    except Exception as error:
        problems.append(repr(error))


def test_readers(tap):
    """More large replies at a time than slots: they wait for them, and nobody waits for ever."""
    for options in ([], ["--persist", "60", "--fsync", "always"]):
        with Server("--children", "1", *options) as server:
            raw = warmed(server)
            for size in (1 << 20, 5_000_000):
                raw.call("MSET", "k", value_of(7, size).decode(), "small", "small")
                problems = together(24, lambda _, problems: reader(server.port, size, problems))
                tap.equal(f"24 readers of {size} bytes in one child {' '.join(options)}", problems, [])


if __name__ == "__main__":
    main(test_sizes, test_shapes, test_kept, test_given_back, test_stalled_clients, test_short_words, test_beyond_the_limit,
         test_segments, test_many, test_readers)
