#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes docs/performance.md and its plots of the figures in bench/results.

usage: page.py ROOT --write     writes the page, and the plots where there is gnuplot
       page.py ROOT             checks, as TAP, that the page is what the figures make
"""
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
import figures  # noqa: E402

RESULTS = 'bench/results/results.json'
TEMPLATE = 'bench/performance.md.in'
PAGE = 'docs/performance.md'
README = 'README.md'
IMAGES = 'docs/images'

# Question: what the plot is called, and what N is.
PLOTS = {
    'batch': ('A callback of N that are scheduled and then run', 'callbacks'),
    'registered': ('One callback, of N that are registered', 'callbacks registered'),
    'fds-1': ('One ready descriptor of N, the same each time', 'descriptors'),
    'fds-another': ('One ready descriptor of N, another each time', 'descriptors'),
    'fds-all': ('N ready descriptors', 'descriptors'),
    'timers-far': ('An iteration beside N timers that are far away', 'timers'),
    'timer-arm': ('To arm and cancel one of N timers', 'timers'),
    'contexts': ('An iteration of a GMainContext with N contexts', 'contexts'),
    'posts': ('A post from one of N threads', 'threads'),
}


def row(cells):
    return '| ' + ' | '.join(str(cell) for cell in cells) + ' |'


def markdown_table(head, rows):
    return '\n'.join([row(head), '|' + '---|' * len(head), *map(row, rows)])


def machine(data):
    return '\n'.join([f"- {data['processor']}, {data['processors']} processors, "
                      f"{data['kernel']};",
                      f"- {data['versions']};",
                      f"- measured on {data['date']}, when the load was {data['load_before']} "
                      "beforehand."])


def goals(data):
    verdicts = list(figures.verdicts(data))
    reached = sum(verdict.reached for verdict in verdicts)
    rows = [(v.text, v.asked, v.got, 'yes' if v.reached else '**no**') for v in verdicts]
    return markdown_table(['', 'asked', 'got', 'reached'], rows) + \
        f'\n\n{reached} of {len(verdicts)} are reached.'


def sizes_table(results):
    sizes = sorted({result['size'] for result in results})
    names = list(dict.fromkeys(result['name'] for result in results))
    medians = {(result['name'], result['size']): result for result in results}
    rows = [[name] + [figures.number(medians[name, size]['median'])
                      if (name, size) in medians else '' for size in sizes] for name in names]
    return markdown_table([f"{results[0]['unit']}"] + [f'N = {size:,}'.replace(',', ' ')
                                                       for size in sizes], rows)


def spread_table(results):
    ours = results[0]['median']
    rows = []
    for result in results:
        low, high = figures.number(result['low']), figures.number(result['high'])
        rows.append((result['name'], result['how'], figures.number(result['median']),
                     f'{low} to {high}' if low != high else '',
                     f"{result['median'] / ours:.2f}" if ours else ''))
    return markdown_table(['', 'by', results[0]['unit'], 'spread', 'beside the first'], rows)


def tables(data):
    parts = []
    for results in figures.questions(data).values():
        table = sizes_table if len({result['size'] for result in results}) > 1 else spread_table
        parts.append(f"### {results[0]['title']}\n\n{table(results)}")
    return '\n\n'.join(parts)


def counted(data):
    rows = []
    for name in data['syscalls'] or data['instructions']:
        ours, of_all = data['instructions'].get(name, ('', ''))
        made = ', '.join(f'{count:g} {call}'
                         for call, count in data['syscalls'].get(name, {}).items())
        rows.append((name, ours, of_all, made))
    return markdown_table(['operation', 'of the library', 'of all', 'system calls'], rows)


def plots(data):
    there = figures.questions(data)
    return '\n\n'.join(f'![{title}](images/{name}.svg)'
                       for name, (title, _) in PLOTS.items() if name in there)


def page(root, data):
    text = Path(root, TEMPLATE).read_text('utf-8')
    parts = {
        'GENERATED': '<!-- Made by bench/page.py of bench/performance.md.in and '
                     'bench/results/results.json: edit those. -->',
        'MACHINE': machine(data), 'GOALS': goals(data), 'PLOTS': plots(data),
        'TABLES': tables(data), 'COUNTS': counted(data)}
    return re.sub(r'@([A-Z]+)@', lambda match: parts[match.group(1)], text)


# The README has some of it, between two comments.
README_PART = re.compile(r'(<!-- bench -->\n).*?(<!-- end of bench -->)', re.S)
README_GOALS = ('g_unix_fd_add', 'beside 10 000 timers', 'beside libuv', 'g_main_context_invoke',
                'busy polling', '100 000 registered, GMainContext')


def readme(text, data):
    rows = [(v.text, v.got) for v in figures.verdicts(data)
            if any(part in v.text for part in README_GOALS)]
    part = f'\n{machine(data)}\n\n' + markdown_table(['', 'found'], rows) + '\n\n'
    return README_PART.sub(lambda match: match.group(1) + part + match.group(2), text)


def gnuplot_script(name, results, path):
    """Plots with logarithmic axes; the colour of a name is the same in all of them."""
    title, unit = PLOTS[name]
    names = list(dict.fromkeys(result['name'] for result in results))
    order = list(dict.fromkeys([figures.OURS, figures.SOURCE, figures.BH_POLL, figures.HOME,
                                *figures.PEERS, *names]))
    lines = ['set terminal svg size 760,460 dynamic noenhanced font "sans,13" '
             'background "white"',
             f'set output "{path}"', f'set title "{title}"', f'set xlabel "{unit}"',
             'set ylabel "ns"', 'set logscale xy', 'set format x "%.0f"', 'set format y "%.0f"',
             'set grid', 'set key outside right', 'set style data linespoints']
    curves = []
    for who in names:
        points = [f"{result['size']} {result['median']}" for result in results
                  if result['name'] == who and result['size'] > 0]
        block = f'$data{len(curves)}'
        lines += [f'{block} << EOD', *points, 'EOD']
        width = 3 if who.startswith('ours') else 1.5
        style = order.index(who) + 1
        curves.append(f'{block} using 1:2 title "{who}" lw {width} lt {style} pt {style}')
    return '\n'.join(lines + ['plot ' + ', '.join(curves)]) + '\n'


def write_plots(root, data):
    if not shutil.which('gnuplot'):
        print('page.py: there is no gnuplot, the plots stay as they are', file=sys.stderr)
        return
    folder = Path(root, IMAGES)
    folder.mkdir(exist_ok=True)
    for name, results in figures.questions(data).items():
        if name in PLOTS:
            path = folder / f'{name}.svg'
            subprocess.run(['gnuplot'], input=gnuplot_script(name, results, path), text=True,
                           check=True)
            text = path.read_text('utf-8')
            path.write_text(re.sub(r'(<svg[^>]*>)', r'<!-- SPDX-License-Identifier: '
                                   r'LGPL-2.1-or-later -->\n\1', text, count=1), 'utf-8')


def check(root, data):
    print('1..3')
    same = [Path(root, PAGE).read_text('utf-8') == page(root, data),
            Path(root, README).read_text('utf-8') ==
            readme(Path(root, README).read_text('utf-8'), data)]
    for number, (name, good) in enumerate(zip((PAGE, README), same), 1):
        print(f"{'ok' if good else 'not ok'} {number} - {name} has the stored figures")
    images = [name for name in PLOTS if name in figures.questions(data)
              and not Path(root, IMAGES, f'{name}.svg').exists()]
    print(f"{'not ok' if images else 'ok'} 3 - each plot is there")
    if not all(same) or images:
        print('run ./dev plots', file=sys.stderr)
    return 0 if all(same) and not images else 1


def main():
    root, *rest = sys.argv[1:]
    data = json.loads(Path(root, RESULTS).read_text('utf-8'))
    if rest != ['--write']:
        return check(root, data)
    write_plots(root, data)
    Path(root, PAGE).write_text(page(root, data), 'utf-8')
    path = Path(root, README)
    path.write_text(readme(path.read_text('utf-8'), data), 'utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
