"""A machine that is short of something: shared memory, memory, a reader. One client may be told so; the rest is served."""
import os
import resource
import signal
import subprocess
import sys
import time

from lib_kv import Raw, SERVER, Server, main, request

MIB = 1 << 20


def until(seconds, condition):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def pids(server, name):
    """The processes of a server by what they are called: "kv sibling", "kv child"."""
    found = subprocess.run(["pgrep", "-P", str(server.process.pid), "-f", f"^{name}"], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def sibling_of(server):
    return pids(server, "kv sibling")[0]


class Wrapped(Server):
    """A server started by a shell line that ends in: exec "$@"."""

    def __init__(self, shell, *options):
        super().__init__(*options)
        self.shell = shell

    def start(self):
        program = os.path.join(self.folder, "start")
        with open(program, "w") as f:
            f.write(f'#!/bin/sh\n{self.shell}\nexec "{SERVER}" "$@"\n')
        os.chmod(program, 0o700)
        import lib_kv
        lib_kv.SERVER = program
        try:
            super().start()
        finally:
            lib_kv.SERVER = SERVER


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


if __name__ == "__main__":
    main(test_no_shared_memory)
