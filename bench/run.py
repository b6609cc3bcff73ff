#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the benchmarks and says which goals are reached.

usage: run.py FOLDER [NAME…] [--json FILE] [--store] [--quick] [--rounds N]

FOLDER is where the programs lie. NAMEs are those of programs, "schedule" of "bench-schedule"; none
means all of them, and counts of instructions and system calls. --store puts what was found into
bench/results, from where "./dev plots" takes it.
"""
import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
import counts  # noqa: E402
import figures  # noqa: E402

RESULTS = Path(__file__).resolve().parent / 'results' / 'results.json'
# Enough that what happens once does not show. A storm is a thousand calls.
N_INSTRUCTIONS, N_SYSCALLS, N_STORMS = 4000, 1000, 8


def programs(folder, names):
    found = sorted(path for path in Path(folder).glob('bench-*')
                   if path.is_file() and os.access(path, os.X_OK))
    wanted = [path for path in found if not names or path.name.removeprefix('bench-') in names]
    if not wanted:
        sys.exit(f'run.py: no such programs in {folder}')
    return wanted


def run_program(program, options):
    print(f'-- {program.name}', file=sys.stderr, flush=True)
    done = subprocess.run([program, '--json', *options], stdout=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode:
        sys.exit(f'run.py: {program.name} ended with {done.returncode}')
    return json.loads(done.stdout)['results']


def count_all(ops):
    """({operation: [instructions of the library, of all]}, {operation: system calls})."""
    instructions, syscalls = {}, {}
    names = counts.names(ops)
    if counts.can_count_instructions():
        print('-- instructions', file=sys.stderr, flush=True)
        instructions = {name: counts.instructions(ops, name, N_INSTRUCTIONS)
                        for name in names if not name.endswith('-storm')}
    if counts.can_count_syscalls():
        print('-- system calls', file=sys.stderr, flush=True)
        syscalls = {name: counts.syscalls(ops, name,
                                          N_STORMS if name.endswith('-storm') else N_SYSCALLS)
                    for name in names}
    return instructions, syscalls


def processor():
    try:
        match = re.search(r'^model name\s*: (.*)$', Path('/proc/cpuinfo').read_text('utf-8'), re.M)
    except OSError:
        match = None
    return match.group(1) if match else platform.machine()


def surroundings(folder):
    versions = subprocess.run([Path(folder, 'ops'), '--versions'], check=True, text=True,
                              capture_output=True).stdout.strip()
    return {'processor': processor(), 'processors': len(os.sched_getaffinity(0)),
            'kernel': f'{platform.system()} {platform.release()}', 'versions': versions,
            'date': time.strftime('%Y-%m-%d', time.gmtime()),
            'load_before': round(os.getloadavg()[0], 2)}


def print_question(results):
    print(f"{results[0]['title']} ({results[0]['question']}), {results[0]['unit']}")
    sizes = sorted({r['size'] for r in results})
    names = list(dict.fromkeys(r['name'] for r in results))
    medians = {(r['name'], r['size']): r for r in results}
    print(f"  {'':24}" + ''.join(f'{size:>28}' for size in sizes))
    for name in names:
        line = f'  {name:24}'
        for size in sizes:
            here, ours = medians.get((name, size)), medians.get((names[0], size))
            if here is None:
                line += f"{'':28}"
                continue
            spread = f"[{figures.number(here['low'])}..{figures.number(here['high'])}]"
            ratio = f"{here['median'] / ours['median']:.2f} x" if ours and ours['median'] else ''
            line += f"{figures.number(here['median']):>8} {spread:>11} {ratio:>7}"
        print(line)


def print_counts(data):
    if not data['instructions'] and not data['syscalls']:
        return
    print('Per operation: instructions of the library and of all, system calls')
    for name in data['syscalls'] or data['instructions']:
        ours, of_all = data['instructions'].get(name, ('', ''))
        made = ', '.join(f'{call} {count:g}' for call, count
                         in data['syscalls'].get(name, {}).items())
        print(f'  {name:24}{ours:>10}{of_all:>10}  {made}')


def print_verdicts(data):
    verdicts = list(figures.verdicts(data))
    if not verdicts:
        return
    print(f"{'Goal':78}{'asked':>16}{'got':>18}")
    for verdict in verdicts:
        print(f"{verdict.text:78}{verdict.asked:>16}{verdict.got:>18}"
              f"  {'yes' if verdict.reached else 'NO'}")
    print(f'{sum(v.reached for v in verdicts)} of {len(verdicts)} goals reached')


def parse():
    parser = argparse.ArgumentParser(usage=__doc__.split('usage: ')[1].split('\n')[0])
    parser.add_argument('folder')
    parser.add_argument('names', nargs='*')
    parser.add_argument('--json')
    parser.add_argument('--store', action='store_true')
    parser.add_argument('--quick', action='store_true')
    parser.add_argument('--rounds', type=int)
    args = parser.parse_intermixed_args()
    if args.store and (args.names or args.quick):
        parser.error('what is stored is all of it, and measured at leisure')
    return args


def main():
    args = parse()
    options = ['--quick'] if args.quick else []
    options += [f'--rounds={args.rounds}'] if args.rounds else []
    data = surroundings(args.folder)
    data['results'] = []
    for program in programs(args.folder, args.names):
        data['results'] += run_program(program, options)
    data['instructions'], data['syscalls'] = ({}, {}) if args.names or args.quick else \
        count_all(Path(args.folder, 'ops'))
    text = json.dumps(data, indent=1) + '\n'
    if args.json:
        Path(args.json).write_text(text, encoding='utf-8')
    if args.store:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding='utf-8')
    for results in figures.questions(data).values():
        print_question(results)
    print_counts(data)
    print_verdicts(data)


if __name__ == '__main__':
    main()
