#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The programs that the pages quote print what the pages show.

A block of "text" that begins with "$ NAME …" is a session with that program. A line "…" stands for
any lines. Each program has at least one session.

usage: test-guides.py ROOT NAME=PROGRAM…
"""
import re
import subprocess
import sys
from pathlib import Path

SESSION = re.compile(r'^```text\n\$ (?:\S*/)?([\w-]+)((?: .*)?)\n((?:.*\n)*?)^```', re.M)


def sessions(root, programs):
    """(page, program, arguments, what the page shows)"""
    for page in [Path(root, 'README.md'), *sorted(Path(root, 'docs').glob('*.md'))]:
        for match in SESSION.finditer(page.read_text(encoding='utf-8')):
            if match.group(1) in programs:
                yield page, match.group(1), match.group(2).split(), match.group(3)


def complaint(command, wanted):
    """None if the program prints that, and nothing else, and ends well."""
    got = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    pattern = ''.join(r'(?:.*\n)*' if line == '…' else re.escape(line) + r'\n'
                      for line in wanted.splitlines())
    if got.returncode == 0 and not got.stderr and re.fullmatch(pattern, got.stdout):
        return None
    return f'status {got.returncode}\n{got.stdout}{got.stderr}'


def main():
    root, *arguments = sys.argv[1:]
    programs = dict(argument.split('=', 1) for argument in arguments)
    unseen = set(programs)
    count = failed = 0
    for page, name, options, wanted in sessions(root, programs):
        count += 1
        wrong = complaint([programs[name], *options], wanted)
        failed += wrong is not None
        unseen.discard(name)
        print(f'{"ok" if wrong is None else "not ok"} {count} - {page.name}: {name}')
        for line in (wrong or '').splitlines():
            print(f'# {line}', file=sys.stderr)
    count += 1
    print(f'{"not ok" if unseen else "ok"} {count} - each has a session {" ".join(sorted(unseen))}')
    print(f'1..{count}')
    return 1 if failed or unseen else 0


if __name__ == '__main__':
    sys.exit(main())
