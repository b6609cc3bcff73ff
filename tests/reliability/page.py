#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes docs/reliability.md of reliability.md.in and results.json beside this file.

usage: page.py ROOT --write     writes the page
       page.py ROOT             checks, as TAP, that the page is what the stored results make
"""
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = 'docs/reliability.md'
KINDS = {'C': 'promises', 'G': 'facts about GLib', 'R': 'mistakes that others have made'}
PARTS = {
    'contract': 'sentences and citing tests', 'tests': 'tests', 'mutants': 'mistakes on purpose',
    'models': 'models', 'explorer': 'explorer', 'litmus': 'litmus', 'fuzz': 'fuzzing',
    'soak': 'soak',
}
LITMUS = {
    '/litmus/push': 'push and look at the flag, raise the flag and look at the queue',
    '/litmus/promote': 'make an entry urgent, raise the flag and look at the entry',
    '/litmus/no-fence': 'without any fence',
    '/litmus/one-fence': 'with a fence on the side of the producer alone',
}


def number(value):
    """10 000 and above in groups of three."""
    return f'{value:,}'.replace(',', ' ') if value >= 10000 else str(value)


def table(head, rows):
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join('| ' + ' | '.join(str(cell) for cell in line) + ' |' for line in lines)


def several(count, thing, things=None):
    return f'{number(count)} {thing if count == 1 else things or thing + "s"}'


def parts(results):
    return table(['part', 'found on', 'by'],
                 [[text, results[name]['date'],
                   f"{results[name]['processor']}, {results[name]['processors']} processors, "
                   f"{results[name]['kernel']}"] for name, text in PARTS.items()])


def contract(found):
    rows = [[f'{KINDS[kind]} ({kind})', of_all, found['cited'].get(kind, 0)]
            for kind, of_all in sorted(found['kinds'].items())]
    planned = ', '.join(found['planned']) or 'none'
    return table(['', 'sentences', 'cited by tests'], rows) + \
        f"\n\n{several(found['cases'], 'test case or script', 'test cases and scripts')} in " \
        f"{several(found['files'], 'file')} cite them. Not built yet, and so without a test: " \
        f"{planned}."


def tests(found):
    """The suites of each build, and what failed or was left out, if anything was."""
    suites = sorted({suite for build in found.values() for suite in build})
    rows = []
    for name, build in found.items():
        counts = [build.get(suite, (0, 0, 0)) for suite in suites]
        passed, failed, skipped = map(sum, zip(*counts))
        rows.append([name, *(number(count[0]) if sum(count) else '' for count in counts),
                     number(passed), number(failed), number(skipped)])
    return table(['build', *suites, 'all passed', 'failed', 'skipped'], rows)


def mutants(found):
    noticed = sum(mutant['noticed by'] is not None for mutant in found)
    rows = [[mutant['what'].rstrip('.'), mutant['breaks'],
             f"`{mutant['noticed by']}`" if mutant['noticed by'] else '**nobody**']
            for mutant in found]
    return f'{noticed} of {len(found)} were noticed.\n\n' + \
        table(['mistake', 'breaks', 'noticed first by'], rows)


def models(found):
    rows = [[one['name'], number(one['states'])] for one in found['sound']]
    return table(['the model with', 'states'], rows) + \
        f"\n\n{several(len(found['planted']), 'bug')} planted in it, all found: " + \
        '; '.join(found['planted']) + '.'


def explorer(found):
    rows = [[case['name'], number(case['states']), number(case['steps']), case['ends']]
            for case in found['cases']]
    states = sum(case['states'] for case in found['cases'])
    return table(['case', 'states', 'steps', 'ways to end'], rows) + \
        f"\n\n{number(states)} states in all. {several(len(found['planted']), 'access', 'accesses')}" \
        ' made weaker or left out, all found: ' + '; '.join(found['planted']) + '.'


def litmus(found):
    return table(['', 'rounds', 'lost'],
                 [[LITMUS[name], number(rounds), number(lost)]
                  for name, (rounds, lost) in found.items()])


def fuzz(found):
    return table(['target', f"inputs in {found['seconds']} s", 'that went wrong'],
                 [[f'`fuzz-{name}`', number(inputs), 0]
                  for name, inputs in found['inputs'].items()])


def soak(found):
    kib, fds = found['kib'], found['descriptors']
    return table(['seconds', 'operations', 'lost', 'KiB, from and to', 'descriptors, from and to'],
                 [[found['seconds'], number(found['operations']), found['lost'],
                   f'{number(kib[0])}, {number(kib[1])}', f'{fds[0]}, {fds[1]}']])


def page(results):
    made = {name.upper(): globals()[name](results[name]['found']) for name in PARTS}
    made['PARTS'] = parts(results)
    made['GENERATED'] = '<!-- Made by tests/reliability/page.py of reliability.md.in and ' \
                        'results.json beside it: edit those. -->'
    text = (HERE / 'reliability.md.in').read_text('utf-8')
    return re.sub(r'@([A-Z]+)@', lambda match: made[match.group(1)], text)


def main():
    root, *rest = sys.argv[1:]
    text = page(json.loads((HERE / 'results.json').read_text('utf-8')))
    path = Path(root, PAGE)
    if rest == ['--write']:
        path.write_text(text, 'utf-8')
        return 0
    good = path.exists() and path.read_text('utf-8') == text
    print(f"1..1\n{'ok' if good else 'not ok'} 1 - {PAGE} has the stored figures")
    if not good:
        print('run ./dev plots', file=sys.stderr)
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
