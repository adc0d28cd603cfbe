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


class SavedFolder:
    """A folder with count keys in a snapshot (save) or, otherwise, in the log alone, from which a
    server can be started again and again. Ends with the with statement."""

    def __init__(self, make, durability, extra, count, save):
        self.name, self.make, self.options, self.count = make.name, make, (durability, extra), count
        self.folder = tempfile.mkdtemp(prefix='kv-bench.')
        with make(*self.options, folder=self.folder) as server:
            load.fill(server, 'strings', count)
            if save:
                with server.talk() as talk:
                    talk('SAVE')
            else:
                time.sleep(1.2)  # the log's last second reaches the disk
            server.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def start_again(self):
        """Seconds from the start of the process to its first answer with all data there."""
        with tempfile.TemporaryDirectory(prefix='kv-bench.') as copy:
            shutil.copytree(self.folder, copy, dirs_exist_ok=True)
            with self.make(*self.options, folder=copy) as server:
                keys = first_answer(server)
                seconds = time.monotonic() - server.started_at
        if keys != self.count:
            raise RuntimeError(f'{self.name} came back with {keys} keys, not {self.count}')
        return seconds


def first_answer(server):
    with server.talk() as talk:
        while True:
            try:
                return talk('DBSIZE')
            except RuntimeError:  # LOADING
                time.sleep(0.002)


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
        with SavedFolder(Kv, kv_mode, kv_extra, plan.keys, save) as ours, \
             SavedFolder(Redis, redis_mode, redis_extra, plan.keys, save) as theirs:
            got = alternate((ours, theirs), rounds, SavedFolder.start_again)
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
    results.add(section, 'copied memory', 'MiB', column(got, 'cow', 1 / (1 << 20)), ('<=', 1.0))
    results.add(section, 'p99 latency of writes', 'us', column(got, 'p99_us'), ('<=', 1.0))


def grow(make, top):
    """A reader beside a loader that takes the keyspace from nothing to all its keys, and a program
    that only sleeps beside both: what it is kept waiting is the machine's, not the server's."""
    with make(VOLATILE) as server:
        load.fill(server, 'strings', 1)
        reader = load.Background('reader', server, 600)
        sleeper = load.Background('sleeper', None, 600)
        rate = load.fill(server, 'strings', top)['rps']
        say(f'{server.name}: {rate:.0f} writes/s while growing')
        return {'reader': reader.finish()['max_us'] / 1000,
                'sleeper': sleeper.finish()['max_us'] / 1000}


def growth(plan, results):
    top = plan.growth_keys
    got = alternate((Kv, Redis), min(3, plan.rounds), lambda make: grow(make, top))
    results.add('growth', f'longest wait of a reader while 1 key becomes {top:,}', 'ms',
                column(got, 'reader'), ('<=', 5), absolute=True)
    results.add('growth', 'meanwhile, longest delay of a program that only sleeps', 'ms',
                column(got, 'sleeper'))


PARTS = (memory, saves, loads, saving_under_load, growth)
