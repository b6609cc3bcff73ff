#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which sentences of docs/contract.md have a test?

usage: coverage.py ROOT             the verdict, as TAP
       coverage.py ROOT --table     each sentence with the tests that cite it

A sentence of the contract begins with "- **C7**"; one for a part that is not built yet ends with
"*(planned: timers)*". A test cites sentences in its summary, g_test_summary ("C7, R9: …"). What
no GTest program can test is cited in a comment of the script or benchmark that does,
"Covers: C30".
"""
import argparse
import re
import sys
from collections import defaultdict

sys.dont_write_bytecode = True
import tree  # noqa: E402

NUMBER = r'\b[CGR]\d+[a-z]?\b'
STRING = r'"(?:\\.|[^"\\])*"'


def sentences(root):
    """{'C7': None, 'C22': 'timers'}: what is planned only has the name of its part."""
    found = {}
    text = tree.read(root, 'docs/contract.md')
    for match in re.finditer(r'^- \*\*([CGR]\d+[a-z]?)\*\*((?:.|\n(?!- |#|\S))*)', text, re.M):
        planned = re.search(r'\*\(planned: ([^)]*)\)\*\s*$', match.group(2))
        if match.group(1) in found:
            raise SystemExit(f'docs/contract.md: {match.group(1)} is there twice')
        found[match.group(1)] = planned.group(1) if planned else None
    return found


def citations(root):
    """(number, path, line) for each number that a test cites."""
    for path in tree.source_files(root):
        if path.parts[0] not in ('tests', 'bench', '.ci'):
            continue
        text = tree.read(root, path)
        if path.suffix == '.c' and path.parts[0] == 'tests':
            pattern = rf'\bg_test_summary\s*\(((?:\s*{STRING})+)'
            text = tree.without_comments(text)
        elif path.parent.name == 'checks' and path.suffix == '.py':
            pattern = r'^# Covers: (.*)$'
        else:
            pattern = r'\bCovers: (.*?)(?:\*/)?$'
        for match in re.finditer(pattern, text, re.M):
            for number in re.findall(NUMBER, match.group(1)):
                yield number, path, tree.line_of(text, match.start())


def cases_without_summary(root):
    """Test functions that are registered and do not say what they are about."""
    for path in tree.source_files(root):
        if path.parts[0] != 'tests' or path.suffix != '.c':
            continue
        text = tree.without_comments(tree.read(root, path))
        registered = set(re.findall(r'\b(?:aio_test_add|g_test_add_func)\s*\(\s*"[^"]*"\s*,\s*(\w+)',
                                    text))
        for match in re.finditer(r'^(\w+) \([^;{}]*\)\n\{\n(.*?)^\}', text, re.M | re.S):
            if match.group(1) in registered and 'g_test_summary' not in match.group(2):
                yield f'{path}:{tree.line_of(text, match.start())}: {match.group(1)} has no ' \
                      'g_test_summary ()'


def order(number):
    letter, digits, suffix = re.match(r'([CGR])(\d+)([a-z]?)', number).groups()
    return letter, int(digits), suffix


def print_table(known, cited):
    for number in sorted(known, key=order):
        files = sorted({path.as_posix() for path, _ in cited[number]})
        if files:
            print(f'{number:4} {", ".join(files)}')
        else:
            print(f'{number:4} {"planned: " + known[number] if known[number] else "NO TEST"}')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('root')
    parser.add_argument('--table', action='store_true')
    options = parser.parse_args()

    known = sentences(options.root)
    cited = defaultdict(list)
    for number, path, line in citations(options.root):
        cited[number].append((path, line))
    if options.table:
        print_table(known, cited)
        return 0

    tap = tree.Tap()
    tap.result('the contract has sentences', [] if known else ['docs/contract.md: none found'])
    tap.result('each sentence has a test',
               [f'missing: {number}' for number in sorted(known, key=order)
                if number not in cited and known[number] is None])
    tap.result('each citation is of a sentence',
               [f'{path}:{line}: {number} is not in docs/contract.md'
                for number in sorted(set(cited) - set(known), key=order)
                for path, line in cited[number]])
    tap.result('each test case has a summary', list(cases_without_summary(options.root)))
    for number in sorted(known, key=order):
        if known[number] is not None and number not in cited:
            print(f'# planned: {number} ({known[number]})')
    tested = sum(1 for number in known if number in cited)
    print(f'# {tested} of {len(known)} sentences are cited by tests')
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
