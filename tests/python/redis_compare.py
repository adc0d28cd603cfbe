#!/usr/bin/python3
# Sends the same requests to kv and to a real redis-server and compares the bytes of the replies.
#
# Hand-written requests come from redis_cases/*.txt, thousands of random ones (seeded; SEED=n
# repeats a run) from random_requests below; everything once in RESP2 and once in RESP3. Prints TAP,
# one line a command. Starts both servers itself, on the loopback and a Unix socket, in a temporary
# folder, and ends only those. KV_SERVER names kv's program. Must never need more than 40 seconds.
import glob
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SERVER = os.environ.get("KV_SERVER", os.path.join(HERE, "..", "..", "server"))
SEED = int(os.environ.get("SEED", "1"))
RANDOM_REQUESTS = int(os.environ.get("RANDOM_REQUESTS", "6000"))
DEADLINE = time.monotonic() + 40
TOLERANCE = {b":": 5000}  # of "=" replies: milliseconds, or seconds that pass meanwhile

# kv's own commands, and what Redis calls the same thing.
OWN = [
    (["LPOPRPUSH", "l", "m"], ["LMOVE", "l", "m", "LEFT", "RIGHT"]),
    (["LPOPRPUSH", "nokey", "m"], ["LMOVE", "nokey", "m", "LEFT", "RIGHT"]),
    (["LPOPRPUSH", "l", "l"], ["LMOVE", "l", "l", "LEFT", "RIGHT"]),
    (["LPOPRPUSH", "s", "l"], ["LMOVE", "s", "l", "LEFT", "RIGHT"]),
    (["LPOPRPUSH", "l", "s"], ["LMOVE", "l", "s", "LEFT", "RIGHT"]),
    (["RPOLRPUSH", "l", "m"], ["RPOPLPUSH", "l", "m"]),
    (["RPOLRPUSH", "nokey", "m"], ["RPOPLPUSH", "nokey", "m"]),
    (["HFIND", "h", ""], ["HKEYS", "h"]),
    (["HFIND", "nokey", "a"], ["HKEYS", "nokey"]),
    (["HFIND", "s", "a"], ["HKEYS", "s"]),
    (["LRANGE", "m", "0", "-1"], ["LRANGE", "m", "0", "-1"]),
]


class Connection:
    """One raw connection: sends encoded requests, returns replies as the bytes they came as."""

    def __init__(self, address):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        self.socket.connect(address)
        self.buffer = b""

    def send(self, requests):
        self.socket.sendall(b"".join(encode(words) for words in requests))

    def line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line + b"\r\n"

    def more(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise ConnectionError("the server hung up")
        self.buffer += data

    def reply(self):
        """The bytes of one whole reply, whatever its kind."""
        line = self.line()
        kind = line[:1]
        if kind in b"+-:_#,(":
            return line
        count = int(line[1:])
        if kind in b"$=!":
            if count < 0:
                return line
            while len(self.buffer) < count + 2:
                self.more()
            body, self.buffer = self.buffer[: count + 2], self.buffer[count + 2 :]
            return line + body
        if kind not in b"*~%>" or kind == b"":
            raise ValueError("no reply begins with %r" % line)
        count *= 2 if kind == b"%" else 1
        return line + b"".join(self.reply() for _ in range(count))

    def ask(self, requests):
        self.send(requests)
        return [self.reply() for _ in requests]


def encode(words):
    out = b"*%d\r\n" % len(words)
    for word in words:
        word = word.encode("latin-1") if isinstance(word, str) else word
        out += b"$%d\r\n%s\r\n" % (len(word), word)
    return out


def parse(reply):
    """A reply as nested tuples (kind, text or list of replies)."""

    def value(at):
        end = reply.index(b"\r\n", at)
        kind, rest = reply[at : at + 1], reply[at + 1 : end]
        if kind in b"$=!" and int(rest) >= 0:
            stop = end + 2 + int(rest)
            return (kind, reply[end + 2 : stop]), stop + 2
        if kind not in b"*~%>":
            return (kind, rest), end + 2
        items, at = [], end + 2
        for _ in range(int(rest) * (2 if kind == b"%" else 1)):
            item, at = value(at)
            items.append(item)
        return (kind, items), at

    return value(0)[0]


def alike(mark, ours, theirs):
    """Do two replies agree as far as the mark in front of the request asks?"""
    if ours == theirs:
        return True
    if not mark:
        return False
    a, b = parse(ours), parse(theirs)
    if a[0] != b[0]:
        return False
    if mark == "=":
        return a[0] == b":" and int(b[1]) > 0 and abs(int(a[1]) - int(b[1])) <= TOLERANCE[b":"]
    if not isinstance(a[1], list):
        return mark == "?"
    if mark == "?":
        return len(a[1]) == len(b[1]) and [i[0] for i in a[1]] == [i[0] for i in b[1]]
    if a[0] == b"%":  # pairs stay together
        a, b = ((k, list(zip(v[::2], v[1::2]))) for k, v in (a, b))
    return sorted(a[1]) == sorted(b[1])


def split_line(line):
    """Words as redis-cli reads them: quotes, \\xHH, \\n and the like inside double quotes."""
    words = []
    for quoted, plain in re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line):
        text = plain or re.sub(
            r"\\(x[0-9a-fA-F]{2}|.)",
            lambda m: chr(int(m[1][1:], 16)) if len(m[1]) == 3 else
            {"n": "\n", "r": "\r", "t": "\t"}.get(m[1], m[1]),
            quoted,
        )
        words.append(text.encode("latin-1"))
    return words


def read_cases():
    """{command: [(mark, words)]} from the files."""
    cases = {}
    for path in sorted(glob.glob(os.path.join(HERE, "redis_cases", "*.txt"))):
        requests = None
        for line in open(path, encoding="latin-1"):
            line = line.rstrip("\n")
            if line.startswith("["):
                requests = cases.setdefault(line[1:-1], [])
            elif line and not line.startswith("#"):
                mark = line[0] if line[0] in "~=?" else ""
                requests.append((mark, split_line(line[len(mark) :])))
    return cases


# What random requests have left: every key and value of all databases as one digest, and counts.
STATE = [["DEBUG", "DIGEST"], ["DBSIZE"], ["SELECT", "1"], ["DBSIZE"], ["SELECT", "0"]]

# --- random requests ---

KEYS = ["s1", "s2", "s3", "l1", "l2", "l3", "h1", "h2", "h3", "t1", "t2", "t3", "z1", "z2", "z3",
        "x1", "x2"]
INTEGERS = ["0", "1", "2", "3", "5", "10", "-1", "-2", "-3", "-100", "100", "", "abc", "1.5", " 1",
            "01", "+1", "-0", str(2**63 - 1), str(-(2**63)), str(2**63)]
VALUES = ["a", "b", "c", "aa", "12", "-7", "0", "", "3.5", "a\r\nb", "\x00\xff", "x" * 70,
          "y" * 600]
# Short enough that Redis keeps a hash in the order of its making, as kv does.
SHORT = ["a", "b", "12", "-7", "", "3.5", "\x00\xff", "x" * 60]
FIELDS = ["f1", "f2", "f3", "12", "", "g" * 60]
MEMBERS = ["a", "b", "c", "1", "2", "-7", "", "\x00\xff", "m" * 100]
NAMES = ["m1", "m2", "m3", "m4", "12", "", "\x00\xff", "g" * 60]
SORTED = ["z1", "z2", "z3", "z3", "t1", "x1", "s1"]
BOUNDS = ["1", "(1", "2.5", "(2", "-inf", "+inf", "inf", "(3", "x", "", "-2.25"]
DECIMALS = ["1", "0.5", "-2.25", "1e3", "abc", "inf", "0", "3.14159"]
BITS = ["0", "1", "7", "8", "13", "31", "40", "63", "#0", "#1", "#3", "600", "-1", "x"]
ENCODINGS = ["u1", "u5", "u8", "u13", "u63", "i1", "i4", "i8", "i16", "i33", "i64", "u64", "i65", "u0", "x"]
TIMES = ["100", "1000", "5000", "-1", "0", "abc", "9223372036854775807", "33177117420"]

# %k key, %v value, %w short value, %i integer, %s small count, %f field, %m member, %d decimal, %t
# time;
# (a)+ stands for one to three of a, (a)? for one or none, [a|b] for either.
SHAPES = """
GET %k; STRLEN %k; GETRANGE %k %i %i; SUBSTR %k %s %s; MGET (%k)+; GETSET %k %v; GETDEL %k
GETEX %k; GETEX %k [PERSIST|EX 1000|PX 1000000|EX %t]; APPEND %k %v; SETRANGE %k %s %v
SET %k %v (NX)? (GET)?; SET %k %v (XX)? (KEEPTTL)?; SET %k %v [EX 1000|PX 1000000|EX %t|KEEPTTL]
SETNX %k %v; SETEX %k %t %v; MSET (%k %v)+; MSETNX (%k %v)+; MSET %k %v %k
GETBIT %k %b; SETBIT %k %b [0|1]; SETBIT %k %i %s; BITCOUNT %k; BITCOUNT %k %i %i ([BYTE|BIT])?
BITPOS %k [0|1]; BITPOS %k %s %s; BITPOS %k [0|1] %i %i ([BYTE|BIT])?; BITPOS %k [0|1] %s
BITOP [AND|OR|XOR] %k (%k)+; BITOP NOT %k %k (%k)?; BITOP AND %k %k %k; BITFIELD_RO %k GET %e %b
BITFIELD %k (OVERFLOW [WRAP|SAT|FAIL])? SET %e %b %i INCRBY %e %b %i GET %e %b; BITFIELD %k (GET %e %b)+
BITFIELD %k (OVERFLOW [WRAP|SAT|FAIL])? (INCRBY %e %b %i)+; BITFIELD_RO %k SET u2 0 1
INCR %k; DECR %k; INCRBY %k %i; DECRBY %k %i; INCRBYFLOAT %k %d; LCS %k %k ([LEN|IDX])?
LPUSH %k (%v)+; RPUSH %k (%v)+; LPUSHX %k (%v)+; RPUSHX %k (%v)+; LPOP %k (%s)?; RPOP %k (%s)?
LPUSH %k (%v)+; RPUSH %k (%v)+; LLEN %k; LRANGE %k %i %i; LRANGE %k 0 -1; LINDEX %k %i
LSET %k %i %v; LREM %k %i %v; LREM %k %s %v; LTRIM %k %s %i; LINSERT %k [BEFORE|AFTER] %v %v
LPOS %k %v (RANK %i)? (COUNT %i)? (MAXLEN %i)?; LMOVE %k %k [LEFT|RIGHT] [LEFT|RIGHT]
RPOPLPUSH %k %k; LMPOP 2 %k %k [LEFT|RIGHT] (COUNT %s)?; LMPOP %i %k LEFT
BLPOP %k %k 0.001; BRPOP %k 0.001; BRPOPLPUSH %k %k 0.001; BLMPOP 0.001 %i %k %k LEFT (COUNT %s)?
BLMOVE %k %k [LEFT|RIGHT] [LEFT|RIGHT] 0.001; BLMPOP 0.001 2 %k %k [LEFT|RIGHT] (COUNT %s)?
HSET %k (%f %w)+; HSET %k (%f %w)+; HMSET %k (%f %w)+; HSETNX %k %f %w; HGET %k %f
HMGET %k (%f)+; HDEL %k (%f)+; HLEN %k; HEXISTS %k %f; HSTRLEN %k %f; HGETALL %k; HKEYS %k
HVALS %k; HINCRBY %k %f %i; HINCRBYFLOAT %k %f %d; HSCAN %k 0; HSCAN %k 0 MATCH f* COUNT %i
ZADD %z (%d %n)+; ZADD %z (%s %n)+; ZADD %z [NX|XX|GT|LT|CH|GT CH|XX GT CH|NX CH] (%d %n)+
ZADD %z ([NX|XX|GT|LT])? INCR %d %n; ZINCRBY %z %d %n; ZREM %z (%n)+; ZSCORE %z %n; ZMSCORE %z (%n)+
ZCARD %z; ZRANK %z %n; ZREVRANK %z %n; ZCOUNT %z %r %r; ZRANGE %z %i %i (WITHSCORES)? (REV)?
ZRANGE %z %r %r BYSCORE (LIMIT %s %s)? (WITHSCORES)?; ZRANGE %z 0 -1 WITHSCORES
ZRANGE %z %r %r BYSCORE REV (LIMIT %s %s)?; ZREVRANGE %z %i %i (WITHSCORES)?; ZRANDMEMBER %z 0
ZRANGEBYSCORE %z %r %r (WITHSCORES)? (LIMIT %s %s)?; ZREVRANGEBYSCORE %z %r %r (LIMIT %s %s)?
ZPOPMIN %z (%s)?; ZPOPMAX %z (%s)?; ZMPOP 2 %z %z [MIN|MAX] (COUNT %s)?; ?ZSCAN %z 0 (MATCH m*)?
BZPOPMIN %z %z 0.001; BZPOPMAX %z 0.001; BZMPOP 0.001 2 %z %z [MIN|MAX] (COUNT %s)?
ZREMRANGEBYRANK %z %s %s; ZREMRANGEBYSCORE %z %r %r; ZRANGESTORE %z %z %s %i (REV)?
ZRANGESTORE %z %z %r %r BYSCORE (LIMIT %s %s)?; ZUNIONSTORE %z 2 %z %z ([AGGREGATE MIN|WEIGHTS 2 3])?
ZINTERSTORE %z 2 %z %z ([AGGREGATE MAX|WEIGHTS 0.5 3])?; ZDIFFSTORE %z 2 %z %z
ZUNION 3 %z %z %z (AGGREGATE MAX)? (WITHSCORES)?; ZINTER 2 %z %z (WEIGHTS %d 2)? (WITHSCORES)?
ZDIFF 2 %z %z (WITHSCORES)?; ZINTERCARD 2 %z %z (LIMIT %s)?
HRANDFIELD %k 0; DEL (%k)+; UNLINK %k; EXISTS (%k)+; TOUCH (%k)+; TYPE %k; RENAME %k %k
RENAMENX %k %k; COPY %k %k (REPLACE)?; COPY %k %k DB %s; MOVE %k %s; DBSIZE; SWAPDB %s %s
EXPIRE %k %t ([NX|XX|GT|LT])?; PEXPIRE %k 1000000; EXPIREAT %k 33177117420 ([NX|GT|LT])?
SADD %k (%m)+; SADD %k (%m)+; SADD %k (%m)+; SREM %k (%m)+; SISMEMBER %k %m; SMISMEMBER %k (%m)+
~SMEMBERS %k; SCARD %k; SMOVE %k %k %m; SPOP %k 0; ~SPOP %k 100; SRANDMEMBER %k 0
~SRANDMEMBER %k 100; ?SRANDMEMBER %k -3; ~SINTER (%k)+; ~SUNION (%k)+; ~SDIFF %k (%k)+
SINTERSTORE %k (%k)+; SUNIONSTORE %k (%k)+; SDIFFSTORE %k (%k)+; SINTERCARD %s %k %k (LIMIT %s)?
SINTERCARD 2 %k %k (LIMIT %s)?
PEXPIREAT %k [33177117420123|1|%t]; PERSIST %k; =EXPIRETIME [s1|l1]; =TTL %k; =PTTL %k; ~KEYS *
"""
POOLS = {"%k": KEYS, "%v": VALUES, "%w": SHORT, "%i": INTEGERS, "%f": FIELDS, "%m": MEMBERS, "%d": DECIMALS,
         "%t": TIMES, "%b": BITS, "%e": ENCODINGS, "%n": NAMES, "%z": SORTED, "%r": BOUNDS,
         "%s": ["0", "1", "2", "3", "-1", "x"]}


def random_requests(count, seed):
    """count requests as (mark, words), the same for the same seed."""
    dice = random.Random(seed)
    shapes = [shape.strip() for line in SHAPES.splitlines() for shape in line.split(";")
              if shape.strip()]

    def group(match):
        body, suffix = match[1], match[2]
        times = dice.randint(1, 3) if suffix == "+" else dice.randint(0, 1)
        return " ".join([body] * times)

    for _ in range(count):
        shape = dice.choice(shapes)
        mark = shape[0] if shape[0] in "~=?" else ""
        shape = re.sub(r"\(([^)]*)\)([+?])", group, shape[len(mark) :])
        shape = re.sub(r"\[([^]]*)\]", lambda m: dice.choice(m[1].split("|")), shape)
        words = [dice.choice(POOLS[w]) if w in POOLS else w for w in shape.split()]
        yield mark, [w.encode("latin-1") for w in words]


# --- the two servers ---


def start_redis(folder):
    path = os.path.join(folder, "redis.sock")
    process = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
         "--dir", folder, "--daemonize", "no", "--enable-debug-command", "yes"],
        stdout=subprocess.DEVNULL)
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > DEADLINE:
            sys.exit("redis-server does not start")
        time.sleep(0.01)
    return process, path


def start_kv(folder):
    process = subprocess.Popen(
        [SERVER, "--pass", "secret", "--port", "0", "--dir", folder], stdout=subprocess.PIPE)
    line = process.stdout.readline().decode()
    port = re.search(r"port (\d+)", line)
    if not line.startswith("ready") or not port:
        sys.exit("kv does not start: %r" % line)
    return process, ("127.0.0.1", int(port[1]))


class Tap:
    def __init__(self):
        self.count = self.failures = 0

    def result(self, name, complaints):
        self.count += 1
        self.failures += bool(complaints)
        print("%s %d - %s" % ("not ok" if complaints else "ok", self.count, name), flush=True)
        for complaint in complaints[:10]:
            print("# " + complaint)


def compare(kv, redis, requests):
    """Sends (mark, ours, theirs) to both; returns what differs, in words."""
    ours = kv.ask([request for _, request, _ in requests])
    theirs = redis.ask([request for _, _, request in requests])
    return ["%r: kv %r, redis %r" % (b" ".join(request), a[:300], b[:300])
            for (mark, request, _), a, b in zip(requests, ours, theirs) if not alike(mark, a, b)]


def begin(kv, redis):
    for connection in kv, redis:
        connection.ask([[b"SELECT", b"0"], [b"FLUSHALL"]])


def run_own(kv, redis):
    begin(kv, redis)
    setup = [["RPUSH", "l", "1", "2", "3"], ["SET", "s", "v"], ["HSET", "h", "a", "1", "ba", "2"]]
    words = [([w.encode() for w in a], [w.encode() for w in b])
             for a, b in [(s, s) for s in setup] + OWN]
    complaints = compare(kv, redis, [("", ours, theirs) for ours, theirs in words])
    if kv.ask([[b"HFIND", b"h", b"b"]]) != [b"*1\r\n$2\r\nba\r\n"]:
        complaints.append("HFIND h b")
    return complaints


def run_random(kv, redis, seed, count):
    """In steps, so that what fails first is found before everything after it differs too."""
    begin(kv, redis)
    requests = [(mark, words, words) for mark, words in random_requests(count, seed)]
    for i in range(0, count, 50):
        if time.monotonic() > DEADLINE:
            return ["out of time after %d requests" % i]
        complaints = compare(kv, redis, requests[i : i + 50])
        if complaints:
            return complaints
    return compare(kv, redis, [("", words, words) for words in STATE])


def run_information(kv, redis, names):
    """Arity, flags and key positions, as COMMAND INFO tells clients and proxies."""
    complaints = []
    for name in names:
        rows = []
        for connection in kv, redis:
            row = parse(connection.ask([["COMMAND", "INFO", name]])[0])[1][0][1]
            rows.append([row[1], sorted(flag[1] for flag in row[2][1])] + row[3:6])
        if rows[0] != rows[1]:
            complaints.append("%s: kv %r, redis %r" % (name, rows[0], rows[1]))
    return complaints


def run_all(kv_address, redis_address, tap):
    cases = read_cases()
    for protocol in 2, 3:
        kv, redis = Connection(kv_address), Connection(redis_address)
        kv.ask([["AUTH", "secret"]])
        if protocol == 3:
            for connection in kv, redis:
                connection.ask([["HELLO", "3"]])
        for name, requests in cases.items():
            begin(kv, redis)
            complaints = compare(kv, redis, [(mark, words, words) for mark, words in requests])
            tap.result("%s: %d requests in RESP%d" % (name, len(requests), protocol), complaints)
        tap.result("commands of kv alone in RESP%d" % protocol, run_own(kv, redis))
        tap.result("COMMAND INFO in RESP%d" % protocol, run_information(kv, redis, cases))
        for seed in range(SEED, SEED + 3):
            count = RANDOM_REQUESTS // 3
            name = "%d random requests, SEED=%d, in RESP%d" % (count, seed, protocol)
            tap.result(name, run_random(kv, redis, seed, count))


def main():
    folder = tempfile.mkdtemp(prefix="kv-compare-")
    kv_folder = os.path.join(folder, "kv")
    os.mkdir(kv_folder, 0o700)
    processes = []
    tap = Tap()
    try:
        process, redis_address = start_redis(folder)
        processes.append(process)
        process, kv_address = start_kv(kv_folder)
        processes.append(process)
        run_all(kv_address, redis_address, tap)
    finally:
        for process in processes:
            process.terminate()
            process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)
    print("1..%d" % tap.count)
    return 1 if tap.failures else 0


sys.exit(main())
