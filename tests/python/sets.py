"""Sets: what is drawn at random comes back the same after any end, and a large one holds up nobody."""
import os
import signal
import subprocess
import tempfile
import time

import redis

from lib_kv import PASSWORD, Raw, Redis, SERVER, Server, main, request, until


def state(port):
    raw = Raw(port, timeout=60)
    names = sorted(raw.call("KEYS", "*").split(b"\r\n")[2::2])
    return [raw.call("DEBUG", "DIGEST")] + [(name, raw.call("SMEMBERS", name)) for name in names]


def fill(raw):
    for words in (("SADD", "small", *range(40)), ("SADD", "large", *range(5000)), ("SADD", "other", *range(4000, 9000)),
                  ("SADD", "shrunk", *range(300)), ("SREM", "shrunk", *range(290)),
                  ("SADD", "of long ones", *(b"%d" % i * 50 for i in range(30)))):
        raw.call(*words)


def change(raw):
    """What depends on chance or on the order of members, in ways that build on each other."""
    for i in range(60):
        for name in "small", "large", "shrunk", "of long ones":
            raw.call("SPOP", name)
            raw.call("SPOP", name, i % 5)
            raw.call("SADD", name, f"new {i}", i)
        raw.call("SINTERSTORE", "both", "large", "other")
        raw.call("SDIFFSTORE", "left", "large", "both", "small")
        raw.call("SUNIONSTORE", "any", "small", "shrunk", "both")
        raw.call("SMOVE", "other", "moved", 8000 + i)
        for name in "both", "left", "any", "moved":
            raw.call("SPOP", name, 3)
        raw.send(request("MULTI") + request("SPOP", "large") + request("SPOP", "large") +
                 request("COPY", "large", "copy", "REPLACE") + request("SPOP", "copy", 2) + request("EXEC"))
        for _ in range(6):
            raw.reply()
        raw.send(b"".join(request("SPOP", name) for name in ("large", "small", "copy") * 3))
        for _ in range(9):
            raw.reply()


def test_what_is_drawn_is_drawn_again(tap):
    """The log alone, the log behind a snapshot in either form, and two starts in a row: every member and the order of them."""
    for options in (), ("--binary",):
        with Server("--persist", "3600", *options) as server:
            raw = Raw(server.port)
            fill(raw)
            change(raw)
            for how, saved in (("from the log alone", False), ("behind a snapshot", True), ("once more", False)):
                if saved:
                    tap.equal("SAVE", raw.call("SAVE"), b"+OK\r\n")
                    change(raw)
                before = state(server.port)
                server.stop(signal.SIGKILL)
                server.start()
                tap.ok(state(server.port) == before, f"every set is what it was, {how} {' '.join(options)}")
                raw = Raw(server.port)
                change(raw)
            before = state(server.port)
            server.stop()
            server.start()
            tap.ok(state(server.port) == before, f"and after a clean end {' '.join(options)}")
            check = subprocess.run([SERVER, "--check", "--dir", server.folder], capture_output=True, text=True)
            # The server runs: the folder is taken, but nothing is wrong with its files.
            tap.ok("corrupt" not in check.stdout, "nothing is wrong with the files", check.stdout)


def test_load(tap):
    """Redis's own log, with sets in it, gives the same data."""
    with tempfile.TemporaryDirectory() as folder, Redis() as real:
        client = redis.Redis(port=real.port, password=PASSWORD)
        client.config_set("aof-use-rdb-preamble", "no")
        client.config_set("appendonly", "yes")
        raw = Raw(real.port)
        fill(raw)
        for _ in range(50):
            client.spop("large"), client.spop("small", 2)
        client.sunionstore("any", "small", "shrunk")
        digest = client.execute_command("DEBUG", "DIGEST").decode()
        logs = os.path.join(real.folder, "appendonlydir")
        # Both are there once the first rewrite is done.
        aof = until(20, lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0 and
                    sorted(name for name in os.listdir(logs) if name.endswith(".aof")))
        for name in aof:
            load = subprocess.run([SERVER, "--load", os.path.join(logs, name), "--dir", folder], capture_output=True, text=True)
            tap.ok(load.returncode == 0, f"{name.split('.', 1)[1]} is loaded", load.stdout, load.stderr)
        check = subprocess.run([SERVER, "--check", "--dir", folder], capture_output=True, text=True)
        tap.ok(f"digest {digest}" in check.stdout, "and gives the same data", digest, check.stdout)


def test_large_sets_hold_up_nobody(tap):
    count = 1_000_000
    with Server("--persist", "3600", "--fsync", "no") as server:
        raw = Raw(server.port, timeout=60)
        for start in range(0, count, 50_000):
            raw.call("SADD", "huge", *range(start, start + 50_000))
        raw.call("SADD", "few", 1, 2, count + 1)
        tap.equal("all are there", raw.call("SCARD", "huge"), b":%d\r\n" % count)
        for words in (("SPOP", "huge"), ("SPOP", "huge", 10), ("SRANDMEMBER", "huge"), ("SRANDMEMBER", "huge", 10),
                      ("SRANDMEMBER", "huge", -10), ("SISMEMBER", "huge", 5), ("SMOVE", "huge", "few", 6),
                      ("SINTER", "huge", "few"), ("SINTERCARD", 2, "huge", "huge", "LIMIT", 3),
                      ("SDIFF", "few", "huge"), ("SINTERSTORE", "d", "huge", "few"), ("SSCAN", "huge", 0)):
            began = time.monotonic()
            for _ in range(20):
                raw.call(*words)
            took = (time.monotonic() - began) / 20
            tap.ok(took < 0.02, f"{' '.join(map(str, words))} takes little", f"{took * 1000:.2f} ms each")
        stats = raw.call("INFO", "commandstats")
        tap.ok(b"cmdstat_spop:calls=40," in stats, "INFO commandstats counts them")


def test_with_python3_redis(tap):
    for name, server in ("kv", Server()), ("redis", Redis()):
        with server:
            client = redis.Redis(port=server.port, password=PASSWORD)
            tap.equal(f"sadd, {name}", client.sadd("s", "a", "b", "c"), 3)
            tap.equal(f"smembers, {name}", client.smembers("s"), {b"a", b"b", b"c"})
            tap.equal(f"sinter, {name}", client.sinter("s", "s"), {b"a", b"b", b"c"})
            tap.equal(f"sscan_iter, {name}", sorted(client.sscan_iter("s")), [b"a", b"b", b"c"])
            tap.equal(f"smismember, {name}", client.smismember("s", ["a", "x"]), [1, 0])
            tap.equal(f"spop, {name}", len(client.spop("s", 2)), 2)
            tap.equal(f"sintercard, {name}", client.sintercard(1, ["s"]), 1)


if __name__ == "__main__":
    main(test_what_is_drawn_is_drawn_again, test_load, test_large_sets_hold_up_nobody, test_with_python3_redis)
