"""What is measured, and how: plans, rounds that alternate, medians, ratios, goals."""
import dataclasses
import json
import statistics
import sys
import time

import machine


@dataclasses.dataclass
class Plan:
    """How much of everything. Quick is for a look (two minutes), full for the figures quoted."""
    quick: bool
    rounds: int
    seconds: float          # of one measurement, aimed at
    keys: int               # of the memory and disk rows
    growth_keys: int
    idle: int
    spawns: int
    connects: int
    plots: bool

    @staticmethod
    def make(quick):
        if quick:
            return Plan(True, 2, 0.15, 100_000, 300_000, 500, 60, 300, False)
        return Plan(False, 5, 1.5, 1_000_000, 10_000_000, 10_000, 500, 3000, True)


@dataclasses.dataclass
class Row:
    section: str
    work: str
    unit: str
    values: dict            # name of the server: list, a figure a round
    goal: tuple = ()        # ('>=' or '<=', number): of kv / redis
    note: str = ''
    absolute: bool = False  # the goal is for kv's own figure
    stolen: float | None = None  # percent of the processor time wanted that the host took

    def median(self, name):
        got = self.values.get(name)
        return statistics.median(got) if got else None

    def ratio(self):
        kv, redis = self.median('kv'), self.median('redis')
        return kv / redis if kv is not None and redis else None

    def met(self):
        figure = self.median('kv') if self.absolute else self.ratio()
        if not self.goal or figure is None:
            return None
        sign, limit = self.goal
        return figure >= limit if sign == '>=' else figure <= limit


class Results:
    def __init__(self, path):
        self.path, self.rows, self.head, self.series = path, [], {}, {}

    def add(self, *args, **named):
        row = Row(*args, **named)
        row.stolen = getattr(row.values, 'stolen', None)
        self.rows.append(row)
        self.save()
        shown = ' '.join(f'{name}={row.median(name):.4g}' for name in row.values)
        ratio = f' ratio={row.ratio():.2f}' if row.ratio() is not None else ''
        say(f'{row.section}: {row.work} [{row.unit}] {shown}{ratio}')

    def save(self):
        with open(self.path, 'w', encoding='utf-8') as file:
            json.dump({'head': self.head, 'rows': [dataclasses.asdict(r) for r in self.rows],
                       'series': self.series}, file, indent=1)


STARTED = time.monotonic()


def say(text):
    print(f'[{time.monotonic() - STARTED:6.1f}s] {text}', file=sys.stderr, flush=True)


class Rounds(dict):
    """{name of the server: [what was measured, a round each]}, and what the host took meanwhile."""
    stolen = None


QUIET = 4.0  # percent of the processor time that the host may take in a round


def alternate(servers, rounds, measure):
    """measure(server) for each, rounds times, the order turned round every time.

    A round in which the host took more than QUIET is measured again: half as many rounds more at
    most, none for two rounds. Those in which it took least are kept, of all servers alike.
    """
    measured = []
    for number in range(rounds + rounds // 2 if rounds > 2 else rounds):
        if sum(stolen <= QUIET for stolen, _ in measured) >= rounds:
            break
        host, got = machine.Stolen(), {}
        for server in servers if number % 2 == 0 else reversed(servers):
            got[server.name] = measure(server)
        measured.append((host.percent(), got))
    kept = sorted(measured, key=lambda one: one[0])[:rounds]
    values = Rounds({server.name: [got[server.name] for _, got in kept] for server in servers})
    values.stolen = sum(stolen for stolen, _ in kept) / len(kept)
    return values


def column(values, key, scale=1):
    taken = Rounds({name: [one[key] * scale for one in many] for name, many in values.items()})
    taken.stolen = values.stolen
    return taken
