"""The servers measured: each started in a folder of its own on a free loopback port, ended by pid.

A server is a context manager. Nothing here touches a process it did not start.
"""
import os
import shutil
import socket
import subprocess
import tempfile
import time

import machine

PASSWORD = 'benchmark'
DURABLE, VOLATILE, SYNCED = 'durable', 'volatile', 'synced'
START_SECONDS = 120


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Talk:
    """A plain RESP connection for the questions around a measurement; never for a measurement."""

    def __init__(self, port, password):
        self.socket = socket.create_connection(('127.0.0.1', port), timeout=300)
        self.file = self.socket.makefile('rb')
        if self('AUTH', password) != 'OK':
            raise RuntimeError('the server does not take the password')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def __call__(self, *words):
        out = [b'*%d\r\n' % len(words)]
        for word in words:
            data = str(word).encode()
            out.append(b'$%d\r\n%s\r\n' % (len(data), data))
        self.socket.sendall(b''.join(out))
        return self._reply()

    def _reply(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError('the server hung up')
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b'$':
            return None if rest == '-1' else self.file.read(int(rest) + 2)[:-2].decode()
        if kind == b'*':
            return [self._reply() for _ in range(int(rest))]
        if kind == b'-':
            raise RuntimeError(rest)
        return int(rest) if kind == b':' else rest

    def info(self):
        lines = (line.partition(':') for line in self('INFO').splitlines())
        return {name: value.strip() for name, _, value in lines}


class Server:
    """One server process (and its descendants) with a data folder."""
    name = '?'
    password = PASSWORD

    def __init__(self, durability=VOLATILE, extra=(), folder=None):
        self.durability, self.extra = durability, list(extra)
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix='kv-bench.')
        self.process, self.port, self.started_at = None, 0, 0.0

    def command(self):
        raise NotImplementedError

    def ready(self):
        """True once it answers requests; sets port if it chose it."""
        try:
            with Talk(self.port, PASSWORD) as talk:
                return talk('PING') == 'PONG'
        except (OSError, RuntimeError):
            return False

    def __enter__(self):
        self.port = free_port()
        self.log = open(os.path.join(self.folder, 'output'), 'wb')
        start = self.started_at = time.monotonic()
        self.process = subprocess.Popen(self.command(), cwd=self.folder, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=subprocess.STDOUT)
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > start + START_SECONDS:
                said = self.output()
                self.__exit__()
                raise RuntimeError(f'{self.name} does not start: {said}')
            time.sleep(0.002)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self):
        """Ends at once, saving nothing."""
        self.process.kill()
        self.process.wait()
        time.sleep(0.3)  # kv's other processes notice

    def output(self):
        with open(os.path.join(self.folder, 'output'), encoding='utf-8', errors='replace') as file:
            return file.read()[-500:]

    def cpu_seconds(self):
        return machine.cpu_seconds(self.process.pid)

    def memory(self):
        return machine.proportional_bytes(self.process.pid)

    def talk(self):
        return Talk(self.port, PASSWORD)


class Kv(Server):
    name = 'kv'
    program = os.environ.get('KV_SERVER', './server')

    def command(self):
        persist = {VOLATILE: [], DURABLE: ['--persist', '60', '--fsync', 'everysec'],
                   SYNCED: ['--persist', '60', '--fsync', 'always']}[self.durability]
        return [self.program, '--pass', PASSWORD, '--port', str(self.port), '--dir', self.folder,
                *persist, *self.extra]


class Redis(Server):
    name = 'redis'

    def command(self):
        # Redis's own default of saving every minute stays on where the log is on, as kv's is.
        keep = {VOLATILE: ['--save', '', '--appendonly', 'no'],
                DURABLE: ['--appendonly', 'yes', '--appendfsync', 'everysec'],
                SYNCED: ['--appendonly', 'yes', '--appendfsync', 'always']}[self.durability]
        return ['redis-server', '--bind', '127.0.0.1', '--port', str(self.port), '--dir', self.folder,
                '--requirepass', PASSWORD, '--enable-debug-command', 'local', *keep, *self.extra]


class Memcached(Server):
    name = 'memcached'
    password = '-'

    def command(self):
        user = ['-u', 'nobody'] if os.geteuid() == 0 else []
        return ['memcached', '-l', '127.0.0.1', '-p', str(self.port), '-U', '0', '-m', '1024',
                '-I', '2m', '-c', '2048', *user, *self.extra]

    def ready(self):
        try:
            with socket.create_connection(('127.0.0.1', self.port), timeout=5) as s:
                s.sendall(b'version\r\n')
                return s.recv(100).startswith(b'VERSION')
        except OSError:
            return False
