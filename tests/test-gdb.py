#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands for gdb, on a program that has stopped in a callback and on its core file.

usage: test-gdb.py SCRIPT PROGRAM
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

# Of the context in which the program crashes: what the command says. (…) is anything in a line.
WANTED = [
    r'^context "subject" awake, iterations on the stack 1, not attached, home thread \d+, '
    r'priority 0, budget 0 callbacks 0 us$',
    r'^  stats: iterations \d+, passes \d+, runs \d+, wakeups sent \d+, wakeups saved \d+, ',
    r'^  bh "quiet \\"one\\"\\n" resting, runs 0, total -, longest -, calls nothing$',
    r'^  bh "eager" pending, runs 1, ',
    r'^  bh "crashing" running, runs 0, total -, longest -, calls on_crash$',
    r'^  oneshot "one-shot" pending, calls nothing$',
    r'^  fd \d+ "nothing" resting, read, runs 0, ',
    r'^  notifier \d+ "on_set" resting, read, runs 0, ',
    r'^  timer "embedded" armed, at 1500000 ns \(virtual\), runs 0, ',
    r'^  timer "on the heap" resting, runs 0, total -, longest -, calls nothing$',
    r'^  wake at \d+ ns: bh "crashing"$',
]
PRINTED = [
    ('print *self->context', r'^\$\d+ = context "subject" awake, '),
    ('print *self->crashing', r'^\$\d+ = bh "crashing" running, '),
    ('print self->embedded', r'^\$\d+ = timer "embedded" armed, at 1500000 ns \(virtual\), '),
    ('print *self->context->fds.all', r'^\$\d+ = (fd|notifier) \d+ '),
    ('print *self->context->timers->all', r'^\$\d+ = timer "on the heap" resting, '),
]


def gdb(*commands, program, core=None):
    """What gdb writes in batch mode."""
    argv = ['gdb', '-nx', '-batch', '-iex', 'set auto-load off', '-iex', 'set debuginfod enabled off']
    for command in commands:
        argv += ['-ex', command]
    argv += [program] + ([core] if core else [])
    env = dict(os.environ, LC_ALL='C.UTF-8', DEBUGINFOD_URLS='')
    result = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=100,
                            stdin=subprocess.DEVNULL)
    return result.stdout + result.stderr


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def check(self, holds, what, output=''):
        self.count += 1
        self.failed += not holds
        print(f'{"ok" if holds else "not ok"} {self.count} - {what}')
        if not holds:
            print(''.join(f'# {line}\n' for line in output.splitlines()), end='')

    def end(self):
        print(f'1..{self.count}')
        return 1 if self.failed else 0


def skip(reason):
    print(f'1..0 # SKIP {reason}')
    sys.exit(0)


def check_output(tap, output, where):
    for pattern in WANTED:
        tap.check(re.search(pattern, output, re.M), f'{where}: {pattern}', output)
    for command, pattern in PRINTED:
        tap.check(re.search(pattern, output, re.M), f'{where}: {command}', output)
    tap.check('context "other"' in output, f'{where}: the other context', output)
    tap.check('Python Exception' not in output, f'{where}: no exception', output)


def main():
    script, program = sys.argv[1:]
    if shutil.which('gdb') is None:
        skip('there is no gdb')
    if 'has python' not in gdb('python print("has python")', program=program):
        skip('this gdb has no Python')
    tap = Tap()
    look = [f'source {script}', 'aioctx', 'frame function on_crash'] + \
           [command for command, _ in PRINTED]
    with tempfile.TemporaryDirectory() as folder:
        core = os.path.join(folder, 'core')
        output = gdb('run', *look, f'generate-core-file {core}', program=program)
        if re.search(r'ptrace|Could not trace|Operation not permitted', output):
            skip('programs may not be traced here')
        check_output(tap, output, 'live')
        tap.check(os.path.exists(core), 'there is a core file', output)
        check_output(tap, gdb(*look, program=program, core=core), 'core')
        output = gdb(f'source {script}', 'aioctx other', program=program, core=core)
        tap.check('context "other" awake' in output and 'context "subject"' not in output,
                  'one context by its name', output)
        output = gdb(f'source {script}', 'aioctx nobody', program=program, core=core)
        tap.check('no context "nobody"' in output, 'a name that is not there', output)
        output = gdb(f'source {script}', 'aioctx', program='/bin/true')
        tap.check('debugging symbols' in output and 'Traceback' not in output,
                  'a program without the library', output)
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
