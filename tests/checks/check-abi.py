#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The binary interface against the one that is stored in tests/abi. As TAP.

usage: check-abi.py ROOT LIBRARY [--write]

What is new is said and passes; what breaks programs that were built before fails. --write stores
the present one, by ./dev abi: at a release, or when something is broken on purpose before the
first. Needs abidw and abidiff (Debian's abigail-tools), and debug information in the library.
"""
import platform
import shutil
import subprocess
import sys
import tempfile

from pathlib import Path

sys.dont_write_bytecode = True
import tree  # noqa: E402

# Bits of abidiff's exit status.
FAILED, INCOMPATIBLE = 1 | 2, 8
DUMP = ['abidw', '--no-show-locs', '--no-corpus-path', '--no-comp-dir-path', '--no-architecture',
        '--no-elf-needed', '--no-parameter-names', '--drop-undefined-syms',
        '--exported-interfaces-only', '--drop-private-types']


def run(*command):
    return subprocess.run(command, check=False, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)


def copy_public(root, folder):
    """Structs that no header in this folder defines are nobody's business."""
    for path in tree.public_headers(root):
        if path.parent.name == 'aioctx-gsource':
            shutil.copy(root / path, folder)


def write(root, library, stored, headers):
    result = run(*DUMP, '--headers-dir', headers, '--out-file', stored, library)
    if result.returncode == 0:
        # REUSE-IgnoreStart
        first, rest = stored.read_text(encoding='utf-8').split('\n', 1)
        stored.write_text(f'{first}\n<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->\n{rest}',
                          encoding='utf-8')
        # REUSE-IgnoreEnd
    print(result.stdout, end='')
    return result.returncode


def compare(root, library, stored, headers):
    if shutil.which('abidiff') is None or not stored.exists():
        print('1..0 # SKIP there is no abidiff, or nothing stored for this machine')
        return 0
    result = run('abidiff', '--drop-private-types', '--no-architecture',
                 '--headers-dir2', headers, stored, library)
    lines = result.stdout.splitlines()
    print(''.join(f'# {line}\n' for line in lines), end='')
    tap = tree.Tap()
    tap.result('the two can be compared', lines if result.returncode & FAILED else [])
    tap.result('what was there is as it was', lines if result.returncode & INCOMPATIBLE else [])
    return tap.finish()


def main():
    root, library, *rest = sys.argv[1:]
    root = Path(root).resolve()
    stored = root / 'tests' / 'abi' / f'aioctx-gsource-1-{platform.machine()}.abi'
    with tempfile.TemporaryDirectory() as headers:
        copy_public(root, headers)
        return (write if '--write' in rest else compare)(root, library, stored, headers)


if __name__ == '__main__':
    sys.exit(main())
