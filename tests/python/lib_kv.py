"""What the Python suites share: TAP, a server that ends with the test, raw connections.

Must never leave a process behind: use `with Server() as s`.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.environ.get("KV_TOP") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVER = os.environ.get("KV_SERVER", os.path.join(TOP, "server"))
PASSWORD = "secret"


def until(seconds, condition):
    """What the condition says as soon as it says something, or False."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if got := condition():
            return got
        time.sleep(0.02)
    return False


def together(count, work):
    """Runs work(number, problems) in so many threads at a time; returns the problems they told."""
    problems = []
    threads = [threading.Thread(target=work, args=(n, problems), daemon=True) for n in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(240)
    return problems + [f"{t.name} does not end" for t in threads if t.is_alive()]


def pids(server, name):
    """The processes of a server by what they are called: "kv sibling", "kv child"."""
    found = subprocess.run(["pgrep", "-P", str(server.process.pid), "-f", f"^{name}"], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def sibling_of(server):
    return pids(server, "kv sibling")[0]


class Tap:
    """Counts and prints results; done() gives the exit status."""

    def __init__(self):
        self.count = self.failures = 0

    def ok(self, good, name, *details):
        self.count += 1
        if good:
            print(f"ok {self.count} - {name}", flush=True)
        else:
            self.failures += 1
            print(f"not ok {self.count} - {name}", flush=True)
            for detail in details:
                print(f"#   {detail}", flush=True)
        return good

    def equal(self, name, got, want):
        return self.ok(got == want, name, f"got:      {got!r:.500}", f"expected: {want!r:.500}")

    def done(self):
        print(f"1..{self.count}")
        return 1 if self.failures else 0


class Server:
    """A kv server on a free port in a scratch folder."""

    program = SERVER

    def __init__(self, *options, env=None):
        self.options, self.env = options, env

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="kv-test.")
        self.start()
        return self

    def start(self):
        self.log = open(os.path.join(self.folder, "server.log"), "w+")
        self.process = subprocess.Popen(
            [self.program, "--pass", PASSWORD, "--port", "0", "--dir", self.folder, *self.options],
            stdout=self.log, stderr=self.log, env=self.env)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = re.search(r"^ready.*port (\d+)", self.text(), re.M)
            if found:
                self.port = int(found.group(1))
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError("the server did not start: " + self.text())

    def text(self):
        with open(os.path.join(self.folder, "server.log")) as f:
            return f.read()

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __exit__(self, *_):
        self.stop()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


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
        self.program = program
        super().start()


def everybody(server):
    return [server.process.pid] + pids(server, "kv ")


class Raw:
    """A connection that sends and receives bytes, with a limit on waiting."""

    def __init__(self, port, password=PASSWORD, timeout=20):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        if password is not None:
            got = self.call("AUTH", password)
            if got != b"+OK\r\n":
                raise RuntimeError(f"AUTH answered {got!r}")

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError("closed")
        self.buffer += data

    def line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line + b"\r\n"

    def exactly(self, n):
        parts, have = [self.buffer], len(self.buffer)  # joined once: linear in n
        self.buffer = b""
        while have < n:
            self.more()
            parts.append(self.buffer)
            have += len(self.buffer)
            self.buffer = b""
        data = b"".join(parts)
        data, self.buffer = data[:n], data[n:]
        return data

    def reply(self):
        """The bytes of one whole reply."""
        head = self.line()
        kind, n = head[:1], head[1:-2]
        if kind in b"$=!" and n != b"-1":
            return head + self.exactly(int(n) + 2)
        if kind in b"*~>%" and n != b"-1":
            items = int(n) * (2 if kind == b"%" else 1)
            return head + b"".join(self.reply() for _ in range(items))
        return head

    def call(self, *args):
        self.send(request(*args))
        return self.reply()

    def closed(self):
        """True once the server has hung up (reads what it still says)."""
        try:
            while True:
                self.more()
        except (EOFError, ConnectionResetError):
            return True
        except socket.timeout:
            return False

    def close(self):
        self.socket.close()


class Redis:
    """A real redis-server with the same password, on a free port."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="kv-redis.")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--requirepass", PASSWORD, "--save", "",
             "--enable-debug-command", "yes", "--dir", self.folder], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                Raw(self.port).close()
                return self
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("redis-server did not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


def encoded(arg):
    return arg if isinstance(arg, bytes) else str(arg).encode()


def request(*args):
    parts = [encoded(a) for a in args]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def answers(server, *requests):
    """What a server that may only just be coming back answers to each, once it does."""
    def ask():
        try:
            raw = Raw(server.port)
            got = [raw.call(*words) for words in requests]
            return None if any(one.startswith(b"-LOADING") for one in got) else got
        except (OSError, RuntimeError, EOFError):
            return None  # not there yet, or a child from before was still

    return until(20, ask)


def main(*tests):
    """Runs the tests, each with a fresh Tap's counter going on; exits with the status."""
    tap = Tap()
    for test in tests:
        try:
            test(tap)
        except Exception as error:  # a test that dies has failed, and the next one still runs
            import traceback
            tap.ok(False, f"{test.__name__} runs to its end", repr(error), *traceback.format_exc().splitlines()[-6:])
    sys.exit(tap.done())
