"""What cannot be waited for: steps of the wall clock, deaths in one instant. meddle.c, preloaded into the server, makes them."""
import mmap
import os
import signal
import socket
import struct
import subprocess
import tempfile
import time

from lib_kv import PASSWORD, SERVER, TOP, Raw, Server, main, pids, request, sibling_of, until

SOURCE = os.path.join(TOP, "tests/python/meddle.c")
HOUR, DAY = 3600, 86400


def sanitizer():
    """AddressSanitizer wants to be the first library of a program that is built with it."""
    if "address" not in os.environ.get("SAN", ""):
        return ""
    return subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip()


class Meddled(Server):
    """A server whose clock steps when told to, and whose writers begin late."""

    def __enter__(self):
        self.tools = tempfile.TemporaryDirectory(prefix="kv-test.")
        library, shared = (os.path.join(self.tools.name, name) for name in ("meddle.so", "meddle"))
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
        with open(shared, "wb+") as file:
            file.write(bytes(16))
            file.flush()
            self.memory = mmap.mmap(file.fileno(), 16)
        self.env = dict(os.environ, LD_PRELOAD=f"{sanitizer()} {library}", KV_MEDDLE=shared)
        return super().__enter__()

    def __exit__(self, *what):
        super().__exit__(*what)
        self.tools.cleanup()

    def step_clock(self, seconds):
        self.memory[0:8] = struct.pack("=q", seconds)

    def delay_writers(self, ms):
        self.memory[8:16] = struct.pack("=q", ms)

    def snapshot(self):
        """Which file the snapshot is."""
        return os.stat(os.path.join(self.folder, "kv.db")).st_ino


def ended(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"  # nobody may have asked for its status
    except OSError:
        return True


def test_snapshots_after_a_step_back(tap):
    with Meddled("--persist", "1") as server:
        raw = Raw(server.port)
        server.step_clock(-HOUR)
        before = server.snapshot()
        raw.call("SET", "k", "v")
        tap.ok(until(10, lambda: server.snapshot() != before), "a snapshot is written in time, though the clock was set back")
        tap.ok(until(10, lambda: abs(int(raw.call("LASTSAVE")[1:]) - time.time() + HOUR) < 60), "LASTSAVE is by that clock")


def gone_in_time(raw, key):
    raw.call("SET", key, "v", "PX", "500")
    return until(5, lambda: raw.call("EXISTS", key) == b":0\r\n")


def test_expiry_after_a_step_back(tap):
    with Meddled("--persist", "3600") as server:
        raw = Raw(server.port)
        raw.call("SET", "k", "v")
        server.step_clock(-HOUR)
        tap.ok(gone_in_time(raw, "t1"), "a key expires in time after the clock was set back")
        server.step_clock(DAY)
        raw.call("SET", "ahead", "v")
        server.step_clock(0)
        before = sibling_of(server)
        os.kill(before, signal.SIGKILL)
        until(10, lambda: [p for p in pids(server, "kv sibling") if p != before])
        tap.equal("a log with lines of another day is read", until(20, lambda: served(server)), b"$1\r\nv\r\n")
        tap.ok(gone_in_time(Raw(server.port), "t2"), "and keys expire in time after it")
        server.stop()
        checked = subprocess.run([SERVER, "--check", "--dir", server.folder], capture_output=True, text=True)
        tap.equal("the log is in order", checked.returncode, 0)


def test_guests_at_a_step(tap):
    with Meddled("--login-grace", "4") as server:
        guest = Raw(server.port, password=None, timeout=15)
        guest.call("PING")
        server.step_clock(HOUR)
        time.sleep(1.5)  # the sibling looks for guests each second
        tap.ok(guest.call("PING").startswith(b"-NOAUTH"), "a guest who has just come stays when the clock is set ahead")
        server.step_clock(-HOUR)
        tap.ok(guest.closed(), "and has to go in time when it is set back")


def test_killed_before_its_child(tap):
    """The sibling hears of a connection before the child that has it has said its name."""
    with Meddled("--children", "0") as server:
        raw = Raw(server.port)
        server.delay_writers(1000)  # children as well
        victim = socket.create_connection(("127.0.0.1", server.port), 10)
        victim.sendall(request("AUTH", PASSWORD))
        tap.ok(until(5, lambda: raw.call("CLIENT", "LIST").count(b" addr=") == 2), "a connection is known before its child")
        server.delay_writers(0)
        tap.equal("it is killed", raw.call("CLIENT", "KILL", "TYPE", "normal"), b":1\r\n")
        tap.equal("and hung up on as soon as its child is there", said_at_last(victim), b"")


def said_at_last(client):
    try:
        return client.recv(100)
    except OSError as error:
        return b"" if isinstance(error, ConnectionResetError) else repr(error)


def test_writer_whose_sibling_is_gone(tap):
    """The next sibling may be writing kv.db.tmp too: whoever is late must not give it its name."""
    with Meddled("--persist", "3600") as server:
        raw = Raw(server.port)
        raw.call("SET", "k", "v")
        before, sibling = server.snapshot(), sibling_of(server)
        server.delay_writers(1000)
        raw.call("BGSAVE")
        writers = until(5, lambda: subprocess.run(["pgrep", "-P", str(sibling)], capture_output=True, text=True).stdout.split())
        server.delay_writers(0)
        tap.ok(len(writers or []) == 1, "a writer has begun", repr(writers))
        server.process.send_signal(signal.SIGSTOP)  # the parent: no new sibling yet, which would save
        os.kill(sibling, signal.SIGKILL)
        tap.ok(until(10, lambda: ended(int(writers[0]))), "a writer that missed its sibling's death ends")
        tap.equal("and has replaced no snapshot", server.snapshot(), before)
        server.process.send_signal(signal.SIGCONT)
        tap.ok(until(20, lambda: [p for p in pids(server, "kv sibling") if p != sibling]), "there is a new sibling")
        tap.equal("which has everything", until(20, lambda: served(server)), b"$1\r\nv\r\n")


def served(server):
    try:
        return Raw(server.port).call("GET", "k")
    except (EOFError, OSError, RuntimeError):
        return None


if __name__ == "__main__":
    main(test_writer_whose_sibling_is_gone, test_snapshots_after_a_step_back,
         test_expiry_after_a_step_back, test_guests_at_a_step,
         test_killed_before_its_child)
