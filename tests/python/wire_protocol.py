#!/usr/bin/env python3
"""Raw bytes, good and hostile, sent to kv and to a real redis-server: the same answer, or a named
difference. Also PLIO and RESP cut at every byte, and a server that is still well after all of it.

Ends only the two servers it starts. Never waits longer than a connection's time limit.
"""
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time

from lib_kv import PASSWORD, Raw, Server, main, request

SET = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n"
# Sent after a login; both servers must answer with the same bytes and hang up or not alike.
SAME = [
    b"*x\r\n", b"*2147483648\r\n", b"*+0\r\n", b"*01\r\n", b"*-0\r\n", b"*\r\n",
    b"*-1\r\n*1\r\n$4\r\nPING\r\n", b"*0\r\n*1\r\n$4\r\nPING\r\n", b"\r\n\nPING\r\n",
    b"*1\r\nX12\r\n", b"*1\r\n\r\n", b"*1\r\nPING\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$+4\r\n",
    b"*1\r\n$\r\n", b"*1\r\n$04\r\nPING\r\n", b"*1\r\n$536870913\r\n",
    b"*1\r\n$9223372036854775807\r\n", b"*1\r\n$99999999999999999999\r\n",
    b"*1" + b"1" * 70000, b"*1\r\n$" + b"1" * 70000, b"A" * 70000,
    b'SET "a b\r\n', b'SET "a"b\r\n', b"SET 'a'b\r\n", b'ECHO a"b"\r\n', b'ECHO ""\r\n',
    b'ECHO "a\\x41\\n\\q\\\'"\r\n', b"ECHO 'a\\'b\\n'\r\n", b"  PING \r\n", b"ping\n",
    b"ECHO a\\ b\r\n", b"PING\r\n" + SET + b"GET k\r\n*x\r\nPING\r\n",
    SET + b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", request("ECHO", bytes(range(256))),
]
# Before a login.
SAME_AS_GUEST = [b"*11\r\n", b"*1\r\n$16385\r\n", b"*x\r\n", b'"\r\n', request("GET", "k")]
# kv's own answers, where it differs on purpose (libkv/wire/FORMAT.md says why).
OWN = [
    (b"*1\r\n$4\r\nPINGxx", b"-ERR Protocol error: expected a line end after the bulk string\r\n"),
    (b"\x16\x03\x01\x02\x00", b"-ERR Protocol error: neither RESP nor an inline request\r\n"),
    (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", b"-ERR Protocol error: this is not a web server\r\n"),
    (b"*2\r\n$4\r\nECHO\r\n:012\r\n", b"$2\r\n12\r\n"),
]


class Redis:
    """A redis-server on a free port, with the same password."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="kv-test.")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--requirepass", PASSWORD, "--dir", self.folder], stdout=subprocess.DEVNULL)
        for _ in range(200):
            try:
                Raw(self.port).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("redis-server did not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


def answer(port, data, password=PASSWORD):
    """All the server says to data, until it hangs up after our half-close or by itself."""
    raw = Raw(port, password)
    try:
        raw.send(data)
        raw.socket.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # hung up before it had all: its answer is what counts
    closed = raw.closed()
    raw.close()
    return raw.buffer if closed else b"(did not hang up) " + raw.buffer


def same_as_redis(tap):
    with Server() as kv, Redis() as redis:
        for data in SAME:
            tap.equal(f"N1 N2 as redis-server: {data[:40]!r}", answer(kv.port, data),
                      answer(redis.port, data))
        for data in SAME_AS_GUEST:
            tap.equal(f"N2 A3 as redis-server, not logged in: {data[:40]!r}",
                      answer(kv.port, data, None), answer(redis.port, data, None))
        for data, expected in OWN:
            tap.equal(f"N1 kv's own answer: {data[:40]!r}", answer(kv.port, data), expected)


def cut_at_every_byte(tap):
    with Server() as kv:
        data = SET + b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" + b'ECHO "a b"\r\n'
        whole = answer(kv.port, data)
        tap.equal("whole", whole, b"+OK\r\n$5\r\nvalue\r\n$3\r\na b\r\n")
        wrong = []
        for cut in range(1, len(data)):
            raw = Raw(kv.port)
            raw.send(data[:cut])
            Raw(kv.port).close()  # a whole login passes meanwhile: the first piece has been read
            raw.send(data[cut:])
            if raw.exactly(len(whole)) != whole:
                wrong.append(cut)
            raw.close()
        tap.equal("N5 a pipeline cut at each byte", wrong, [])


def plio_login(name=b"cli1"):
    # hash("secret") is 62011 = 0xF23B; as a number 62011 * 2 = 0x1E476.
    return b"\x01\x12AUTH" + bytes([len(name) * 4 + 2]) + name + b"\x0c\x76\xe4\x01\x03"


def plio(tap):
    hello = bytes.fromhex("01126175746802089617" "011e6d657373616765021e4f4b20636c6931")
    calls = bytes.fromhex("010e53455401166d796b65791668656c6c6f0303" "010e47455401166d796b65790303"
                          "011250494e470003")
    replies = bytes.fromhex("011e6d657373616765020a4f4b" "011e6d657373616765021668656c6c6f"
                            "011e6d6573736167650212504f4e47")
    with Server() as kv:
        data, expected = plio_login() + calls + b"\0", hello + replies
        tap.equal("PLIO as picolisp-kv speaks it", answer(kv.port, data, None), expected)
        raw = Raw(kv.port, None)
        for i in range(len(data)):
            raw.send(data[i:i + 1])
        tap.equal("N5 PLIO a byte at a time", (raw.closed(), raw.buffer), (True, expected))
        refused = bytes.fromhex("01166572726f72021a4e4f41555448")
        for bad in (b"\x01\x03", b"\x01\x02\x03", plio_login()[:-5] + b"\x04\x00\x03", b"\x01\x0bab\x03"):
            tap.equal(f"N1 PLIO before a login: {bad!r}", answer(kv.port, bad, None), refused)


def mutated(tap):
    """Seeded damage to good requests: kv hangs up or answers, and goes on serving others."""
    seed = int(os.environ.get("SEED", "1"))
    rng = random.Random(seed)
    good = SET + request("LPUSH", "l", b"\0\xff") + b"*1\r\n:1\r\n" + b'ECHO "a"\r\n'
    with Server() as kv:
        watcher = Raw(kv.port)
        alive = 0
        for _ in range(300):
            data = bytearray(good)
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            password = PASSWORD if rng.random() < 0.5 else None
            answer(kv.port, bytes(data), password)
            alive += watcher.call("PING") == b"+PONG\r\n"
        tap.equal(f"N1 300 damaged requests, seed {seed}: another connection is served", alive, 300)


main(same_as_redis, cut_at_every_byte, plio, mutated)
