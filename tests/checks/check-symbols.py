#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A shared library exports what its headers declare, and nothing else.

usage: check-symbols.py ROOT HEADERS LIBRARY [NM]     HEADERS: their folder within ROOT
"""
import re
import subprocess
import sys

from pathlib import Path

sys.dont_write_bytecode = True
import tree  # noqa: E402


def exported(library, nm):
    lines = subprocess.run([nm, '--dynamic', '--defined-only', '--format=posix', library],
                           check=True, text=True, capture_output=True).stdout.splitlines()
    return {line.split()[0].split('@')[0] for line in lines if line.strip()}


def headers_in(folder):
    """Those of compat/ lie in folders of their own, the others beside each other."""
    if folder.name == tree.COMPAT:
        return tree.compat_headers
    return lambda root: [path for path in tree.public_headers(root) if path.parent == folder]


def variables(root, headers):
    """The compat headers declare some, as QEMU's did; the native ones none."""
    return {name for path in headers(root)
            for name in re.findall(r'\bAIO_EXPORT\s+[\w\s*]*?(\w+)(?:\[\w*\])?;',
                                   tree.without_comments(tree.read(root, path)))}


def main():
    root, folder, library, *rest = sys.argv[1:]
    headers = headers_in(Path(folder))
    promised = {name for name, symbol in tree.declarations(root, headers).items()
                if symbol.kind == 'function'}
    others = variables(root, headers) | tree.exported_privately(root, folder)
    there = exported(library, rest[0] if rest else 'nm')
    tap = tree.Tap()
    tap.result('the headers declare functions', [] if promised else ['none found'])
    tap.result('all that is declared is exported', sorted((promised | others) - there))
    tap.result('nothing else is exported', sorted(there - promised - others))
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
