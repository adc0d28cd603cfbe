"""--load of what a real redis-server has written: RDB files, and logs that begin with one."""
import glob
import os
import random
import shutil
import subprocess
import tempfile

import redis

from lib_kv import PASSWORD, Redis, SERVER, Server, main, until


def fill(r, dice):
    """Every form in which Redis 7.0 keeps strings, lists and hashes, in several databases."""
    numbers = [0, 1, 12, 13, -1, 63, 64, 127, 128, -128, 4095, -4096, 4096, 32767, -32768, 32768, 8388607, -8388608,
               8388608, 2**31 - 1, -2**31, 2**31, 2**63 - 1, -2**63]
    texts = ["", "a", "x" * 63, "y" * 64, "z" * 4095, "w" * 4096, "b" * 16378, "same " * 5000, bytes(range(256)), "012", "-0", "+1",
             str(2**63), dice.randbytes(20), dice.randbytes(70000)]
    for i, value in enumerate(numbers + texts):
        r.set(f"string:{i}", value)
        r.rpush("list:small", value)
        r.hset("hash:small", f"f{i}", value)
        r.hset("hash:fields", value, i)
        r.rpush(f"list:{i}", value, i)
        r.sadd("set:small", value)
        r.zadd("zset:small", {value: i / 3})
        r.zadd(f"zset:{i}", {value: float("-inf"), "other": 2**53 + i, "third": -1e-300})
    r.rpush("list:numbers", *numbers)
    for width in (16, 32, 64):
        r.sadd(f"set:{width}", 5, -7, 2**(width - 1) - 1, -2**(width - 1))
    for i in range(3000):
        r.rpush("list:large", dice.choice(numbers), dice.randbytes(dice.randrange(40)))
        r.hset("hash:large", f"field {i}", dice.randbytes(dice.randrange(90)))
        r.sadd("set:large", dice.choice(numbers), dice.randbytes(dice.randrange(40)))
        r.zadd("zset:large", {dice.randbytes(dice.randrange(40)): dice.choice([i, dice.random(), "inf"])})
    r.set("string:bits", dice.randbytes(100) * 300)
    r.set("expires", "later", ex=100000)
    r.rpush("list:expires", "later")
    r.pexpireat("list:expires", 4102444800123)
    r.execute_command("SELECT", 9)
    r.set("in another database", 1)
    r.execute_command("SELECT", 0)


def load(path, *options, folder=None, stdin=None):
    """The tool's status, what it said, and the folder it made."""
    folder = folder or tempfile.mkdtemp(prefix="kv-test.")
    done = subprocess.run([SERVER, "--load", path, "--dir", folder, *options], capture_output=True, text=True, timeout=120,
                          stdin=stdin)
    return done.returncode, done.stdout + done.stderr, folder


class Loaded(Server):
    """A server on a folder that is there."""

    def __init__(self, folder):
        super().__init__("--persist", "1000")
        self.given = folder

    def __enter__(self):
        self.folder = self.given
        self.start()
        return self

    def digest(self):
        return redis.Redis(port=self.port, password=PASSWORD).execute_command("DEBUG", "DIGEST")


def same(t, name, got, digest):
    status, said, folder = got
    if t.ok(status == 0, f"{name}: is loaded", said):
        with Loaded(folder) as server:
            t.equal(f"{name}: every key and value is there", server.digest(), digest)
    shutil.rmtree(folder, ignore_errors=True)


def test_rdb(t, r, rdb):
    fill(r, random.Random(3))
    for name, settings in (("as usual", {}), ("without compression and checksum", {"rdbcompression": "no", "rdbchecksum": "no"}),
                           ("with no small forms", {"rdbcompression": "yes", "list-max-listpack-size": "1",
                                                    "hash-max-listpack-entries": "0", "set-max-intset-entries": "0",
                                                    "zset-max-listpack-entries": "0"})):
        for key, value in settings.items():
            if key != "rdbchecksum":
                r.config_set(key, value)
        if "list-max-listpack-size" in settings:
            r.flushall()
            fill(r, random.Random(4))
        r.save()
        same(t, f"an RDB file {name}", load(rdb), r.execute_command("DEBUG", "DIGEST"))


def test_log(t, r, folder):
    """Redis 7 writes a base file in RDB form and a log behind it."""
    r.config_set("appendonly", "yes")
    t.ok(until(30, lambda: r.info("persistence")["aof_rewrite_in_progress"] == 0
               and glob.glob(f"{folder}/appendonlydir/*.base.rdb")), "redis-server has begun a log")
    r.rpush("list:small", "after", "the base")
    with r.pipeline(transaction=True) as p:
        p.set("in a transaction", 1).hset("hash:small", "f", "after")
        p.execute()
    r.execute_command("SELECT", 3)
    r.set("in a third", "after")
    r.execute_command("SELECT", 0)
    digest = r.execute_command("DEBUG", "DIGEST")
    parts = glob.glob(f"{folder}/appendonlydir/*.base.rdb") + glob.glob(f"{folder}/appendonlydir/*.incr.aof")
    whole = os.path.join(folder, "whole.aof")
    with open(whole, "wb") as out:
        for part in parts:
            with open(part, "rb") as one:
                out.write(one.read())
    same(t, "a log that begins with an RDB file", load(whole), digest)
    with open(whole, "rb") as stdin:
        same(t, "the same from standard input", load("-", stdin=stdin), digest)
    with open(whole, "ab") as out:
        out.write(b"*2\r\n$3\r\nSET\r\n")
    status, said, made = load(whole)
    t.ok(status == 1 and "behind the RDB file" in said and "nothing was changed" in said, "a log that breaks off is refused", said)
    shutil.rmtree(made, ignore_errors=True)


def test_left_out(t, r, rdb):
    r.flushall()
    r.set("kept", 1)
    r.xadd("events", {"a": 1})
    r.xgroup_create("events", "group", 0)
    r.xreadgroup("group", "worker", {"events": ">"})
    r.xadd("events", {"a": "2" * 300})
    r.set("kept too", "x" * 100)
    r.function_load("#!lua name=lib\nredis.register_function('f', function() return 1 end)")
    r.save()
    status, said, folder = load(rdb)
    t.ok(status == 1 and '"events" is a stream, which kv does not have' in said and "functions, which kv" in said,
         "what kv does not have is named", said)
    with Loaded(folder) as kv:
        keys = redis.Redis(port=kv.port, password=PASSWORD).keys()
        t.equal("and everything else is there", sorted(keys), [b"kept", b"kept too"])
    shutil.rmtree(folder, ignore_errors=True)


def test_dump(t, r):
    """Every value goes there and back by DUMP and RESTORE."""
    r.flushall()
    fill(r, random.Random(6))
    with Server() as server:
        kv = redis.Redis(port=server.port, password=PASSWORD)
        digest = r.execute_command("DEBUG", "DIGEST")
        for key in r.keys():
            kv.restore(key, max(r.pexpiretime(key), 0), r.dump(key), absttl=True)
        r.move("in another database", 9)
        kv.execute_command("SELECT", 9)
        kv.set("in another database", 1)
        kv.execute_command("SELECT", 0)
        t.equal("kv restores what redis-server has dumped", kv.execute_command("DEBUG", "DIGEST"), digest)
        keys = kv.keys()
        r.execute_command("FLUSHDB")
        for key in keys:
            r.restore(key, max(kv.pexpiretime(key), 0), kv.dump(key), absttl=True)
        t.equal("and redis-server what kv has", r.execute_command("DEBUG", "DIGEST"), digest)


def test_damage(t, r, rdb):
    """A byte changed or a file cut short is refused, and the folder stays as it was."""
    r.flushall()
    r.function_flush()
    dice = random.Random(5)
    r.rpush("l", *[dice.randbytes(5) for _ in range(40)], 1, 300, 70000, 2**40)
    r.hset("h", mapping={f"f{i}": "v" * i for i in range(60)})
    r.set("s", "text " * 50, ex=1000)
    r.save()
    with open(rdb, "rb") as f:
        whole = f.read()
    folder = tempfile.mkdtemp(prefix="kv-test.")
    damaged = os.path.join(folder, "damaged.rdb")
    wrong = []
    places = dice.sample(range(5, len(whole)), 60)
    for kind, data in [("cut", whole[:at]) for at in places] + [("changed", whole[:at] + bytes([whole[at] ^ dice.randrange(1, 256)])
                                                                + whole[at + 1:]) for at in places if at < len(whole) - 8]:
        with open(damaged, "wb") as f:
            f.write(data)
        status, said, _ = load(damaged, folder=os.path.join(folder, "data"))
        if status != 1 or "nothing was changed" not in said:
            wrong.append((kind, len(data), status, said))
    t.ok(not wrong, "no damaged RDB file is loaded", *wrong[:3])
    t.ok(not [n for n in os.listdir(os.path.join(folder, "data")) if n != "kv.lock"], "and none leaves a file")
    shutil.rmtree(folder, ignore_errors=True)


def run(t):
    with Redis() as server:
        r = redis.Redis(port=server.port, password=PASSWORD)
        rdb = os.path.join(server.folder, "dump.rdb")
        test_rdb(t, r, rdb)
        test_log(t, r, server.folder)
        r.config_set("appendonly", "no")
        test_left_out(t, r, rdb)
        test_dump(t, r)
        test_damage(t, r, rdb)


if __name__ == "__main__":
    main(run)
