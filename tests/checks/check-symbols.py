#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A shared library exports what its headers declare, and nothing else.

usage: check-symbols.py ROOT HEADERS LIBRARY [NM]     HEADERS: their folder within ROOT
"""
import subprocess
import sys

sys.dont_write_bytecode = True
import tree  # noqa: E402


def exported(library, nm):
    lines = subprocess.run([nm, '--dynamic', '--defined-only', '--format=posix', library],
                           check=True, text=True, capture_output=True).stdout.splitlines()
    return {line.split()[0].split('@')[0] for line in lines if line.strip()}


def main():
    root, folder, library, *rest = sys.argv[1:]
    promised, others = tree.exports(root, folder)
    there = exported(library, rest[0] if rest else 'nm')
    tap = tree.Tap()
    tap.result('the headers declare functions', [] if promised else ['none found'])
    tap.result('all that is declared is exported', sorted((promised | others) - there))
    tap.result('nothing else is exported', sorted(there - promised - others))
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
