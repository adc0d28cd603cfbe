"""A machine that is short of something: shared memory, room in pipes, a reader. One client may be told so; the rest is served."""
import fcntl
import glob
import os
import re
import select
import signal
import socket
import struct
import time

from lib_kv import Raw, Server, Wrapped, everybody, main, request, sibling_of, until

MIB = 1 << 20


def large_values(tap, server, what):
    """Two clients and values larger than a segment, there and back."""
    value = os.urandom(3 * MIB)
    other, raw = Raw(server.port), Raw(server.port, timeout=60)
    before = sibling_of(server)
    for i in range(4):
        tap.equal(f"{what}: SET of 3 MiB, number {i}", raw.call("SET", f"big{i}", value), b"+OK\r\n")
        got = raw.call("GET", f"big{i}")
        tap.ok(got == b"$%d\r\n%s\r\n" % (len(value), value), f"{what}: GET gives the same", f"{len(got)} bytes came")
    tap.equal(f"{what}: the other client is served", other.call("PING"), b"+PONG\r\n")
    tap.equal(f"{what}: it is still the same sibling", sibling_of(server), before)


def test_no_shared_memory(tap):
    if os.geteuid() != 0:  # a mount namespace needs a user namespace then, which many machines forbid
        inside = "unshare -rm"
    else:
        inside = "unshare -m"
    # The shell runs again inside the namespace, with a /dev/shm that has no room for one segment.
    again = f'[ -n "$KV_INSIDE" ] || KV_INSIDE=1 exec {inside} "$0" "$@"\n'
    for size in ("64k", "1m"):
        with Wrapped(again + f"mount -t tmpfs -o size={size} none /dev/shm", "--persist", "60") as server:
            large_values(tap, server, f"/dev/shm of {size}")
            tap.ok("no room for shared memory" in server.text(), f"/dev/shm of {size}: stderr says so", server.text()[-500:])
    with Wrapped("ulimit -f 100") as server:  # blocks of 512 or 1024 bytes: a segment is larger
        large_values(tap, server, "files of 100 KiB at most")


class FakeChild:
    """Announces itself on the sibling's pipe as a child does, with trusted connections: 1, 2, ..."""
    header = struct.Struct("<IIBBH")

    def __init__(self, server, pid, connections=1, after_another=False):
        sibling = sibling_of(server)
        links = [os.readlink(path) for path in glob.glob(f"/proc/{sibling}/fd/*") if os.path.islink(path)]
        folder = next(os.path.dirname(link) for link in links if link.endswith("/pipe_sibling"))
        self.pid, self.pipe = pid, f"{folder}/pipe_sibling"
        names = [f"{folder}/pipe_child_{pid}_{what}" for what in ("request", "reply")]
        for name in names:
            os.mkfifo(name, 0o600)
        self.replies = os.open(names[1], os.O_RDONLY | os.O_NONBLOCK)
        placeholder = os.open(names[0], os.O_RDONLY | os.O_NONBLOCK)
        self.requests = os.open(names[0], os.O_WRONLY | os.O_NONBLOCK)
        with open(f"{folder}/pipe_sibling", "wb", buffering=0) as announce:
            if after_another:
                announce.write(struct.pack("<Ii", 3, pid).ljust(128, b"\0"))
            for number in range(1, connections + 1):
                announce.write(struct.pack("<IiIBB", 2, pid, number, 1, 1).ljust(128, b"\0"))
            announce.write(struct.pack("<Ii", 1, pid).ljust(128, b"\0"))
        until(20, lambda: not os.path.exists(names[1]))
        os.close(placeholder)

    def announce(self, kind, number, pid=None):
        with open(self.pipe, "wb", buffering=0) as pipe:
            pipe.write(struct.pack("<IiIBB", kind, pid or self.pid, number, 1, 1).ljust(128, b"\0"))

    def send(self, *args, connection=1):
        payload = struct.pack("<I", len(args)) + b"".join(struct.pack("<IB", len(a), 0) + a for a in args)
        return os.write(self.requests, self.header.pack(len(payload), connection, 2, 0, 0) + payload)

    def reads(self, what):
        """Until these bytes have come."""
        got = b""

        def come():
            nonlocal got
            try:
                got += os.read(self.replies, 1 << 16)
            except BlockingIOError:
                pass
            return what in got
        return until(20, come)

    def close(self):
        os.close(self.requests)
        os.close(self.replies)


def cpu_seconds(pids_):
    total = 0
    for pid in pids_:
        with open(f"/proc/{pid}/stat") as f:
            total += sum(int(n) for n in f.read().rsplit(")", 1)[1].split()[11:13])
    return total / os.sysconf("SC_CLK_TCK")


def is_quiet(tap, name, pids_, seconds=1.0):
    """These processes use next to no processor for a while; one that spins uses all it gets."""
    before = cpu_seconds(pids_)
    time.sleep(seconds)
    used = cpu_seconds(pids_) - before
    tap.ok(used < 0.15 * seconds, name, f"{used:.2f} s of processor time in {seconds} s")


def test_waiting_is_free(tap):
    with Server("--children", "2") as server:
        raws = [Raw(server.port) for _ in range(6)]
        is_quiet(tap, "P12: idle processes cost no processor time", everybody(server))
        sleeper, flooder, gone = raws[:3]
        gone.send(request("PING"))
        gone.reply()
        sleeper.send(request("DEBUG", "SLEEP", "8"))
        time.sleep(0.2)  # no proof: only so that the sibling sleeps when the rest comes
        flooder.socket.setblocking(False)
        try:
            while True:
                flooder.socket.send(b"PING\r\n" * 10_000)
        except BlockingIOError:
            pass
        gone.send(request("PING"))
        gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()  # a reset
        time.sleep(0.5)
        is_quiet(tap, "nor do they while the sibling sleeps, a client floods and one has gone", everybody(server), 2.0)
        tap.equal("afterwards all is answered", sleeper.reply() + raws[4].call("PING"), b"+OK\r\n+PONG\r\n")
        flooder.socket.settimeout(20)
        tap.equal("the flood as well", flooder.reply(), b"+PONG\r\n")


def test_child_that_does_not_read(tap):
    with Server() as server:
        raw = Raw(server.port)
        raw.call("SET", "big", b"x" * (3 * MIB))
        fake = FakeChild(server, 900_000, connections=14)
        for number in range(1, 15):
            fake.send(b"GET", b"big", connection=number)

        def full():
            """The sibling has stopped reading: the pipe stays full."""
            try:
                fake.send(b"PING", b"p" * 1000, connection=5)
                return False
            except BlockingIOError:
                time.sleep(0.2)
                return not select.select([], [fake.requests], [], 0)[1]
        tap.ok(until(20, full), "a child that does not read its replies is not read from")
        is_quiet(tap, "P12: a child that sends and does not read does not keep the sibling busy", [sibling_of(server)])
        tap.equal("others are served meanwhile", raw.call("PING"), b"+PONG\r\n")
        fake.close()
        tap.ok(until(20, lambda: b"connected_clients:1\r\n" in raw.call("INFO", "clients")), "and it is dropped when it goes")


def test_pid_used_again(tap):
    with Server("--persist", "60") as server:
        raw = Raw(server.port)
        first = FakeChild(server, 900_001)
        first.send(b"SET", b"first", b"1")
        tap.ok(first.reads(b"+OK"), "a child's connection is served")
        second = FakeChild(server, 900_001, after_another=True)
        second.send(b"SET", b"second", b"2")
        tap.ok(second.reads(b"+OK"), "another child with the same pid is served")
        first.send(b"GET", b"second")
        tap.ok(first.reads(b"$1\r\n2\r\n"), "what the first one still sends is answered to the first one")
        tap.equal("all three are connected", raw.call("CLIENT", "LIST").count(b" addr="), 3)
        first.close()
        tap.ok(until(20, lambda: raw.call("CLIENT", "LIST").count(b" addr=") == 2), "its end is its own")
        second.send(b"GET", b"first")
        tap.ok(second.reads(b"$1\r\n1\r\n"), "the second one is served on")
        second.close()
        tap.ok(until(20, lambda: raw.call("CLIENT", "LIST").count(b" addr=") == 1), "until it ends")


def runs(pid):
    try:
        with open(f"/proc/{pid}/status") as status:
            return re.search(r"^State:\t(\S)", status.read(), re.M).group(1) not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_room_of_pipes(tap):
    """What a user may have in pipes is counted by their size, so only a few of them are large."""
    for options, want in ((), 256 * 1024), (("--children", "33"), 65536), (("--children", "0"), 65536):
        with Server(*options) as server:
            client = Raw(server.port)
            folder = f"/proc/{sibling_of(server)}/fd"
            pipes = [name for name in os.listdir(folder) if "/pipe_child_" in os.readlink(f"{folder}/{name}")]
            sizes = set()
            for name in pipes:
                end = os.open(f"{folder}/{name}", os.O_RDONLY | os.O_NONBLOCK)
                sizes.add(fcntl.fcntl(end, fcntl.F_GETPIPE_SZ))
                os.close(end)
            what = f"room of the pipes of {' '.join(options) or 'the default'}"
            tap.ok(len(pipes) >= 2 and sizes == {want}, what, f"{len(pipes)}: {sizes}")
            client.close()


def test_sleep_ends_with_the_parent(tap):
    for how, name in ((signal.SIGKILL, "is killed"), (signal.SIGTERM, "is told to end")):
        with Server("--persist", "60") as server:
            raw = Raw(server.port)
            raw.send(request("DEBUG", "SLEEP", "500"))
            time.sleep(0.2)
            sibling = sibling_of(server)
            server.process.send_signal(how)
            ended = until(20, lambda: not runs(sibling))
            tap.ok(ended, f"a sibling that sleeps ends when the parent {name}")
            if not ended:
                os.kill(sibling, signal.SIGKILL)


if __name__ == "__main__":
    main(test_no_shared_memory, test_waiting_is_free, test_child_that_does_not_read, test_pid_used_again,
         test_room_of_pipes, test_sleep_ends_with_the_parent)
