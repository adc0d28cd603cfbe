"""Throughput, latency and processor time a request, over commands, depths, options and sizes."""
import contextlib
import os

import load
import machine
from results import alternate, column
from servers import DURABLE, SYNCED, VOLATILE, Kv, Memcached, Redis

COMMANDS = ('get', 'set', 'incr', 'lpush', 'rpop', 'hset')
CLIENTS = 50
DEPTHS = {1: 1.0, 16: 1.5, 100: 2.0}           # goal of kv / redis
RATE_GUESS = {1: 120_000, 16: 1_000_000, 100: 2_000_000}  # only to choose how many requests to send
KEYS = 100_000


@contextlib.contextmanager
def started(*servers):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(server) for server in servers]


def requests_for(plan, depth, scale=1.0):
    nearest = min(RATE_GUESS, key=lambda known: abs(known - depth))
    return max(2000, int(RATE_GUESS[nearest] * plan.seconds * scale))


def measured(server, run):
    """What run() says, and processor time of all the server's processes a request."""
    before = server.cpu_seconds()
    got = run()
    got['cpu'] = server.cpu_seconds() - before
    return got


def one_test(server, test, clients, depth, requests, value_bytes=32):
    got = measured(server, lambda: load.closed(server, test, clients, depth, requests, value_bytes,
                                               KEYS))
    got['cpu_us'] = got['cpu'] / requests * 1e6
    return got


def prepare(servers):
    for server in servers:
        load.values(server, KEYS)


def grid(plan, results, durability, depths):
    """Every command at every depth: throughput, and processor time a request over all commands."""
    title = f'{CLIENTS} clients, ' + ('log and fsync every second' if durability == DURABLE else 'no log')
    with started(Kv(durability), Redis(durability), Memcached()) as servers:
        prepare(servers)
        for depth in depths:
            cpu, setup = {'kv': [], 'redis': []}, {}
            for server in servers[:2]:  # what 50 connections cost is measured elsewhere
                setup[server.name] = one_test(server, 'get', CLIENTS, 1, CLIENTS)['cpu']
            for test in COMMANDS:
                among = servers if test in ('get', 'set') else servers[:2]
                requests = requests_for(plan, depth)
                got = alternate(among, plan.rounds,
                                lambda s: one_test(s, test, CLIENTS, depth, requests))
                results.add(title, f'{test.upper()}, depth {depth}', 'requests/s',
                            column(got, 'rps'), ('>=', DEPTHS[depth]))
                for name in cpu:
                    cpu[name].append([max(0, one['cpu'] - setup[name]) / requests * 1e6
                                      for one in got[name]])
            rounds = {name: [sum(x) / len(x) for x in zip(*many)] for name, many in cpu.items()}
            goal = {1: ('<=', 1.2), 16: ('<=', 0.6)}.get(depth, ())
            results.add(title, f'processor time a request, depth {depth}, mean of the six', 'us',
                        rounds, goal)


def one_client(plan, results):
    """Alone, and while other connections of its pool are open and say nothing."""
    with started(Kv(DURABLE), Redis(DURABLE)) as servers:
        prepare(servers)
        requests = requests_for(plan, 1, 0.25)
        for test in ('get', 'set'):
            got = alternate(servers, plan.rounds, lambda s: one_test(s, test, 1, 1, requests))
            for share in ('p50', 'p99'):
                results.add('one client, depth 1', f'{test.upper()}, {share} latency', 'us',
                            column(got, f'{share}_us'), ('<=', 1.1))
        with contextlib.ExitStack() as stack:
            for server in servers:
                stack.enter_context(load.idle_connections(server, 10))
            got = alternate(servers, plan.rounds, lambda s: one_test(s, 'get', 1, 1, requests))
        results.add('one client, depth 1', 'GET, p50 latency, ten idle connections beside it', 'us',
                    column(got, 'p50_us'))


def busy_machine(plan, results):
    """While as many programs compute as there are cores."""
    if plan.quick:
        return
    with started(Kv(DURABLE), Redis(DURABLE)) as servers:
        prepare(servers)
        with machine.programs_that_compute(os.cpu_count()):
            for clients, what in ((CLIENTS, f'GET, {CLIENTS} clients'), (1, 'GET, one client')):
                requests = requests_for(plan, 1, 0.3 if clients > 1 else 0.1)
                got = alternate(servers, plan.rounds,
                                lambda s: one_test(s, 'get', clients, 1, requests))
                results.add('beside a program that computes on each core', f'{what}, depth 1',
                            'requests/s', column(got, 'rps'))


def other_children(plan, results):
    """The two ends of --children: a process for each connection, and one for all."""
    with started(Kv(DURABLE, ['--children', '1000']), Redis(DURABLE)) as servers:
        prepare(servers)
        requests = requests_for(plan, 1)
        for test in ('get', 'set'):
            got = alternate(servers, plan.rounds,
                            lambda s: one_test(s, test, CLIENTS, 1, requests))
            results.add('a process for each of 50 clients', f'{test.upper()}, depth 1', 'requests/s',
                        column(got, 'rps'), ('>=', 0.55))
    with started(Kv(DURABLE, ['--children', '1']), Redis(DURABLE)) as servers:
        prepare(servers)
        for test in ('get', 'set'):
            got = alternate(servers, plan.rounds,
                            lambda s: one_test(s, test, CLIENTS, 1, requests))
            results.add('one child for 50 clients', f'{test.upper()}, depth 1', 'requests/s',
                        column(got, 'rps'))
            results.add('one child for 50 clients', f'{test.upper()}, processor time a request', 'us',
                        column(got, 'cpu_us'), ('<=', 1.0))


def other_generator(plan, results):
    """By Redis's own tool, which needs more processor time a request than our generator."""
    with started(Kv(DURABLE), Redis(DURABLE)) as servers:
        prepare(servers)
        for depth in (1, 16):
            requests = requests_for(plan, depth)
            for test in ('get', 'set'):
                got = alternate(servers, plan.rounds, lambda s: load.redis_benchmark(
                    s, test, CLIENTS, depth, requests, keys=KEYS))
                results.add('50 clients, log, asked by redis-benchmark',
                            f'{test.upper()}, depth {depth}', 'requests/s', column(got, 'rps'))


def synced(plan, results):
    with started(Kv(SYNCED), Redis(SYNCED)) as servers:
        requests = requests_for(plan, 1, 0.5)
        got = alternate(servers, plan.rounds, lambda s: one_test(s, 'set', CLIENTS, 1, requests))
        results.add('fsync before every reply', 'SET, 50 clients, depth 1', 'requests/s',
                    column(got, 'rps'), ('>=', 1.2))


def large_values(plan, results):
    """With the log the disk decides, and Redis answers before it has written while a sync goes on:
    so there is no goal for that."""
    size = 1 << 20
    for durability, section, tests, goal in (
            (VOLATILE, '1 MiB values, 10 clients, no log', ('set', 'get'), ('>=', 1.0)),
            (DURABLE, '1 MiB values, 10 clients, log', ('set',), None)):
        if plan.quick and durability == DURABLE:
            continue
        peers = [Memcached()] if durability == VOLATILE else []
        with started(Kv(durability), Redis(durability), *peers) as servers:
            requests = max(100, int((1500 if durability == VOLATILE else 400) * plan.seconds))
            for server in servers:
                load.values(server, 16, size)
            for test in tests:
                got = alternate(servers, plan.rounds,
                                lambda s: load.closed(s, test, 10, 1, requests, size, 16))
                results.add(section, test.upper(), 'MB/s', column(got, 'rps', size / 1e6), goal)


def grids(plan, results):
    grid(plan, results, DURABLE, DEPTHS)
    grid(plan, results, VOLATILE, (1, 16) if plan.quick else DEPTHS)


PARTS = (grids, one_client, busy_machine, other_children, other_generator, synced, large_values)
