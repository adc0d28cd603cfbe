"""make bench: kv beside redis-server and memcached. See README.md in this folder.

main.py [--quick] [--rounds N] [--seconds S] [--out FOLDER] [--only NAME,...]
Writes table.md, results.json and plots (SVG) to FOLDER; progress goes to stderr. Loopback only;
everything it starts it ends, by pid.
"""
import argparse
import os
import shutil
import sys
import time

import data
import machine
import others
import plots
import report
import servers
import throughput
from results import Plan, Results, say

GROUPS = {'throughput': throughput.PARTS, 'data': data.PARTS, 'others': others.PARTS}
PARTS = {part.__name__: (part,) for parts in GROUPS.values() for part in parts} | GROUPS
PROGRAMS = ('redis-server', 'redis-cli', 'redis-benchmark', 'memcached', 'gnuplot')


def arguments():
    parser = argparse.ArgumentParser(description='kv beside redis-server and memcached')
    parser.add_argument('--quick', action='store_true', help='a look, in two minutes')
    parser.add_argument('--rounds', type=int, help='rounds of each measurement')
    parser.add_argument('--seconds', type=float, help='aimed at for one measurement')
    parser.add_argument('--out', default='.build/bench', help='where the table and the plots go')
    parser.add_argument('--only', default=','.join(GROUPS),
                        help='parts to run: ' + ' '.join(PARTS) + ' plots')
    options = parser.parse_args()
    options.only = options.only.split(',')
    if unknown := [part for part in options.only if part not in PARTS and part != 'plots']:
        parser.error(f'no such part: {" ".join(unknown)} (see --help)')
    if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
        parser.error(f'not installed: {" ".join(missing)}; make bench installs what it needs')
    return options


def main():
    options = arguments()
    os.makedirs(options.out, exist_ok=True)
    plan = Plan.make(options.quick)
    plan.rounds, plan.seconds = options.rounds or plan.rounds, options.seconds or plan.seconds
    results = Results(os.path.join(options.out, 'results.json'))
    results.head = machine.description(servers.Kv.program)
    results.head['date'] = time.strftime('%Y-%m-%d')
    results.head['kind of run'] = f'quick, {plan.rounds} rounds: figures are a hint' if plan.quick else \
        f'full: {plan.rounds} rounds of about {plan.seconds} s each'
    stolen = machine.Stolen()
    wanted = options.only + (['plots'] if plan.plots and options.only == list(GROUPS) else [])
    for part in wanted:
        if part == 'plots':
            plots.measure(results)
            plots.draw(results, options.out)
        else:
            for measure in PARTS[part]:
                measure(plan, results)
    results.head['load average at the end'] = f'{machine.load_average():.2f}'
    results.head['processor time that the host gave to others'] = f'{stolen.percent():.1f} %'
    results.save()
    table = report.markdown(results)
    with open(os.path.join(options.out, 'table.md'), 'w', encoding='utf-8') as file:
        file.write(table)
    print(table)
    say('written to ' + options.out)
    return 0


if __name__ == '__main__':
    sys.exit(main())
