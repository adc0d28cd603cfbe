"""Memory and disk: resident bytes, saving, loading, BGSAVE under load, growth."""
import os
import shutil
import tempfile
import threading
import time

import load
from results import alternate, column, say
from servers import DURABLE, VOLATILE, Kv, Redis
from throughput import started

SAVE_RATE = 50_000  # writes a second during BGSAVE


def memory(plan, results):
    cases = (('strings', plan.keys, 'keys of 16 bytes, values of 32', 0.50),
             ('hashes', plan.keys, 'hashes of 5 small fields', 0.7),
             ('list', plan.keys, 'elements of one list', 0.7),
             ('hash', plan.keys, 'fields of one hash', 0.7))
    for kind, count, what, goal in cases:
        got = {}
        for make in (Kv, Redis):
            with make(VOLATILE) as server:
                before = server.memory()
                load.fill(server, kind, count)
                time.sleep(0.5)  # a growing table is moved piece by piece
                got[server.name] = [(server.memory() - before) / count]
        results.add('memory', f'{count:,} {what}', 'bytes each', got, ('<=', goal))


def timed(action):
    start = time.monotonic()
    action()
    return time.monotonic() - start


def save_seconds(server):
    with server.talk() as talk:
        return timed(lambda: talk('SAVE'))


def start_again(make, folder, durability, extra=()):
    """Seconds from the start of the process to its first answer with all data there."""
    with make(durability, extra, folder=folder) as server:
        with server.talk() as talk:
            while True:
                try:
                    keys = talk('DBSIZE')
                    break
                except RuntimeError:  # LOADING
                    time.sleep(0.002)
        return time.monotonic() - server.started_at, keys


def saved_folder(make, durability, extra, count, save):
    """A folder with count keys in a snapshot (save) or, otherwise, in the log alone."""
    folder = tempfile.mkdtemp(prefix='kv-bench.')
    with make(durability, extra, folder=folder) as server:
        load.fill(server, 'strings', count)
        if save:
            with server.talk() as talk:
                talk('SAVE')
        else:
            time.sleep(1.2)  # the log's last second reaches the disk
        server.kill()
    return folder


def saves(plan, results):
    rounds = min(3, plan.rounds)
    for form, extra, goal in (('binary', ['--binary'], 0.5), ('text', [], 0.8)):
        with started(Kv(DURABLE, extra), Redis(DURABLE)) as servers:
            for server in servers:
                load.fill(server, 'strings', plan.keys)
            got = alternate(servers, rounds, save_seconds)
            results.add('save', f'{plan.keys:,} keys, {form} (Redis: RDB)', 's', got, ('<=', goal))


def loads(plan, results):
    """Start to first answer. The log row compares kv.aof with Redis's own AOF of commands."""
    rounds = min(3, plan.rounds)
    plain = ['--aof-use-rdb-preamble', 'no', '--auto-aof-rewrite-percentage', '0', '--save', '']
    cases = (('binary (Redis: RDB)', True, DURABLE, ['--binary'], VOLATILE, [], 0.5),
             ('text (Redis: RDB)', True, DURABLE, [], VOLATILE, [], 1.0),
             ('log replay (Redis: AOF)', False, DURABLE, [], DURABLE, plain, 0.5))
    for what, save, kv_mode, kv_extra, redis_mode, redis_extra, goal in cases:
        sides = ((Kv, kv_mode, kv_extra), (Redis, redis_mode, redis_extra))
        got = {}
        for make, mode, extra in sides:
            folder = saved_folder(make, mode, extra, plan.keys, save)
            seconds = []
            for _ in range(rounds):
                copy = tempfile.mkdtemp(prefix='kv-bench.')
                shutil.copytree(folder, copy, dirs_exist_ok=True)
                taken, keys = start_again(make, copy, mode, extra)
                if keys != plan.keys:
                    raise RuntimeError(f'{make.name} came back with {keys} keys, not {plan.keys}')
                seconds.append(taken)
                shutil.rmtree(copy)
            got[make.name] = seconds
            shutil.rmtree(folder)
        results.add('load', f'{plan.keys:,} keys, {what}', 's', got, ('<=', goal))


def save_under_load(server, plan):
    """BGSAVE a second into a steady load of writes, again and again until it ends."""
    seconds = 1.5 if plan.quick else 6
    outcome = {}
    loader = threading.Thread(target=lambda: outcome.update(
        load.paced(server, SAVE_RATE, seconds, plan.keys)))
    loader.start()
    time.sleep(0.4)
    with server.talk() as talk:
        talk('BGSAVE')
        while talk.info().get('rdb_bgsave_in_progress') == '1' and loader.is_alive():
            time.sleep(0.02)
        outcome['cow'] = int(talk.info().get('rdb_last_cow_size', 0))
    loader.join()
    return outcome


def saving_under_load(plan, results):
    with started(Kv(DURABLE), Redis(DURABLE)) as servers:
        for server in servers:
            load.fill(server, 'strings', plan.keys)
        got = alternate(servers, min(3, plan.rounds), lambda s: save_under_load(s, plan))
    section = f'BGSAVE of {plan.keys:,} keys under {SAVE_RATE:,} writes/s'
    results.add(section, 'copied memory', 'MiB',
                {name: [one / (1 << 20) for one in many] for name, many in column(got, 'cow').items()},
                ('<=', 1.0))
    results.add(section, 'p99 latency of writes', 'us', column(got, 'p99_us'), ('<=', 1.0))


def growth(plan, results):
    """A reader beside a loader that takes the keyspace from nothing to all its keys, and a program
    that only sleeps beside both: what it is kept waiting is the machine's, not the server's."""
    got, machine, top = {}, {}, plan.growth_keys
    for make in (Kv, Redis):
        with make(VOLATILE) as server:
            load.fill(server, 'strings', 1)
            reader = load.Background('reader', server, 600)
            sleeper = load.Background('sleeper', None, 600)
            rate = load.fill(server, 'strings', top)['rps']
            got[server.name] = [reader.finish()['max_us'] / 1000]
            machine[server.name] = [sleeper.finish()['max_us'] / 1000]
            say(f'{server.name}: {rate:.0f} writes/s while growing')
    results.add('growth', f'longest wait of a reader while 1 key becomes {top:,}', 'ms', got,
                ('<=', 5), absolute=True)
    results.add('growth', 'meanwhile, longest delay of a program that only sleeps', 'ms', machine)


PARTS = (memory, saves, loads, saving_under_load, growth)
