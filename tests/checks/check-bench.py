#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each benchmark runs and prints JSON that the driver can read. What it measures is not looked at.

usage: check-bench.py PROGRAM…
"""
import json
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
import tree  # noqa: E402

KEYS = {'question', 'title', 'size', 'unit', 'name', 'how', 'median', 'low', 'high'}


def complaints_about(program):
    done = subprocess.run([program, '--quick', '--json'], capture_output=True, text=True,
                          timeout=60, check=False)
    if done.returncode:
        yield f'it ended with {done.returncode}: {done.stderr}'
        return
    try:
        results = json.loads(done.stdout)['results']
    except (ValueError, KeyError) as error:
        yield f'no JSON: {error}'
        return
    if not results:
        yield 'it answers nothing'
    for result in results:
        if set(result) != KEYS:
            yield f'{result} has not the keys {sorted(KEYS)}'
        elif not result['low'] <= result['median'] <= result['high']:
            yield f'{result} is out of order'
    asked = [(r['question'], r['size'], r['name']) for r in results]
    for double in sorted({key for key in asked if asked.count(key) > 1}):
        yield f'{double} is answered twice'


def main():
    tap = tree.Tap()
    for program in sys.argv[1:]:
        tap.result(Path(program).name, list(complaints_about(program)))
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
