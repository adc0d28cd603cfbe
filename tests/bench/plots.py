"""How cost grows: throughput over clients, depth, value size and keys, drawn by gnuplot as SVG."""
import os
import statistics
import subprocess

import load
from results import alternate, column, say
from servers import VOLATILE, Kv, Memcached, Redis
from throughput import started

VERBS = ('get', 'set')
COLOURS = {'kv': '#c0392b', 'redis': '#2c3e50', 'memcached': '#7f8c8d'}
SECONDS = 0.4


def budget(rate):
    return max(200, int(rate * SECONDS))


def settings():
    """Per plot: name, label of the x axis, its points and how a point is measured."""
    return (
        ('clients', 'clients, depth 1, 32-byte values', (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
         lambda s, verb, x: load.closed(s, verb, x, 1, budget(30_000 if x == 1 else 140_000))),
        ('depth', 'requests under way on each of 50 connections', (1, 2, 4, 8, 16, 32, 64, 100, 200),
         lambda s, verb, x: load.closed(s, verb, 50, x, budget(120_000 * min(x, 12)))),
        ('value', 'bytes of a value, 50 clients, depth 1',
         tuple(8 << (2 * i) for i in range(9)) + (1 << 20,),
         lambda s, verb, x: load.closed(s, verb, 50, 1, budget(min(140_000, 3e9 / x)), x,
                                        keys_for(x))),
        ('keys', 'keys, 50 clients, depth 16', (10**3, 10**4, 10**5, 10**6, 10**7),
         lambda s, verb, x: load.closed(s, verb, 50, 16, budget(1_000_000), 32, x)),
    )


def prepare(server, name, x):
    if name == 'keys' and (x <= 10**6 or server.name != 'memcached'):
        load.values(server, x)
    elif name == 'value':
        load.values(server, keys_for(x), x)
    elif x == 1:
        load.values(server, 100_000)


def keys_for(value_bytes):
    return 1000 if value_bytes < 1 << 18 else 50


def measure(results, rounds=3):
    """Fills results.series: {plot: {'kv get': [(x, median requests a second), ...]}}."""
    for name, label, points, one in settings():
        series = results.series[name] = {'label': label, 'lines': {}}
        with started(Kv(VOLATILE), Redis(VOLATILE), Memcached()) as servers:
            for x in points:
                for server in servers:
                    prepare(server, name, x)
                for verb in VERBS:
                    # Memcached: more than 10^6 keys are more than the memory it was given.
                    among = servers[:2] if name == 'keys' and x > 10**6 else servers
                    got = alternate(among, rounds, lambda s: one(s, verb, x))
                    for server, rates in column(got, 'rps').items():
                        line = series['lines'].setdefault(f'{server} {verb.upper()}', [])
                        line.append((x, statistics.median(rates)))
                say(f'plot {name}: {x}')
                results.save()


def caption(head):
    """Which programs on which machine: a plot is looked at without the table, too."""
    programs = ', '.join((head['kv'], f"redis-server {head['redis-server'].removeprefix('v=')}",
                          head['memcached']))
    machine = ', '.join((head['machine'], 'Linux ' + head['kernel'], head['date']))
    return f'{programs}\n{machine}'.replace('"', '')


def draw(results, folder):
    for name, series in results.series.items():
        plots, blocks = [], []
        for line, points in series['lines'].items():
            server, verb = line.split()
            dash = 1 if verb == 'GET' else 2
            plots.append(f"'-' using 1:($2/1000) with linespoints lc rgb '{COLOURS[server]}' dt {dash} "
                         f"lw 2 pt {5 if verb == 'GET' else 7} ps 0.5 title '{line}'")
            blocks.append('\n'.join(f'{x} {rate:.1f}' for x, rate in points) + '\ne')
        script = '\n'.join([
            "set terminal svg size 760,450 font 'sans-serif,12' background '#ffffff'",
            f"set output '{os.path.join(folder, name + '.svg')}'",
            'set logscale x', "set format x '%.0s%c'", 'set grid',
            'set title "' + caption(results.head).replace('\n', '\\n') + '" noenhanced font ",10"',
            'set key outside right top', 'set yrange [0:*]' if name != 'value' else 'set logscale y',
            f"set xlabel '{series['label']}'", "set ylabel 'thousand requests a second'",
            'plot ' + ', \\\n  '.join(plots), *blocks, ''])
        subprocess.run(['gnuplot'], input=script, text=True, check=True, timeout=60)
