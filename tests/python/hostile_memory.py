"""Where memory ends, and what replies may take of it: one client may be told so; the rest is served, and nothing is half done."""
import os
import re
import resource
import signal
import subprocess
import time

from lib_kv import PASSWORD, Raw, SERVER, Server, Wrapped, everybody, main, request, sibling_of, until

MIB = 1 << 20


def test_replies_are_bounded(tap):
    size = 120 * MIB
    big = b"x" * size
    too_large = b"-ERR the reply would be larger than 1073741824 bytes\r\n"
    with Server() as server:
        raw, other = Raw(server.port, timeout=60), Raw(server.port)
        sibling = sibling_of(server)
        tap.equal("N5: a large value is set", raw.call("SET", "big", big), b"+OK\r\n")
        tap.equal("N5: a reply over the limit is an error", raw.call("MGET", *["big"] * 10), too_large)
        tap.equal("N5: so is one far over it", raw.call("MGET", *["big"] * 100_000), too_large)
        tap.equal("N5: the others are served", other.call("PING"), b"+PONG\r\n")
        for _ in range(9):
            raw.call("RPUSH", "list", big)
        tap.equal("N5: LRANGE as well", raw.call("LRANGE", "list", "0", "-1"), too_large)
        got = raw.call("LPOP", "list", "9")
        tap.ok(got.startswith(b"-ERR the elements are too many bytes"), "N5: what no reply could hold is not popped", repr(got[:100]))
        tap.equal("N5: it is all there", raw.call("LLEN", "list"), b":9\r\n")
        raw.call("DEL", "list")
        for i in range(9):
            raw.call("SADD", "set", big + b"%d" % i)
        tap.equal("N5: SMEMBERS as well", raw.call("SMEMBERS", "set"), too_large)
        for count in "9", "100":
            got = raw.call("SPOP", "set", count)
            tap.ok(got.startswith(b"-ERR the elements are too many bytes"), "N5: nor are members", repr(got[:100]))
        tap.equal("N5: they are all there", raw.call("SCARD", "set"), b":9\r\n")
        raw.call("DEL", "set")
        for i in range(9):
            raw.call("ZADD", "sorted", "1", big + b"%d" % i)
        for pop in (["ZPOPMIN", "sorted", "9"], ["ZMPOP", "1", "sorted", "MAX", "COUNT", "9"]):
            got = raw.call(*pop)
            tap.ok(got.startswith(b"-ERR the elements are too many bytes"), "N5: nor by " + pop[0], repr(got[:100]))
        tap.equal("N5: no member is gone", raw.call("ZCARD", "sorted"), b":9\r\n")
        tap.equal("N5: it is still the same sibling", sibling_of(server), sibling)
    with Server("--persist", "3600") as server:
        raw = Raw(server.port, timeout=60)
        raw.call("SET", "big", big)
        raw.call("PING")
        sibling = sibling_of(server)
        raw.send(request("SET", "k", "v") + request("GET", "big") * 30 + request("SET", "k", "w") + request("GET", "k"))
        tap.equal("N5: a write with many large reads behind it is done", raw.reply(), b"+OK\r\n")
        kinds = set()
        for _ in range(30):
            got = raw.reply()
            kinds.add("the value" if got[:-2].endswith(big[-100:]) and len(got) > size else got[:22])
        tap.equal("N5: each read is answered with the value or told to ask again", kinds - {"the value", b"-ERR too many bytes of"}, set())
        tap.equal("N5: the write behind them is done", raw.reply(), b"+OK\r\n")
        raw.reply()
        tap.equal("N5: and seen", raw.call("GET", "k"), b"$1\r\nw\r\n")
        tap.equal("N5: by the same sibling", sibling_of(server), sibling)


def test_replies_of_a_transaction_are_bounded(tap):
    """All of it is done, also where what it answers is more than one client may get at once."""
    big = b"x" * (240 * MIB)
    with Server("--persist", "3600", "--fsync", "no") as server:
        raw = Raw(server.port, timeout=100)
        for i in range(9):
            raw.call("SET", f"big{i}", big)
        raw.send(request("MULTI") + b"".join(request("GETDEL", f"big{i}") for i in range(9)) + request("PING") + request("SET", "k", "v"))
        raw.send(request("EXEC"))
        for _ in range(12):
            raw.reply()
        raw.line()
        kinds = [raw.reply()[:80] for _ in range(11)]
        tap.equal("N5: in a transaction the first replies that fit are given", [kind[:1] for kind in kinds[:4]], [b"$"] * 4)
        said = b"-ERR too many bytes of replies in one transaction"
        tap.equal("N5: what does not fit is told, and was done", kinds[4:9], [said + b"; the change was made\r\n"] * 5)
        tap.equal("N5: a read behind that is refused, a write done", kinds[9:], [said + b"\r\n", b"+OK\r\n"])
        tap.equal("N5: all of it was done", raw.call("DBSIZE"), b":1\r\n")


def test_memory_ends(tap):
    """Address space for so much and no more, for every process of the server."""
    with Wrapped("ulimit -v 500000", "--persist", "3600", "--children", "1") as server:
        raw, other = Raw(server.port, timeout=60), Raw(server.port)
        sibling = sibling_of(server)
        value, told, sizes = b"x" * (20 * MIB), 0, {}
        for i in range(30):
            got = raw.call("SET", f"k{i % 40}", value)
            got_small = raw.call("APPEND", "grows", value[: 5 * MIB])
            told += got.startswith(b"-OOM") + got_small.startswith(b"-OOM")
            if got == b"+OK\r\n":
                sizes[f"k{i % 40}"] = len(value)
            if got_small.startswith(b":"):
                sizes["grows"] = int(got_small[1:-2])
            if not (got == b"+OK\r\n" or got.startswith(b"-OOM")):
                tap.ok(False, "SET is done or refused for memory", repr(got[:100]))
        tap.ok(told > 0, "writes that find no memory are told so", f"{told} of 60")
        tap.equal("another client is served", other.call("PING"), b"+PONG\r\n")
        tap.equal("reading goes on", [raw.call("STRLEN", k) for k in sizes], [b":%d\r\n" % n for n in sizes.values()])
        pairs = [x for i in range(30) for x in (f"m{i}", value[: 8 * MIB])]
        try:
            got = raw.call("MSET", *pairs)
        except (EOFError, OSError):  # no memory for it in its child: that costs this client its connection
            got = b"closed"
        raw = Raw(server.port, timeout=60)
        tap.equal("a client in the same child is served after a request that found no memory", other.call("PING"), b"+PONG\r\n")
        there = raw.call("EXISTS", *[f"m{i}" for i in range(30)])
        tap.ok((got == b"+OK\r\n") == (there == b":30\r\n") and there in (b":0\r\n", b":30\r\n"),
               "a write of many keys is done whole or not at all", repr(got[:80]), repr(there))
        size = raw.call("DBSIZE")
        # Room between what stays: no two neighbours.
        gone = [k for k in sizes if k != "grows"][::2]
        tap.equal("deleting goes on", raw.call("DEL", *gone), b":%d\r\n" % len(gone))
        for k in gone:
            sizes.pop(k)
        tap.equal("it is still the same sibling", sibling_of(server), sibling)
        tap.ok(until(20, lambda: raw.call("SET", "small", "v") == b"+OK\r\n"), "and with room again writes go on")
        server.stop(signal.SIGKILL)
        until(20, lambda: not os.path.exists(f"/proc/{sibling}"))
        restarted = Server("--persist", "3600")
        restarted.folder = server.folder
        restarted.start()
        try:
            again = Raw(restarted.port, timeout=60)
            tap.equal("after a restart exactly what was acknowledged is there", [again.call("STRLEN", k) for k in sizes],
                      [b":%d\r\n" % n for n in sizes.values()])
            tap.ok(again.call("DBSIZE") == b":%d\r\n" % (int(size[1:]) - len(gone) + 1) or there == b":30\r\n", "and nothing else", size)
        finally:
            restarted.stop()
            restarted.log.close()


def test_restore_without_memory(tap):
    """What serves in so much address space may need more of it to start again; then it says so."""
    limit = "ulimit -v 300000"
    with Server("--persist", "3600") as server:
        raw = Raw(server.port, timeout=60)
        for i in range(120):
            raw.call("SET", f"k{i}", os.urandom(MIB // 2).hex())
        server.stop()
        before = {f: os.path.getsize(os.path.join(server.folder, f)) for f in ("kv.db", "kv.aof")}
        for verb in (["--pass", PASSWORD, "--port", "0", "--persist", "3600"], ["--check"], ["--repair"],
                     ["--dump", "json"]):
            ended = subprocess.run(["sh", "-c", f'{limit}; exec "$0" "$@"', SERVER, "--dir", server.folder, *verb],
                                   capture_output=True, timeout=60)
            said = (ended.stdout[-2000:] if verb == ["--check"] else b"") + ended.stderr
            tap.equal(f"{verb[-2:]} without enough memory ends with status 1", ended.returncode, 1)
            tap.ok(b"ulimit -v" in said, f"{verb[-2:]} says what to do", repr(said[-300:]))
            tap.ok(b"terminate" not in said, f"{verb[-2:]} does not abort", repr(said[-300:]))
        tap.equal("the files are as they were", before,
                  {f: os.path.getsize(os.path.join(server.folder, f)) for f in before})
        server.start()
        tap.equal("and with memory it starts", Raw(server.port).call("DBSIZE"), b":120\r\n")


def short_of_memory(mib):
    """A server each of whose processes may use so many MiB of address space."""
    return Wrapped(f"ulimit -v {mib * 1024}", "--persist", "3600", "--children", "1")


def value_or_no_memory(tap, what, got, size):
    whole = got.startswith(b"$%d\r\n" % size) and len(got) == len(str(size)) + 5 + size
    tap.ok(whole or got.startswith(b"-OOM"), what + ": the value, or a word that there is no memory", repr(got[:80]))


def test_large_replies_when_memory_is_short(tap):
    """A reply that has its memory must not need twice as much on its way, or take others with it."""
    with short_of_memory(440) as server:
        raw, other = Raw(server.port, timeout=60), Raw(server.port)
        size = 100 * MIB
        raw.call("SETRANGE", "big", size - 1, "x")
        value_or_no_memory(tap, "the first large reply", raw.call("GET", "big"), size)
        tap.equal("the first large reply: another client is served", other.call("PING"), b"+PONG\r\n")
    with short_of_memory(440) as server:
        raw, other = Raw(server.port, timeout=60), Raw(server.port)
        sibling = sibling_of(server)
        raw.call("SETRANGE", "big", size - 1, "x")
        raw.send(request("SET", "a", 1) + request("GET", "big") + request("SET", "b", 2) + request("SET", "c", 3) + request("PING"))
        tap.equal("a large reply among writes: what is before it", raw.reply(), b"+OK\r\n")
        value_or_no_memory(tap, "a large reply among writes", raw.reply(), size)
        tap.equal("a large reply among writes: what is behind it", [raw.reply() for _ in range(3)], [b"+OK\r\n"] * 2 + [b"+PONG\r\n"])
        there = other.call("MGET", "a", "b", "c")
        tap.equal("a large reply among writes: all of them are done", there, b"*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n")
        tap.equal("a large reply among writes: it is still the same sibling", sibling_of(server), sibling)


def test_many_replies_when_memory_is_short(tap):
    """Replies of one batch, together more than there is memory for: whoever asked for them pays."""
    for size in (60_000, 60_005, 60_011):
        with short_of_memory(186) as server:
            raw, other = Raw(server.port, timeout=60), Raw(server.port)
            sibling = sibling_of(server)
            raw.call("SET", "medium", b"y" * size)
            raw.call("SET", "small", b"z" * 2000)
            asked = [("SET", "a", 1)] + [("GET", "medium")] * 1030 + [("GET", "small")] * 1100 + [("RPUSH", "l", "x")]
            raw.send(b"".join(request(*words) for words in asked))
            got = []
            try:
                for _ in asked:
                    got.append(raw.reply())
            except (EOFError, OSError):
                pass  # what finds no memory costs the connection
            fits_get = (b"$", b"-OOM", b"-ERR too many")
            wrong = [one[:20] for one, words in zip(got, asked) if words[0] == "GET" and not one.startswith(fits_get)]
            tap.equal(f"{size}: no answer is taken for another's", wrong, [])
            tap.equal(f"{size}: another client is served", other.call("PING"), b"+PONG\r\n")
            tap.equal(f"{size}: the writes are done", [other.call("GET", "a"), other.call("LLEN", "l")], [b"$1\r\n1\r\n", b":1\r\n"])
            tap.equal(f"{size}: it is still the same sibling", sibling_of(server), sibling)


def test_slots_of_lost_connections_come_back(tap):
    """A child that finds no memory for a reply gives the place it lay in back, or everybody behind it would wait."""
    with short_of_memory(400) as server:
        raw = Raw(server.port, timeout=10)
        size, small = 40 * MIB, 300 * 1024
        raw.call("SETRANGE", "big", size - 1, "x")
        raw.call("SETRANGE", "small", small - 1, "x")
        for _ in range(3):  # the child gets its segment
            raw.call("GET", "small")
            time.sleep(0.2)
        def lost():
            return server.text().count("a connection is closed")

        held = []
        while lost() <= 8 and len(held) < 60:
            held.append(Raw(server.port, timeout=10))
            held[-1].send(request("GET", "big"))
            time.sleep(0.2)
        tap.ok(lost() > 8, "more replies than there are slots found no memory in the child", f"{lost()} of {len(held)}")
        for one in held:
            one.close()
        tap.equal("who logs in afterwards is served", len(Raw(server.port).call("GET", "small")), small + 11)


def test_reload_without_memory(tap):
    """What could not be loaded again must not take the place of what is there."""
    with short_of_memory(400) as server:
        raw = Raw(server.port, timeout=60)
        sibling, step = sibling_of(server), 1000
        for i in range(0, 180 * step, step):
            raw.send(b"".join(request("SET", f"k{n}", b"v" * 1000) for n in range(i, i + step)))
            raw.exactly(5 * step)
        digest = raw.call("DEBUG", "DIGEST")
        got = raw.call("DEBUG", "RELOAD")
        tap.ok(got.startswith(b"-") and b"memory" in got, "a reload that has saved and finds no memory to load says so", repr(got))
        tap.equal("and has lost no key", raw.call("DEBUG", "DIGEST"), digest)
        tap.equal("by the same sibling", sibling_of(server), sibling)
        raw.call("FLUSHALL")
        for _ in range(2):  # two snapshots later the long log is gone
            raw.call("SET", "k", "v")
            raw.call("SAVE")
        tap.equal("with less to load it is done", raw.call("DEBUG", "RELOAD"), b"+OK\r\n")
        tap.equal("and what is there is there again", raw.call("GET", "k"), b"$1\r\nv\r\n")


def test_save_with_little_memory(tap):
    """A byte of zero takes seven in kv.db: that text is never in memory whole."""
    with short_of_memory(300) as server:
        raw = Raw(server.port, timeout=60)
        raw.call("SETRANGE", "big", 40 * MIB - 1, "x")
        raw.call("RPUSH", "kept", "a", "b")
        digest = raw.call("DEBUG", "DIGEST")
        tap.equal("40 MiB of zeros are saved where their text would not fit", raw.call("SAVE"), b"+OK\r\n")
        tap.ok(os.path.getsize(os.path.join(server.folder, "kv.db")) > 280 * MIB, "which is seven times as large")
        tap.ok(raw.call("BGSAVE").startswith(b"+"), "a BGSAVE is started")
        tap.ok(until(20, lambda: b"rdb_bgsave_in_progress:0" in raw.call("INFO", "persistence")), "and ends")
        tap.ok(b"rdb_last_bgsave_status:ok" in raw.call("INFO", "persistence"), "and has not failed either")
        server.stop()
        restarted = Server("--persist", "3600")
        restarted.folder = server.folder
        restarted.start()
        tap.equal("and it is all there", Raw(restarted.port, timeout=60).call("DEBUG", "DIGEST"), digest)
        restarted.stop()
        restarted.log.close()


def test_binary_save_without_memory(tap):
    """Packing is done by a thread, which wants memory of its own."""
    with short_of_memory(400) as server:
        raw = Raw(server.port, timeout=60)
        sibling, value = sibling_of(server), os.urandom(60_000)
        raw.call("CONVERT")
        until(20, lambda: os.path.exists(os.path.join(server.folder, "kv.bin")))

        def left():
            return 400 * 1024 - int(re.search(r"VmSize:\s+(\d+)", open(f"/proc/{sibling}/status").read()).group(1))

        for i in range(10_000):
            if raw.call("SET", f"k{i}", value) != b"+OK\r\n" or left() < 5000:
                break
        got = raw.call("SAVE")
        tap.ok(got == b"+OK\r\n" or got.startswith(b"-"), "a binary SAVE with next to no memory is done or refused", repr(got[:100]))
        tap.equal("and it is still the same sibling", sibling_of(server), sibling)


def leave_room(pid, mib):
    """From now on a process may take so many MiB of addresses more than it has."""
    with open(f"/proc/{pid}/statm") as f:
        have = int(f.read().split()[0]) * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (have + mib * MIB, resource.RLIM_INFINITY))


def call_with_room(raw, pid, mib, *command):
    """The reply to a command while a process may take so many MiB of addresses more than it has."""
    leave_room(pid, mib)
    try:
        return raw.call(*command)
    finally:
        resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


NOISE = os.urandom(4 * MIB)  # which cannot be packed


def push_long_list(raw):
    """120 MB in l."""
    for _ in range(30):
        raw.call("RPUSH", "l", *(NOISE[i:i + 200] for i in range(0, len(NOISE), 200)))


def same_after_kill(tap, name, server, raw):
    """What the log says is what the server had."""
    digest, sibling = raw.call("DEBUG", "DIGEST"), sibling_of(server)
    server.stop(signal.SIGKILL)
    until(20, lambda: not os.path.exists(f"/proc/{sibling}"))
    server.start()
    tap.equal(name, Raw(server.port, timeout=60).call("DEBUG", "DIGEST"), digest)


def whole_or_not_at_all(tap, *commands):
    """Commands on a long list l and a short t. What finds no memory on its way has done nothing, here and in the log."""

    def state(raw):
        return [raw.call("LLEN", "l"), raw.call("TYPE", "t"), raw.call("STRLEN", "t")]

    with Server("--persist", "3600", "--fsync", "no") as server:
        raw, sibling = Raw(server.port, timeout=60), sibling_of(server)
        for command in commands:
            raw.call("DEL", "l")
            raw.call("SET", "t", "as it was")
            push_long_list(raw)
            before = got = state(raw)
            told, reply = 0, b"-OOM"
            while reply.startswith(b"-OOM") and got == before and told < 40:
                reply, got = call_with_room(raw, sibling, 13 * told, *command), state(raw)
                told += reply.startswith(b"-OOM")
            tap.ok(told > 0 and reply[:1] in b":*", f"{command[0]} is refused for memory until there is enough",
                   f"refused {told} times", before, got, repr(reply[:80]))
        same_after_kill(tap, "what was refused is not in the log, what was done is", server, raw)


def test_copy_without_memory(tap):
    """Its arguments are short, what it needs is not."""
    whole_or_not_at_all(tap, ("COPY", "l", "t", "REPLACE"))


def test_pop_without_memory(tap):
    """An element leaves its list only if there is room for it, and all that go with it, in the reply."""
    whole_or_not_at_all(tap, ("LPOP", "l", 1_000_000), ("RPOP", "l", 1_000_000), ("LMPOP", 1, "l", "LEFT", "COUNT", 1_000_000))


def test_transaction_without_memory(tap):
    """Where memory ends on its way, the log says what was done and not what was meant."""
    with Server("--persist", "3600", "--fsync", "no") as server:
        raw, sibling = Raw(server.port, timeout=60), sibling_of(server)
        push_long_list(raw)
        partly = 0
        for room in range(0, 400, 50):
            for words in (("MULTI",), ("SET", "first", room), ("COPY", "l", "copy", "REPLACE"), ("SET", "last", room), ("LLEN", "l")):
                raw.call(*words)
            reply = call_with_room(raw, sibling, room, "EXEC")
            partly += b"-OOM" in reply and reply.startswith(b"*")
            here = [raw.call("GET", name).split(b"\r\n")[1] == b"%d" % room for name in ("first", "last")]
            done = [b"+OK" in reply, reply.count(b"+OK") == 2]
            tap.equal(f"with room for {room} MiB what was answered is what was done", here, done)
            raw.call("DEL", "copy")
        tap.ok(partly > 0, "memory ended inside of some")
        tap.ok(reply.startswith(b"*4\r\n+OK\r\n:1\r\n+OK\r\n:"), "and not of the last one", repr(reply[:100]))
        same_after_kill(tap, "and the log says the same", server, raw)


def test_transaction_that_makes_room(tap):
    """python3-redis puts a transaction around every pipeline: what deletes must work when memory is short."""
    with Server() as server:
        raw, sibling = Raw(server.port, timeout=60), sibling_of(server)
        leave_room(sibling, 100)
        noise = [os.urandom(30_000) for _ in range(100)]
        count = 0
        while count < 100 and raw.call("RPUSH", f"l{count}", *noise) == b":100\r\n":
            count += 1
        tap.ok(count < 100, "memory is short", count)
        while raw.call("SET", "k", "v") == b"+OK\r\n" and raw.call("APPEND", "k2", noise[0])[:1] == b":":
            pass
        tap.ok(b"OOM" in raw.call("SET", "k", "v"), "even a small write is refused")
        for words in (("MULTI",), ("DEL", "l0", "l1"), ("DEL", "l2")):
            raw.call(*words)
        tap.equal("a transaction that only deletes is not", raw.call("EXEC"), b"*2\r\n:2\r\n:1\r\n")
        tap.equal("it is done", raw.call("EXISTS", "l0", "l1", "l2"), b":0\r\n")


if __name__ == "__main__":
    tests = [test_replies_are_bounded, test_replies_of_a_transaction_are_bounded]
    # AddressSanitizer reserves 15 TiB of addresses for itself, so under a limit no program of its
    # starts. There the ends of memory are those of the unit tests, which make allocations fail.
    if "address" not in os.environ.get("SAN", ""):
        tests += [test_memory_ends, test_large_replies_when_memory_is_short,
                  test_many_replies_when_memory_is_short, test_binary_save_without_memory, test_slots_of_lost_connections_come_back,
                  test_save_with_little_memory, test_reload_without_memory, test_restore_without_memory,
                  test_copy_without_memory, test_pop_without_memory, test_transaction_without_memory,
                  test_transaction_that_makes_room]
    main(*tests)
