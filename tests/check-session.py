#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a page shows as output is what the program prints: numbers and addresses aside.

Each block of "text" in the page that begins with "$ PROGRAM …", "$ kill …" or "$ gdb …" is a
session. A line "…" stands for any lines, "…" within a line for anything.

usage: check-session.py PAGE PROGRAM GDB-SCRIPT
"""
import re
import shutil
import signal
import subprocess
import sys

MASKS = [(r'\b\d+(\.\d+)? (ns|us|ms|s)\b', 'T'), (r'\+?\b0x[0-9a-f]+\b', 'A'),
         (r'\d\d\d\d-\d\d-\d\dT[0-9:.]+Z', 'T'), (r'-?\b\d+\b', 'N')]


def masked(text):
    for pattern, letter in MASKS:
        text = re.sub(pattern, letter, text)
    return text


def matches(wanted, got):
    """…with the lines in this order."""
    pattern = ''
    for line in masked(wanted).splitlines():
        pattern += r'(.*\n)*?' if line.strip() == '…' else \
            re.escape(line).replace('…', '.*') + r'\n'
    return re.fullmatch(pattern, masked(got)) is not None


class Sessions:
    def __init__(self, program, script):
        self.program = program
        self.script = script
        self.child = None

    def run(self, arguments):
        if arguments[-1] != '&':
            return subprocess.run([self.program, *arguments], capture_output=True, text=True,
                                  timeout=60).stdout
        self.child = subprocess.Popen([self.program, *arguments[:-1]], text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return self.child.stdout.readline()

    def kill(self):
        """The dump that comes upon the signal. It is written at once."""
        self.child.send_signal(signal.SIGUSR1)
        lines = []
        while not lines or lines[-1] not in ('  wakes -\n', ''):
            lines.append(self.child.stderr.readline())
        return ''.join(lines)

    def gdb(self):
        """None: it cannot look into the program."""
        if shutil.which('gdb') is None:
            return None
        command = ['gdb', '-nx', '-batch', '-p', str(self.child.pid), '-ex',
                   f'source {self.script}', '-ex', 'aioctx main']
        done = subprocess.run(command, capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL)
        if re.search('ptrace|not permitted|not supported in this copy|debugging symbols',
                     done.stderr):
            return None
        text = done.stdout[max(done.stdout.find('context "main"'), 0):]
        return ''.join(line + '\n' for line in text.splitlines()
                       if not line.startswith('[Inferior'))

    def output(self, command):
        name, *arguments = command.split()
        if name == 'kill':
            return self.kill()
        if name == 'gdb':
            return self.gdb()
        return self.run(arguments)

    def end(self):
        if self.child is not None:
            self.child.kill()
            self.child.communicate()


def check(text, sessions):
    """How many sessions there are, and how many of them failed."""
    count = failed = 0
    for match in re.finditer(r'^```text\n\$ (.*)\n((?:.*\n)*?)^```', text, re.M):
        command, wanted = match.groups()
        got = sessions.output(command)
        holds = got is None or matches(wanted, got)
        count += 1
        failed += not holds
        print(f'{"ok" if holds else "not ok"} {count} - {command}'
              f'{" # SKIP gdb cannot look into it" if got is None else ""}')
        if not holds:
            print(''.join(f'# {line}\n' for line in got.splitlines()), end='')
    return count, failed


def main():
    page, program, script = sys.argv[1:]
    with open(page, encoding='utf-8') as file:
        text = file.read()
    sessions = Sessions(program, script)
    try:
        count, failed = check(text, sessions)
    finally:
        sessions.end()
    print(f'1..{count}')
    return 1 if failed or not count else 0


if __name__ == '__main__':
    sys.exit(main())
