#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts what a "meson test" found.

usage: results.py BUILD-FOLDER [--json FILE]

Prints "PASSED FAILED SKIPPED" on stdout: test cases where a program reports them one by one (TAP),
whole programs where not. What failing programs wrote goes to stderr. The file gets the same numbers
by suite; a program that is in several counts for the first of them.
"""
import argparse
import json
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

LAST_LINES = 200


GOOD = ('OK', 'EXPECTEDFAIL')


def tap_cases(report):
    """{program: [passed, failed, skipped]} of those that report their cases."""
    found = {}
    for suite in report.iter('testsuite'):
        counts = found.setdefault(suite.get('name').partition('.')[2], [0, 0, 0])
        for case in suite.iter('testcase'):
            if case.find('failure') is not None or case.find('error') is not None:
                counts[1] += 1
            elif case.find('skipped') is not None:
                counts[2] += 1
            else:
                counts[0] += 1
    return found


def counts_of(test, reported):
    """A program that crashes or hangs may report no case that failed: it counts as one."""
    good, skipped = test['result'] in GOOD, test['result'] == 'SKIP'
    if test['name'] not in reported:
        return [int(good), int(not good and not skipped), int(skipped)]
    passed, failed, left_out = reported[test['name']]
    return [passed, failed if good or skipped else max(failed, 1), left_out]


def show(test):
    print(f'---- {test["name"]}: {test["result"]} after {test["duration"]:.1f} s', file=sys.stderr)
    for stream in ('stdout', 'stderr'):
        for line in (test.get(stream) or '').splitlines()[-LAST_LINES:]:
            print(f'  {line}', file=sys.stderr)


def suite_of(test):
    """A test is called "project:suite+another / name"."""
    return test['name'].partition(' / ')[0].partition(':')[2].partition('+')[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build', type=Path)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    logs = options.build / 'meson-logs'
    if not (logs / 'testlog.junit.xml').exists():
        sys.exit(f'{logs} has no report')
    reported = tap_cases(xml.parse(logs / 'testlog.junit.xml').getroot())
    total, suites = [0, 0, 0], {}
    for line in (logs / 'testlog.json').read_text(encoding='utf-8').splitlines():
        test = json.loads(line)
        counts = counts_of(test, reported)
        total = [sum(pair) for pair in zip(total, counts)]
        suites[suite_of(test)] = [sum(pair) for pair in zip(suites.get(suite_of(test), (0, 0, 0)),
                                                            counts)]
        if test['result'] not in (*GOOD, 'SKIP'):
            show(test)
    if options.json is not None:
        options.json.write_text(json.dumps(suites) + '\n', encoding='utf-8')
    print(*total)


if __name__ == '__main__':
    main()
