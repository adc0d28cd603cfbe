"""The Markdown table of a run."""


def figure(value):
    if value is None:
        return ''
    if value >= 1000:
        return f'{value:,.0f}'
    return f'{value:.3g}' if value < 10 else f'{value:.1f}'


def line(row):
    sign, limit = row.goal if row.goal else ('', None)
    goal = f'{sign} {limit:g} {row.unit if row.absolute else ""}'.strip() if row.goal else ''
    met = {True: 'met', False: '**not met**', None: ''}[row.met()]
    ratio = row.ratio()
    cells = [row.work, row.unit, figure(row.median('kv')), figure(row.median('redis')),
             figure(row.median('memcached')), f'{ratio:.2f}' if ratio is not None else '', goal, met,
             '' if row.stolen is None else f'{row.stolen:.0f} %']
    return '| ' + ' | '.join(cells) + ' |'


def markdown(results):
    out = []
    for name, value in results.head.items():
        out.append(f'- {name}: {value}')
    rows = [row for row in results.rows if row.met() is not None]
    met = sum(1 for row in rows if row.met())
    out += ['', f'Goals met: {met} of {len(rows)}. Figures are medians over the rounds; '
            'the ratio is kv / Redis.', '',
            '| work | unit | kv | Redis | memcached | kv/Redis | goal | | host |',
            '|---|---|--:|--:|--:|--:|--:|---|--:|']
    section = None
    for row in results.rows:
        if row.section != section:
            section = row.section
            out.append(f'| **{section}** | | | | | | | | |')
        out.append(line(row))
    return '\n'.join(out) + '\n'
