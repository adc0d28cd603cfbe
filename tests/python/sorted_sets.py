"""Sorted sets large and small, beside a redis-server: random commands, and the same digest after each
way to start again: from the log, from both snapshots, after a death."""
import os
import random
import signal
import subprocess
import tempfile
import time

import redis

from lib_kv import PASSWORD, Raw, Redis, SERVER, Server, main, request, until


def some_requests(dice, count):
    """Of sets that become large, whose scores are often equal, and shrink again."""
    keys = [f"z{i}" for i in range(6)]
    for _ in range(count):
        key, growing = dice.choice(keys), dice.random() < 0.7
        members = [f"m{dice.randrange(600)}" for _ in range(dice.choice([1, 3, 40]))]
        score = lambda: dice.choice([dice.randrange(50), round(dice.uniform(-9, 9), 3), 1e300, "inf", "-inf"])
        low = dice.randrange(50)
        if growing:
            yield ["ZADD", key, *dice.choice([[], [], ["GT"], ["LT", "CH"], ["NX"]])] + [x for m in members for x in (score(), m)]
            continue
        yield dice.choice([
            ["ZREM", key, *members], ["ZINCRBY", key, dice.choice([0.1, -3]), members[0]],
            ["ZPOPMIN", key, dice.randrange(9)], ["ZPOPMAX", key], ["ZMPOP", 2, *dice.sample(keys, 2), "MAX", "COUNT", 3],
            ["ZREMRANGEBYRANK", key, low, low + dice.randrange(90)], ["ZREMRANGEBYSCORE", key, low, low + 1],
            ["ZUNIONSTORE", key, 2, *dice.sample(keys, 2), "AGGREGATE", "MAX"], ["ZINTERSTORE", key, 2, *dice.sample(keys, 2)],
            ["ZDIFFSTORE", key, 2, *dice.sample(keys, 2)], ["ZRANGESTORE", key, dice.choice(keys), low, low + 200],
            ["ZRANGE", key, low, "+inf", "BYSCORE", "LIMIT", dice.randrange(5), 20, "WITHSCORES"],
            ["ZREVRANGE", key, low, low + 20, "WITHSCORES"], ["ZRANK", key, members[0]], ["ZREVRANK", key, members[0]],
            ["ZCOUNT", key, low, low + 9], ["ZMSCORE", key, *members],
            ["COPY", key, dice.choice(keys), "REPLACE"],
            ["ZUNION", 2, *dice.sample(keys, 2), "WEIGHTS", 0.5, 3, "WITHSCORES"], ["ZCARD", key],
            ["ZLEXCOUNT", "lex", "[" + members[0], "+"], ["ZADD", "lex", 0, members[0]], ["ZREMRANGEBYLEX", "lex", "[m7", "(m8"],
            ["ZRANGE", "lex", "[m3", "+", "BYLEX", "LIMIT", 2, 9], ["DEBUG", "DIGEST-VALUE", key],
        ])


def talk(raw, requests):
    raw.send(b"".join(request(*words) for words in requests))
    return [raw.reply() for _ in requests]


def digest(server):
    return Raw(server.port).call("DEBUG", "DIGEST")


def test_beside_redis(tap):
    dice = random.Random(7)
    with Redis() as original, Server("--persist", "3600") as kv:
        ours, theirs = Raw(kv.port), Raw(original.port)
        for step in range(12):
            requests = list(some_requests(dice, 250))
            wrong = [(words[:6], a[:200], b[:200]) for words, a, b in zip(requests, talk(ours, requests), talk(theirs, requests)) if a != b]
            if not tap.ok(not wrong, f"S7: {len(requests)} random requests as redis-server", *map(str, wrong[:3])):
                return
            if step % 3 == 2:
                restarted(tap, kv, original, step // 3)
                ours = Raw(kv.port)


def restarted(tap, kv, original, way):
    """The log alone; a snapshot as text; one as binary; each with a log behind it, after a death."""
    wanted = digest(original)
    tap.equal("S7: the same digest as redis-server", digest(kv), wanted)
    if way == 1:
        Raw(kv.port).call("SAVE")
    if way == 2:
        kv.stop()
        kv.options = ("--persist", "3600", "--binary")
        kv.start()
        tap.equal("S7: the digest after a clean end", digest(kv), wanted)
        Raw(kv.port).call("SAVE")
    for server in (kv, original):
        Raw(server.port).call("ZADD", "after", way, "the save")
    kv.stop(signal.SIGKILL)
    kv.start()
    tap.equal(f"S7: the digest after a death, way {way}", digest(kv), digest(original))


def test_files_of_others(tap):
    """Redis's own log, and kv's dumps in both forms, give the same data."""
    with tempfile.TemporaryDirectory() as folder, Redis() as real:
        client = redis.Redis(port=real.port, password=PASSWORD)
        client.config_set("aof-use-rdb-preamble", "no")
        client.config_set("appendonly", "yes")
        talk(Raw(real.port), list(some_requests(random.Random(3), 300)))
        wanted = client.execute_command("DEBUG", "DIGEST").decode()
        logs = os.path.join(real.folder, "appendonlydir")
        # Both are there once the first rewrite is done.
        names = until(20, lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0 and
                      sorted(name for name in os.listdir(logs) if name.endswith(".aof")))
        tool = lambda *options: subprocess.run([SERVER, *options], capture_output=True, text=True)
        for name in names:
            load = tool("--load", os.path.join(logs, name), "--dir", folder)
            tap.ok(load.returncode == 0, f"{name.split('.', 1)[1]} is loaded", load.stdout, load.stderr)
        tap.ok(f"digest {wanted}" in tool("--check", "--dir", folder).stdout, "and gives the same data")
        for form in "json", "resp", "text":
            with tempfile.TemporaryDirectory() as other:
                copy = os.path.join(other, "dump")
                with open(copy, "wb") as f:
                    subprocess.run([SERVER, "--dump", form, "--dir", folder], stdout=f, check=True)
                tool("--load", copy, "--dir", os.path.join(other, "data"))
                tap.ok(f"digest {wanted}" in tool("--check", "--dir", os.path.join(other, "data")).stdout, f"so does a dump as {form}")


def test_large_ones_hold_up_nobody(tap):
    count = 1_000_000
    with Server("--persist", "3600", "--fsync", "no") as server:
        raw = Raw(server.port, timeout=60)
        for start in range(0, count, 50_000):
            raw.call("ZADD", "huge", *(word for i in range(start, start + 50_000) for word in (i * 7919 % count, f"member{i:06}")))
        raw.call("ZADD", "few", 1, "member000001", 2, "member000002", 3, "nobody")
        tap.equal("all are there", raw.call("ZCARD", "huge"), b":%d\r\n" % count)
        wanted = b"*2\r\n$12\r\nmember500000\r\n$6\r\n500000\r\n"
        tap.equal("in their order", raw.call("ZRANGE", "huge", 500_000, 500_000, "WITHSCORES"), wanted)
        tap.ok(int(raw.call("MEMORY", "USAGE", "huge")[1:-2]) < 52 * count, "little memory is taken for each")
        for words in (("ZADD", "huge", 0.5, "new"), ("ZINCRBY", "huge", 1, "new"), ("ZRANK", "huge", "new"), ("ZPOPMIN", "huge", 10),
                      ("ZCOUNT", "huge", 1000, 900_000), ("ZRANGE", "huge", 10, "+inf", "BYSCORE", "LIMIT", 900_000, 10),
                      ("ZREVRANGE", "huge", 500_000, 500_010), ("ZRANDMEMBER", "huge", -10), ("ZRANDMEMBER", "huge", 10),
                      ("ZREMRANGEBYRANK", "huge", 70_000, 70_010), ("ZINTER", 2, "huge", "few"), ("ZDIFF", 2, "few", "huge"),
                      ("ZINTERCARD", 2, "huge", "huge", "LIMIT", 3), ("ZRANGESTORE", "d", "huge", 9, 99), ("ZSCAN", "huge", 0)):
            began = time.monotonic()
            for _ in range(20):
                raw.call(*words)
            took = (time.monotonic() - began) / 20
            tap.ok(took < 0.02, f"{' '.join(map(str, words))} takes little", f"{took * 1000:.2f} ms each")


def test_with_python3_redis(tap):
    for name, server in ("kv", Server()), ("redis", Redis()):
        with server:
            client = redis.Redis(port=server.port, password=PASSWORD)
            tap.equal(f"zadd, {name}", client.zadd("z", {"a": 1, "b": 2.5, "c": float("inf")}), 3)
            tap.equal(f"zrange, {name}", client.zrange("z", 0, 1, withscores=True), [(b"a", 1.0), (b"b", 2.5)])
            tap.equal(f"zincrby, {name}", client.zincrby("z", 0.1, "a"), 1.1)
            tap.equal(f"zadd incr, {name}", client.zadd("z", {"a": 1}, incr=True), 2.1)
            tap.equal(f"zscan_iter, {name}", sorted(client.zscan_iter("z"))[1:], [(b"b", 2.5), (b"c", float("inf"))])
            tap.equal(f"zunion, {name}", client.zunion(["z", "z"], withscores=True)[1], (b"b", 5.0))
            tap.equal(f"zpopmax, {name}", client.zpopmax("z"), [(b"c", float("inf"))])
            tap.equal(f"bzpopmin, {name}", client.bzpopmin("z", 1), (b"z", b"a", 2.1))


if __name__ == "__main__":
    main(test_beside_redis, test_files_of_others, test_large_ones_hold_up_nobody, test_with_python3_redis)
