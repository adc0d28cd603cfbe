"""Sorted sets large and small, beside a redis-server: random commands, and the same digest after each
way to start again: from the log, from both snapshots, after a death."""
import random
import signal

from lib_kv import Raw, Redis, Server, main, request


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


main(test_beside_redis)
