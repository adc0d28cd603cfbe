"""Connections and whole client processes."""
import os

import load
from results import alternate, column
from servers import DURABLE, PASSWORD, VOLATILE, Kv, Redis
from throughput import started


def client_process(plan, results):
    """./client GET k beside redis-cli GET k, from fork to end."""
    client = os.environ.get('KV_CLIENT', './client')
    with started(Kv(VOLATILE), Redis(VOLATILE)) as servers:
        for server in servers:
            load.fill(server, 'strings', 1)
        key = 'key:000000000000'
        commands = {'kv': lambda port: [client, '--pass', PASSWORD, '--port', str(port), 'GET', key],
                    'redis': lambda port: ['redis-cli', '-a', PASSWORD, '--no-auth-warning',
                                           '-p', str(port), 'GET', key]}
        got = alternate(servers, plan.rounds,
                        lambda s: load.spawn(plan.spawns, commands[s.name](s.port)))
        results.add('client process', 'GET, whole process, median', 'us', column(got, 'p50_us'),
                    ('<=', 0.6))


def connections(plan, results):
    with started(Kv(DURABLE), Redis(DURABLE)) as servers:
        got = alternate(servers, plan.rounds, lambda s: load.connects(s, plan.connects))
        results.add('connections', 'connect, AUTH, PING, close', 'a second', column(got, 'rps'),
                    ('>=', 0.4))
    got = {}
    for make, extra in ((Kv, ['--max-clients', '12000']), (Redis, ['--maxclients', '12000'])):
        with make(VOLATILE, extra) as server:
            before = server.memory()
            with load.idle_connections(server, plan.idle):
                got[server.name] = [(server.memory() - before) / plan.idle / 1024]
    results.add('connections', f'{plan.idle:,} idle ones: proportional memory of one', 'KiB', got,
                ('<=', 20), absolute=True)


PARTS = (client_process, connections)
