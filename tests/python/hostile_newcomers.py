"""Connections for which there is no room on their way in: each is served, waits, or is gone for all who count it."""
import contextlib
import ctypes
import glob
import os
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import time

from hostile_machine import FakeChild, is_quiet
from lib_kv import Raw, SERVER, Server, Wrapped, main, pids, sibling_of, until


def clients(raw):
    """How many the sibling knows: INFO's count and CLIENT LIST's lines."""
    told = re.search(rb"connected_clients:(\d+)", raw.call("INFO", "clients"))
    return int(told.group(1)), raw.call("CLIENT", "LIST").count(b" addr=")


def hung_up_on(raws):
    return sum(bool(select.select([raw.socket], [], [], 0)[0]) and raw.closed() for raw in raws)


def allow_descriptors(pid, count):
    """So many more than it holds now; None: as many as it likes."""
    held = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    most = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    limit = most if count is None else [n for n in range(len(held) + count + 1) if n not in held][count]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, most))


def test_out_of_descriptors(tap):
    """E4: with few descriptors the server refuses politely and recovers."""
    with Wrapped("ulimit -n 64", "--children", "0") as server:
        callers = [socket.create_connection(("127.0.0.1", server.port), 5) for _ in range(200)]
        time.sleep(0.5)
        for caller in callers:
            caller.close()
        tap.ok(until(10, lambda: Raw(server.port).call("PING") == b"+PONG\r\n"), "E4: it serves again when descriptors are free")


def test_soft_limit(tap):
    """A login session's soft limit is 1024 on most machines, and what a program may raise it to is far above."""
    def limits(server):
        return {resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in [server.process.pid] + pids(server, "kv ")}

    for hard, clients_max, want in (4000, 1000, 2064), (4000, 10000, 4000), (500, 1000, 500):
        with Wrapped(f"ulimit -Sn 100; ulimit -Hn {hard}", "--max-clients", str(clients_max)) as server:
            Raw(server.port)
            tap.equal(f"{clients_max} clients and at most {hard} descriptors: parent, sibling and child may have {want}",
                      limits(server), {(want, hard)})
    with Wrapped("ulimit -Sn 3000; ulimit -Hn 4000", "--max-clients", "10") as server:
        tap.equal("a limit that is high enough stays", limits(server), {(3000, 4000)})
    with Wrapped("ulimit -Sn 100", "--children", "1") as server:
        callers = [Raw(server.port) for _ in range(150)]
        tap.equal("one child serves more clients than the soft limit was", sum(c.call("PING") == b"+PONG\r\n" for c in callers), 150)


def test_child_without_descriptors(tap):
    """What a child cannot take is hung up on by the kernel: all must know that it is gone."""
    with Server("--children", "1", "--max-clients", "12") as server:
        raw = Raw(server.port, timeout=5)
        child = pids(server, "kv child")[0]
        allow_descriptors(child, 3)
        for _ in range(3):
            callers = [Raw(server.port, password=None, timeout=5) for _ in range(8)]
            until(5, lambda: hung_up_on(callers) == 5)
            tap.equal("a child without descriptors hangs up on those it cannot take", hung_up_on(callers), 5)
            tap.ok(until(5, lambda: clients(raw) == (4, 4)), "which the sibling knows", clients(raw))
            for caller in callers:
                caller.close()
            tap.ok(until(5, lambda: clients(raw) == (1, 1)), "and all are forgotten when all have gone", clients(raw))
        allow_descriptors(child, None)
        callers = [Raw(server.port, timeout=5) for _ in range(11)]
        tap.equal("the parent knows as well: as many as ever fit in", callers[-1].call("PING"), b"+PONG\r\n")


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def fill_pipe(server):
    """Announcements of the ends of children that never were, until the sibling's pipe takes no more."""
    links = [os.readlink(path) for path in glob.glob(f"/proc/{sibling_of(server)}/fd/*") if os.path.islink(path)]
    pipe = os.open(next(link for link in links if link.endswith("/pipe_sibling")), os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            os.write(pipe, struct.pack("<Ii", 3, 900_004).ljust(128, b"\0"))
    except BlockingIOError:
        os.close(pipe)


def call_at_once(server, count):
    """Connects without waiting to be taken."""
    callers = []
    for _ in range(count):
        callers.append(socket.socket())
        callers[-1].setblocking(False)
        callers[-1].connect_ex(("127.0.0.1", server.port))
    return callers


def answers(caller):
    caller.settimeout(20)
    try:
        caller.sendall(b"PING\r\n")
        return caller.recv(100).startswith(b"-NOAUTH")
    except OSError:
        return False


def test_burst(tap):
    """More connections at once than the queues to the child and to the sibling take."""
    for options in (), ("--children", "1"):
        with Server(*options) as server:
            raw = Raw(server.port)
            callers = call_at_once(server, 3000)
            tap.equal(f"each of a burst of 3,000 is served {options}", sum(answers(caller) for caller in callers), 3000)
            for caller in callers:
                caller.close()
            tap.ok(until(20, lambda: clients(raw) == (1, 1)), "and forgotten", clients(raw))


def test_sibling_that_takes_none(tap):
    """Nobody can be told that there is a client: all wait, and waiting is free."""
    for options in ("--children", "1"), ("--children", "0"):
        with Server(*options) as server:
            raw = Raw(server.port)
            sibling, count = sibling_of(server), 700 if options[1] == "1" else 40
            with stopped(sibling):
                fill_pipe(server)
                callers = call_at_once(server, count)
                time.sleep(0.5)  # no proof: only so that the parent has seen them
                is_quiet(tap, f"the parent does not spin while the sibling is stopped {options}", [server.process.pid])
                tap.ok(len(pids(server, "kv child")) <= 2, "nor forks for those who wait", pids(server, "kv child"))
            tap.equal("all are served when it goes on", sum(answers(caller) for caller in callers), count)
            tap.equal("and who was there before is, too", raw.call("PING"), b"+PONG\r\n")


def test_child_that_takes_none(tap):
    """A child whose socket from the parent is full: whoever is not handed over waits, and is nobody's client."""
    with Server("--children", "1") as server:
        raw = Raw(server.port)
        with stopped(pids(server, "kv child")[0]):
            callers = call_at_once(server, 800)
            time.sleep(1)  # no proof: only so that the socket is full by then
            is_quiet(tap, "the parent does not spin while a child is stopped", [server.process.pid])
        tap.equal("none is refused", len(select.select(callers, [], [], 0.5)[0]), 0)
        tap.equal("all are served", sum(answers(caller) for caller in callers), 800)
        for caller in callers:
            caller.close()
        tap.ok(until(10, lambda: clients(raw) == (1, 1)), "when all have gone none is left behind", clients(raw))


def can_trace():
    return subprocess.run(["strace", "-o", "/dev/null", "true"], stderr=subprocess.DEVNULL).returncode == 0


def test_no_descriptor_for_the_sibling(tap):
    """The parent cannot open the sibling's pipe at first (strace has the call fail): it tries again."""
    if not can_trace():
        tap.ok(True, "no descriptor for the sibling's pipe # SKIP strace may trace nothing here")
        return

    def traced(inject):  # a folder of its own for the pipes, so that each start opens the same files
        return f'export TMPDIR="$(dirname "$0")"; exec strace -D -o "$0.trace" -e trace=openat {inject} "{SERVER}" "$@"'

    with Wrapped(traced("")) as server:
        with open(os.path.join(server.folder, "start.trace")) as trace:
            calls = trace.read().split("openat(")
    number = next(n for n, call in enumerate(calls) if "/pipe_sibling" in call)
    with Wrapped(traced(f"-e inject=openat:error=EMFILE:when={number}")) as server:
        tap.equal("a client is served once the pipe could be opened", Raw(server.port, timeout=10).call("PING"), b"+PONG\r\n")
        tap.ok("pipe_sibling: Too many open files" in server.text(), "and it was told that at first it could not", server.text())


def fill_with_words(child):
    """Says words to the parent in the name of a child until its socket takes no more; returns how many."""
    pidfd_getfd, handle = 438, os.pidfd_open(child)
    control = socket.socket(fileno=ctypes.CDLL(None).syscall(pidfd_getfd, handle, 3, 0))
    os.close(handle)
    words = 0
    with control:
        try:
            while True:
                words += control.send(b"x", socket.MSG_DONTWAIT)
        except BlockingIOError:
            return words


def test_child_that_never_stops_talking(tap):
    """Somebody in a child may speak as fast as the parent hears: it looks after others in between."""
    if os.geteuid() != 0 or not can_trace():
        tap.ok(True, "a child that never stops talking # SKIP needs root and strace")
        return
    again = f'exec strace -D -o "$0.trace" -e trace=recvfrom,accept4 "{SERVER}" "$@"'
    with Wrapped(again, "--children", "2") as server:
        raw = Raw(server.port)
        with open(os.path.join(server.folder, "start.trace")) as trace:
            with stopped(server.process.pid):
                said = fill_with_words(pids(server, "kv child")[0])
                caller = call_at_once(server, 1)[0]
                trace.read()
            tap.ok(said > 200, "a child says many words at once", said)
            tap.ok(answers(caller), "who comes then is served")
            heard = trace.read().split("accept4(")[0].count("recvfrom(")
        tap.ok(heard <= 66, "before the parent has heard all of them", f"{heard} of {said}")
        tap.equal("and who shares that child is served", raw.call("PING"), b"+PONG\r\n")


def test_withdrawn(tap):
    """The parent takes back what it has announced, before the sibling knows the child and after."""
    with Server() as server:
        raw = Raw(server.port)
        fake = FakeChild(server, 900_002, connections=3)
        tap.equal("three connections of a child are announced", clients(raw), (4, 4))
        fake.announce(6, 2)
        fake.announce(6, 9)
        tap.ok(until(5, lambda: clients(raw) == (3, 3)), "one of them is withdrawn, and one that never was", clients(raw))
        fake.send(b"ECHO", b"three", connection=3)
        tap.ok(fake.reads(b"three"), "the others are served")
        fake.announce(2, 1, pid=900_003)
        fake.announce(2, 2, pid=900_003)
        tap.ok(until(5, lambda: clients(raw) == (5, 5)), "two are announced before their child", clients(raw))
        fake.announce(6, 1, pid=900_003)
        tap.ok(until(5, lambda: clients(raw) == (4, 4)), "one of these is withdrawn", clients(raw))
        fake.close()
        tap.ok(until(5, lambda: clients(raw) == (2, 2)), "a child's end is that of those it has", clients(raw))


if __name__ == "__main__":
    main(test_out_of_descriptors, test_soft_limit, test_child_without_descriptors, test_burst, test_sibling_that_takes_none,
         test_child_that_takes_none, test_child_that_never_stops_talking,
         test_no_descriptor_for_the_sibling, test_withdrawn)
