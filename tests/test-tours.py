#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tours in other languages print the same, without a word on stderr.

usage: test-tours.py [NAME=COMMAND | NAME=]...      without a command, NAME is skipped
"""
import shlex
import subprocess
import sys

EXPECTED = """\
bottom half: scheduled 3 times, ran once
idle: ran
post: ran
timer: fired 3 times, never early
descriptor: hello
event notifier: set
invoke: 6 * 7 = 42
invoke: 6 / 0 is an error
stats: 4 runs
"""


def complaint(command):
    """What is wrong with what the program does; empty if nothing is."""
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        return f'status {done.returncode}: {done.stderr}'
    if done.stderr:
        return f'on stderr: {done.stderr}'
    return '' if done.stdout == EXPECTED else f'printed:\n{done.stdout}'


def main():
    tours = [argument.split('=', 1) for argument in sys.argv[1:]]
    failed = 0
    for number, (name, command) in enumerate(tours, 1):
        if not command:
            print(f'ok {number} - {name} # SKIP meson found nothing that compiles or runs it')
            continue
        text = complaint(command)
        failed += text != ''
        print('\n'.join(f'# {line}' for line in text.splitlines()))
        print(f"{'not ok' if text else 'ok'} {number} - {name}", flush=True)
    print(f'1..{len(tours)}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
