"""Bad bytes, bad passwords, bad children: the server stays up, says why and serves the others."""
import glob
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

from lib_kv import Raw, Server, main, pids, request, sibling_of, until, PASSWORD


def alive(server):
    return Raw(server.port).call("PING") == b"+PONG\r\n"


def run_folder(sibling):
    """Where its pipes are: the folder of the announcements it reads."""
    links = [os.readlink(p) for p in glob.glob(f"/proc/{sibling}/fd/*") if os.path.islink(p)]
    return next(os.path.dirname(link) for link in links if link.endswith("/pipe_sibling"))


MALFORMED = [  # N1, N2: what Redis 7.0.15 was seen to answer before it hangs up
    (b"*2147483648\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*1\r\n$-1\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\n$9223372036854775808\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\n$536870913\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*x\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*1\r\nxfoo\r\n", b"-ERR Protocol error: expected '$', got 'x'\r\n"),
    (b"SET 'open\r\n", b"-ERR Protocol error: unbalanced quotes in request\r\n"),
    (b"x" * 70000, b"-ERR Protocol error: too big inline request\r\n"),
]


def test_malformed(tap):
    with Server() as server:
        for data, want in MALFORMED:
            raw = Raw(server.port)
            raw.send(data)
            tap.ok(raw.closed() and raw.buffer == want, f"N1: {data[:30]!r} is told and hung up on", repr(raw.buffer))
        http = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 300
        for data in (http, tls, b"\x01\x03\x03\x03"):
            raw = Raw(server.port, password=None)
            raw.send(data)
            raw.socket.shutdown(socket.SHUT_WR)
            tap.ok(raw.closed(), f"N1: {data[:12]!r} gets nowhere", repr(raw.buffer[:200]))
        tap.ok(alive(server), "N1: the server is alive after all of it")


def test_guest_limits(tap):
    with Server() as server:
        raw = Raw(server.port, password=None)
        raw.send(b"*11\r\n")
        want = b"-ERR Protocol error: unauthenticated multibulk length\r\n"
        tap.ok(raw.closed() and raw.buffer == want, "N2: a guest may send 10 arguments", repr(raw.buffer))
        raw = Raw(server.port, password=None)
        raw.send(b"*2\r\n$3\r\nGET\r\n$16385\r\n")
        want = b"-ERR Protocol error: unauthenticated bulk length\r\n"
        tap.ok(raw.closed() and raw.buffer == want, "N2: a guest may send 16 KiB", repr(raw.buffer))
        raw = Raw(server.port, password=None)
        raw.send(b"\x01\xfe" + b"x" * 63 + (b"\xff" + b"x" * 255) * 400)
        tap.ok(raw.closed(), "N2: a PLIO guest may send 16 KiB", repr(raw.buffer))
        raw = Raw(server.port)
        tap.equal("after AUTH the full limits hold", raw.call("SET", "k", "v" * 100_000), b"+OK\r\n")
        raw = Raw(server.port, password=None)
        raw.send(request("AUTH", PASSWORD) + request("SET", "k", "v" * 20_000))
        got = raw.reply() + raw.reply()
        tap.equal("and for what is pipelined behind AUTH, once it is answered", got, b"+OK\r\n+OK\r\n")


def test_passwords(tap):
    with Server() as server:
        started = time.monotonic()
        wrong = 0
        for _ in range(12):
            raw = Raw(server.port, password=None)
            wrong += raw.call("AUTH", "guess").startswith(b"-WRONGPASS")
            raw.close()
        took = time.monotonic() - started
        tap.equal("A1: wrong passwords are refused", wrong, 12)
        tap.ok(took > 1, "A1: guessing costs time", f"12 guesses took {took:.2f} s")
        raw = Raw(server.port, password=None, timeout=60)
        raw.send(request("AUTH", "guess") * 30)
        tap.ok(raw.closed() and raw.buffer.count(b"WRONGPASS") <= 10, "A1: ten failures end a connection", repr(raw.buffer[-200:]))
        raw = Raw(server.port, password=None, timeout=60)
        raw.send((request("AUTH", "guess") * 6 + request("AUTH", PASSWORD)) * 2 + request("PING"))
        got = b"".join(raw.reply() for _ in range(15))
        tap.ok(got.endswith(b"+OK\r\n+PONG\r\n"), "A1: ten failures in a row, that is", repr(got[-200:]))
        raw.close()
        guessers = [Raw(server.port, password=None) for _ in range(80)]
        for guesser in guessers:
            guesser.send(request("AUTH", "guess"))
        time.sleep(0.1)
        for guesser in guessers:
            guesser.close()
        started = time.monotonic()
        raw = Raw(server.port, password=None, timeout=60)
        tap.equal("A1: the right password still works", raw.call("AUTH", PASSWORD), b"+OK\r\n")
        took = time.monotonic() - started
        tap.ok(took < 10, "A1: guessers who hang up leave the line", f"{took:.2f} s behind 80 of them")
        for odd in (b"", b"\x00", PASSWORD.encode() + b"\x00", b"x" * 16000):
            raw = Raw(server.port, password=None, timeout=60)
            got = raw.call("AUTH", odd)
            tap.ok(got.startswith(b"-WRONGPASS"), f"A3: AUTH with {odd[:10]!r} of {len(odd)} bytes", repr(got))


def test_passwords_from_many_addresses(tap):
    """Whoever is on this machine may call from any of 16 million loopback addresses."""
    with Server() as server:
        started = time.monotonic()
        wrong = 0
        for n in range(20):
            guesser = socket.create_connection(("127.0.0.1", server.port), 30, (f"127.0.{n}.2", 0))
            guesser.sendall(request("AUTH", "guess"))
            wrong += guesser.recv(100).startswith(b"-WRONGPASS")
            guesser.close()
        took = time.monotonic() - started
        tap.equal("A1: wrong passwords from 20 loopback addresses are refused", wrong, 20)
        tap.ok(took > 3, "A1: and cost what they cost from one", f"20 guesses took {took:.2f} s")
        started = time.monotonic()
        tap.equal("A1: the owner still comes in", Raw(server.port).call("PING"), b"+PONG\r\n")
        took = time.monotonic() - started
        tap.ok(took < 2, "A1: after one turn", f"{took:.2f} s")


def test_never_reads(tap):
    with Server("--children", "1") as server:
        greedy = Raw(server.port)
        other = Raw(server.port)
        other.call("SET", "big", b"x" * 1_000_000)
        greedy.send(request("GET", "big") * 2000)  # 2 GB of replies nobody reads
        times = []
        for _ in range(200):
            start = time.monotonic()
            other.call("PING")
            times.append(time.monotonic() - start)
        tap.ok(max(times) < 2, "P12: a client that never reads holds up nobody in its child", f"slowest {max(times):.2f} s")
        most = max(int(open(f"/proc/{p}/statm").read().split()[1]) * 4096 for p in pids(server, "kv "))
        tap.ok(most < 300_000_000, "N5: and costs bounded memory", f"{most} bytes")
        greedy.close()


def test_never_pauses(tap):
    """A client that loads a file in one go: the sibling lags behind the child from beginning to end."""
    batch, times = request("SET", "key", "v" * 200) * 300, 4000
    with Server() as server:
        raw = Raw(server.port, timeout=60)
        sender = threading.Thread(target=lambda: [raw.socket.sendall(batch) for _ in range(times)])
        sender.start()
        expected, got = 300 * times * len("+OK\r\n"), 0
        while got < expected and (data := raw.socket.recv(1 << 20)):
            got += len(data)
        sender.join()
        tap.equal("300 MB of SETs without a pause are all answered", got, expected)
        peaks = [int(re.search(r"VmHWM:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1)) for pid in pids(server, "kv child")]
        tap.ok(max(peaks) < 64_000, "and cost a child bounded memory", f"at most {max(peaks)} kB")


def test_a_lying_child(tap):
    """P14: somebody with a child's pipes says what no child says."""
    with Server() as server:
        keeper = Raw(server.port)
        keeper.call("SET", "k", "before")
        folder = run_folder(sibling_of(server))
        header = struct.Struct("<IIBBH")
        argument = lambda text: struct.pack("<IB", len(text), 0) + text
        set_request = struct.pack("<I", 3) + argument(b"SET") + argument(b"k") + argument(b"lie")
        opening = header.pack(5, 1, 1, 0, 0) + struct.pack("<Bi", 0, 3)
        lies = {
            "another dialect in the middle": opening * 2,
            "a request of a connection nobody announced": header.pack(len(set_request), 99, 2, 0, 0) + set_request,
            "an unknown kind of frame": header.pack(0, 1, 77, 0, 0),
            "a frame over the limit": header.pack(1 << 30, 1, 2, 0, 0),
            "shared memory it never had": header.pack(12, 1, 5, 0, 0) + b"\xff" * 12,
            "a reply": header.pack(0, 1, 17, 0, 0),
        }
        for number, (what, frame) in enumerate(lies.items()):
            pid = 900_000 + number
            for pipe in ("request", "reply"):
                os.mkfifo(f"{folder}/pipe_child_{pid}_{pipe}", 0o600)
            reply = os.open(f"{folder}/pipe_child_{pid}_reply", os.O_RDONLY | os.O_NONBLOCK)
            placeholder = os.open(f"{folder}/pipe_child_{pid}_request", os.O_RDONLY | os.O_NONBLOCK)
            out = os.open(f"{folder}/pipe_child_{pid}_request", os.O_WRONLY | os.O_NONBLOCK)
            with open(f"{folder}/pipe_sibling", "wb", buffering=0) as announce:
                announce.write(struct.pack("<Ii", 1, pid).ljust(128, b"\0"))
                if frame.startswith(opening):
                    announce.write(struct.pack("<IiIBB57s57s", 2, pid, 1, 1, 1, b"127.0.0.1:9", b"127.0.0.1:8"))
            until(5, lambda: not os.path.exists(f"{folder}/pipe_child_{pid}_reply"))
            os.close(placeholder)
            os.write(out, frame)

            def dropped():
                try:
                    os.write(out, header.pack(0, 1, 77, 0, 0))
                    return False
                except BrokenPipeError:
                    return True
            tap.ok(until(5, dropped), f"P14: {what}: the channel is closed")
            os.close(out)
            os.close(reply)
        tap.equal("P14: nothing of it was applied", keeper.call("GET", "k"), b"$6\r\nbefore\r\n")
        tap.ok("no honest child sends" in server.text(), "P14: it is on stderr")


def test_many_connections(tap):
    with Server() as server:
        raws = [Raw(server.port) for _ in range(1000)]
        tap.equal("N7: 1,000 connections at once, each answered", sum(r.call("PING") == b"+PONG\r\n" for r in raws), 1000)
        count = ["pgrep", "-c", "-P", str(server.process.pid), "-f", "^kv child"]
        children = subprocess.check_output(count).strip()
        tap.ok(int(children) <= 64, "N7: in a bounded number of children", children)
        for r in raws:
            r.close()

        def forgotten():
            return b"connected_clients:1\r\n" in Raw(server.port).call("INFO", "clients")
        tap.ok(until(10, forgotten), "N7: all of them are forgotten")


def test_stopped_sibling(tap):
    """P4: a sibling that hangs for a while holds up its clients and loses nothing."""
    with Server() as server:
        raw = Raw(server.port)
        sibling = sibling_of(server)
        os.kill(sibling, signal.SIGSTOP)
        raw.send(request("INCR", "n") * 1000)
        time.sleep(0.5)
        os.kill(sibling, signal.SIGCONT)
        tap.equal("P4: everything is answered once it goes on", [raw.reply() for _ in range(1000)][-1], b":1000\r\n")


def test_patterns(tap):
    with Server() as server:
        raw = Raw(server.port)
        raw.call("SET", "a" * 60_000, "x")
        start = time.monotonic()
        raw.call("KEYS", "a*" * 30 + "b")
        raw.call("SCAN", "0", "MATCH", "*a" * 30 + "*b", "COUNT", "1000")
        took = time.monotonic() - start
        tap.ok(took < 5, "N11: a pattern bomb ends", f"{took:.1f} s")


if __name__ == "__main__":
    main(test_malformed, test_guest_limits, test_passwords, test_passwords_from_many_addresses, test_never_reads, test_never_pauses,
         test_a_lying_child, test_many_connections, test_stopped_sibling, test_patterns)
