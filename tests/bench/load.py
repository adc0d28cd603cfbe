"""Runs the load generators (load.cpp, and redis-benchmark as a check) and reads what they say."""
import contextlib
import csv
import os
import subprocess

BENCH = os.environ.get('KV_BENCH_BUILD', '.build/release/bench')
LOAD = os.path.join(BENCH, 'load')
SECONDS_MAX = 900


def _run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
                          **options)
    if done.returncode != 0:
        raise RuntimeError(f'{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}')
    return done.stdout


def words(line):
    return {name: float(value) for name, value in (word.split('=') for word in line.split())}


def redis_benchmark(server, test, clients, depth, requests, value_bytes=32, keys=100_000):
    """One test by Redis's own tool: requests a second and latencies in microseconds."""
    out = _run(['redis-benchmark', '-h', '127.0.0.1', '-p', str(server.port), '-a', server.password,
                '-t', test, '-c', str(clients), '-P', str(depth), '-n', str(requests),
                '-d', str(value_bytes), '-r', str(keys), '--csv'])
    rows = [row for row in csv.DictReader(out[out.index('"test"'):].splitlines())]
    row = rows[-1]
    return {'rps': float(row['rps']), 'p50_us': 1000 * float(row['p50_latency_ms']),
            'p99_us': 1000 * float(row['p99_latency_ms'])}


def protocol(server):
    return 'memcached' if server.name == 'memcached' else 'resp'


def values(server, keys, value_bytes=32):
    """Gives every key a value, so that closed() finds all of them."""
    _run([LOAD, 'values', protocol(server), str(server.port), server.password, str(keys),
          str(value_bytes)])


def closed(server, verb, clients, depth, requests, value_bytes=32, keys=100_000):
    """One test by our own generator, which also speaks memcached's protocol."""
    return words(_run([LOAD, 'closed', protocol(server), str(server.port), server.password, verb,
                       str(clients), str(depth), str(requests), str(keys), str(value_bytes)]))


def paced(server, rate, seconds, keys, value_bytes=32):
    return words(_run([LOAD, 'paced', str(server.port), server.password, str(rate), str(seconds),
                       str(keys), str(value_bytes)]))


def fill(server, kind, count, first=0):
    return words(_run([LOAD, 'fill', str(server.port), server.password, kind, str(count),
                       str(first)]))


def connects(server, count):
    return words(_run([LOAD, 'connects', str(server.port), server.password, str(count)]))


def spawn(count, command, env=None):
    return words(_run([LOAD, 'spawn', str(count), *command], env=env))


class Background:
    """A generator that runs beside a measurement until it is told to end."""

    def __init__(self, mode, server, *args):
        target = [] if server is None else [str(server.port), server.password]
        self.process = subprocess.Popen(
            [LOAD, mode, *target, *map(str, args)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def first_line(self):
        return self.process.stdout.readline()

    def finish(self):
        """Ends it by the end of its stdin; returns what it printed."""
        out, _ = self.process.communicate(timeout=SECONDS_MAX)
        if self.process.returncode != 0:
            raise RuntimeError('a load generator failed in the background')
        return words(out) if out.strip() else {}


@contextlib.contextmanager
def idle_connections(server, count):
    """So many connections that say nothing, while the body runs."""
    holder = Background('idle', server, count)
    if not holder.first_line().startswith('open='):
        raise RuntimeError('the idle connections could not be opened')
    try:
        yield
    finally:
        holder.finish()
