#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shared libraries export what their headers declare, and nothing else.

usage: check-symbols.py ROOT LIBRARY COMPAT-LIBRARY [NM]
"""
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import tree  # noqa: E402


def exported(library, nm):
    lines = subprocess.run([nm, '--dynamic', '--defined-only', '--format=posix', library],
                           check=True, text=True, capture_output=True).stdout.splitlines()
    return {line.split()[0].split('@')[0] for line in lines if line.strip()}


def functions(root, headers):
    return {name for name, symbol in tree.declarations(root, headers).items()
            if symbol.kind == 'function'}


def variables(root, headers):
    """The compat headers declare some, as QEMU's did; the native ones none."""
    return {name for path in headers(root)
            for name in re.findall(r'\bAIO_EXPORT\s+[\w\s*]*?(\w+)(?:\[\w*\])?;',
                                   tree.without_comments(tree.read(root, path)))}


def main():
    root, library, compat, *rest = sys.argv[1:]
    nm = rest[0] if rest else 'nm'
    tap = tree.Tap()
    for path, headers, others in (
            (library, tree.public_headers, tree.exported_privately(root)),
            (compat, tree.compat_headers, variables(root, tree.compat_headers))):
        promised = functions(root, headers)
        there = exported(path, nm)
        name = path.rsplit('/', 1)[-1]
        tap.result(f'{name}: the headers declare functions', [] if promised else ['none found'])
        tap.result(f'{name}: all that is declared is exported',
                   sorted((promised | others) - there))
        tap.result(f'{name}: nothing else is exported', sorted(there - promised - others))
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
