"""MULTI, EXEC and WATCH: as redis-server answers them, whole after any kill, and with the libraries that use them."""
import os
import signal
import socket
import subprocess
import threading
import time

import redis

from lib_kv import PASSWORD, Raw, Redis, SERVER, Server, answers, main, request, sibling_of, together, until

# A block is one scene; a line in it one request. "b:" is asked by another client.
SCENES = """
MULTI | SET a 1 | INCR a | GET a | EXEC | GET a
MULTI | EXEC | EXEC | DISCARD | UNWATCH
MULTI | MULTI | SET x 1 | EXEC | GET x
MULTI | SET a | SET a 9 | EXEC | GET a
MULTI | NOSUCH | GET a | EXEC | MULTI | EXEC
MULTI | LPUSH s x | SET q 1 | INCR s | EXEC | GET q
MULTI | SET d 1 | DISCARD | GET d | EXEC
WATCH | WATCH a | MULTI | WATCH b | SET w 1 | EXEC
MULTI | SELECT 1 | SET s in1 | EXEC | GET s | SELECT 0 | GET s
MULTI | SELECT 99 | SET s in0 | EXEC | GET s
MULTI | BLPOP none 0 | BRPOP none 0 | BLMOVE none x LEFT LEFT 0 | BRPOPLPUSH none x 0 | BLMPOP 0 1 none LEFT | EXEC
MULTI | SAVE | EXEC | MULTI | SHUTDOWN | EXEC
MULTI | PING | ECHO hi | TYPE a | HSET h f v | HGETALL h | LRANGE none 0 -1 | GET none | TTL a | EXEC
MULTI | FLUSHALL | SET k 1 | DBSIZE | KEYS * | EXEC
MULTI x | EXEC | MULTI | EXEC x | SET e 1 | EXEC
MULTI | UNWATCH | EXEC | MULTI | GET k | RESET | AUTH secret | EXEC
SET w 1 | WATCH w | b: SET w 2 | MULTI | SET r 1 | EXEC | MULTI | EXEC
SET w 1 | WATCH w | SET w 2 | MULTI | EXEC
SET w 1 | WATCH w | b: DEL w | MULTI | EXEC
SET w 1 | WATCH w | b: EXPIRE w 100 | MULTI | EXEC
SET w 1 | WATCH w | b: FLUSHALL | MULTI | EXEC
SET w 1 | WATCH w | b: FLUSHDB | MULTI | EXEC
SET w 1 | WATCH w | b: RENAME w v | MULTI | EXEC
SET v 1 | WATCH w | b: RENAME v w | MULTI | EXEC
SET w 1 | WATCH w | b: SWAPDB 0 1 | MULTI | EXEC
WATCH w | b: SELECT 1 | b: SET w 1 | b: SELECT 0 | MULTI | SET r 1 | EXEC
SET w 1 | WATCH w | b: SELECT 1 | b: SET q 1 | b: FLUSHDB | b: SELECT 0 | MULTI | SET r 1 | EXEC
SET w 1 | WATCH w | b: SELECT 1 | b: FLUSHALL | b: SELECT 0 | MULTI | SET r 1 | EXEC
WATCH w | b: SET q 1 | b: FLUSHALL | MULTI | SET r 1 | EXEC
WATCH w | b: SET w 1 | b: FLUSHDB | MULTI | SET r 1 | EXEC
WATCH w | b: SELECT 1 | b: SET w 1 | b: MOVE w 0 | b: SELECT 0 | MULTI | SET r 1 | EXEC
WATCH w | b: SELECT 1 | b: SET v 1 | b: COPY v w DB 0 | b: SELECT 0 | MULTI | SET r 1 | EXEC
SELECT 1 | WATCH w | SELECT 0 | WATCH w | b: SET w 1 | SELECT 1 | MULTI | SET r 1 | EXEC | SELECT 0
SELECT 1 | WATCH w | SELECT 0 | b: SET w 1 | MULTI | SET r 1 | EXEC
SET w 1 | WATCH w | b: COPY w v | MULTI | EXEC
SET v 1 | WATCH w | b: COPY v w | MULTI | EXEC
SADD v 1 2 | SADD u 2 3 | WATCH v u | b: SINTERSTORE w v u | MULTI | SMEMBERS w | EXEC
SET v a | SET u b | WATCH v u | b: BITOP OR w v u | MULTI | GET w | EXEC
SET v a | SET w b | WATCH w | b: BITOP NOT w v | MULTI | EXEC
SADD v 1 2 | SADD w 3 | WATCH w | b: SUNIONSTORE w v | MULTI | EXEC
SADD v 1 2 | SADD w 3 | WATCH w | b: SMOVE v w 1 | MULTI | EXEC
SADD v 1 | WATCH v | b: SPOP v | MULTI | EXEC
SADD v 1 | WATCH v | b: SADD v 1 | b: SREM v 2 | b: SINTER v v | MULTI | SPOP v | SPOP v 2 | EXEC
MULTI | SADD s a | SPOP s 2 | SADD s b | SDIFFSTORE t s none | SMEMBERS t | SCARD s | EXEC
ZADD v 1 a | ZADD u 2 b | WATCH v u | b: ZUNIONSTORE w 2 v u | b: ZRANGESTORE t v 0 -1 | MULTI | ZCARD w | EXEC
ZADD v 1 a | ZADD w 2 b | WATCH w | b: ZINTERSTORE w 1 v | MULTI | EXEC
ZADD v 1 a | ZADD w 2 b | WATCH w | b: ZRANGESTORE w v 0 -1 | MULTI | EXEC
ZADD w 1 a | WATCH w | b: ZADD w 1 a | b: ZREM w x | b: ZADD w GT 0 a | MULTI | ZSCORE w a | EXEC
ZADD w 1 a | WATCH w | b: ZMPOP 1 w MIN | MULTI | EXEC
MULTI | ZADD z 1 a 2 b | ZPOPMIN z | ZINCRBY z 3 b | BZPOPMAX none 0 | ZUNIONSTORE y 2 z none | ZPOPMAX y | EXISTS y | EXEC
SET w 1 | WATCH w | b: GET w | MULTI | EXEC
SET w 1 | WATCH w | b: LPUSH w x | MULTI | EXEC
SET w 1 | WATCH w v | b: LMPOP 2 none v LEFT | MULTI | EXEC
RPUSH v 1 | WATCH w v | b: LMPOP 2 none v LEFT | MULTI | EXEC
RPUSH v 1 2 | WATCH w | b: LMPOP 1 v LEFT | MULTI | EXEC
SET w 1 | WATCH w | b: SET w 2 | UNWATCH | MULTI | GET w | EXEC
SET w 1 | WATCH w | b: SET w 2 | MULTI | DISCARD | MULTI | GET w | EXEC
SET w 1 PX 40 | WATCH w | sleep | MULTI | EXEC
WATCH w | b: SET w 1 PX 1 | sleep | MULTI | EXEC
WATCH w | b: MULTI | b: SET w 1 | MULTI | EXEC | WATCH w | b: EXEC | MULTI | EXEC
"""


def played(port, hello):
    """What each request of the scenes was answered."""
    said = []
    for scene in SCENES.strip().split("\n"):
        a, b = Raw(port), Raw(port)
        if hello:
            a.call("HELLO", 3)
        b.call("FLUSHALL")
        b.call("SET", "s", "text")
        for line in scene.split(" | "):
            if line == "sleep":
                time.sleep(0.08)
                continue
            who, line = (b, line[3:]) if line.startswith("b: ") else (a, line)
            said.append((scene, line, who.call(*line.split())))
        a.close(), b.close()
    return said


def test_as_redis(tap):
    with Server("--persist", "3600") as server, Redis() as original:
        for hello in (False, True):
            ours, theirs = played(server.port, hello), played(original.port, hello)
            tap.ok(len(ours) > 150, "there are scenes")
            tap.equal(f"each of {len(ours)} requests is answered as by redis-server, RESP{3 if hello else 2}",
                      [one for one, other in zip(ours, theirs) if one != other], [])


def test_libraries(tap):
    with Server("--persist", "3600") as server:
        def client():
            return redis.Redis(port=server.port, password=PASSWORD)

        pipe = client().pipeline()
        pipe.set("a", 1).incr("a").lpush("l", "x", "y").lrange("l", 0, -1)
        tap.equal("python3-redis's pipelines are transactions", pipe.execute(), [True, 2, 2, [b"y", b"x"]])

        def count(number, problems):
            mine = client()
            for _ in range(50):
                mine.transaction(lambda p: (lambda n: (p.multi(), p.set("n", n + 1)))(int(p.get("n") or 0)), "n")

        tap.equal("8 clients that count with WATCH run into no problem", together(8, count), [])
        tap.equal("and lose no count", client().get("n"), b"400")


def test_whole_after_kill(tap):
    """Whatever is killed and when: of a transaction all or nothing is there, and all that was acknowledged."""
    for options in (("--fsync", "always"), ("--fsync", "everysec", "--children", "1")):
        with Server("--persist", "1", *options) as server:
            halves, early = [], []
            for round_number in range(6):
                acknowledged = []

                def write():
                    try:
                        raw = Raw(server.port)
                        for i in range(1, 1_000_000):
                            value = f"{round_number}-{i}"
                            raw.send(request("MULTI") + request("SET", "a", value) + request("HSET", "h", "b", value) +
                                     request("RPUSH", "l", value) + request("LTRIM", "l", -1, -1) + request("EXEC"))
                            replies = [raw.reply() for _ in range(6)]
                            if replies[-1].startswith(b"*4"):
                                acknowledged.append(value)
                    except (OSError, EOFError):
                        pass

                thread = threading.Thread(target=write)
                thread.start()
                time.sleep(0.3 + 0.21 * round_number)
                if round_number % 2:
                    os.kill(sibling_of(server), signal.SIGKILL)
                    thread.join(20)
                else:
                    server.stop(signal.SIGKILL)
                    thread.join(20)
                    until(10, lambda: not subprocess.run(["pgrep", "-f", server.folder], capture_output=True).stdout)
                    server.start()
                a, h, l = answers(server, ("GET", "a"), ("HGET", "h", "b"), ("LINDEX", "l", 0))
                if not a == h == l:
                    halves.append((a, h, l))
                last = int(acknowledged[-1].split("-")[1]) if acknowledged else 0
                there = a.split(b"\r\n")[1].decode().split("-")
                if not last or there[0] != str(round_number) or int(there[1]) < last:
                    early.append((a, acknowledged[-1:]))
            tap.equal(f"no half of a transaction is there after a kill {' '.join(options)}", halves, [])
            tap.equal("and each that was acknowledged is", early, [])
            server.stop()
            checked = subprocess.run([SERVER, "--check", "--dir", server.folder], capture_output=True, text=True)
            tap.equal("the files are whole", (checked.returncode, checked.stderr), (0, ""))


def test_nobody_sees_half(tap):
    with Server() as server:
        stop, seen = threading.Event(), []

        def read():
            raw = Raw(server.port)
            while not stop.is_set():
                values = raw.call("MGET", "a", "b").split(b"\r\n")
                if len(values) > 4 and values[2] != values[4]:
                    seen.append(values)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        raw = Raw(server.port)
        for i in range(1000, 4000):
            raw.send(request("MULTI") + request("SET", "a", i) + request("SET", "b", i) + request("EXEC"))
            for _ in range(4):
                raw.reply()
        stop.set()
        for reader in readers:
            reader.join(20)
        tap.equal("3,000 transactions, and no reader sees one half done", seen, [])
        raw.send(request("MULTI") + request("SET", "c", 1))
        raw.socket.shutdown(socket.SHUT_WR)
        tap.ok(raw.closed() and Raw(server.port).call("EXISTS", "c") == b":0\r\n", "without EXEC nothing is done")


if __name__ == "__main__":
    main(test_as_redis, test_libraries, test_whole_after_kill, test_nobody_sees_half)
