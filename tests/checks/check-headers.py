#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compiles each public header by itself.

usage: check-headers.py ROOT BUILD-ROOT CC CXX CFLAGS…      CXX may be empty

Each header but the umbrellas refuses to be included directly; what the umbrella includes compiles
without a warning as C11 and C++17; and each header includes what it needs itself.
"""
import os
import shlex
import subprocess
import sys

sys.dont_write_bytecode = True
import tree  # noqa: E402

WARNINGS = ['-Wall', '-Wextra', '-Wpedantic', '-Werror', '-fsyntax-only']
UMBRELLAS = ('aioctx-gsource/aioctx-gsource.h', 'aioctx-gsource/testing/aio-testing.h')
GATE = '-DAIOCTX_GSOURCE_INSIDE'
REFUSAL = 'can be included directly'


def compiler(command, language, standard, flags):
    """A function that compiles one include line; returns what went wrong, None if nothing did."""
    def compile_include(header, *more):
        run = subprocess.run(
            [*shlex.split(command), '-x', language, f'-std={standard}', *WARNINGS, *flags, *more,
             '-'],
            input=f'#include <{header}>\nint main (void);\n', text=True, capture_output=True,
            env={**os.environ, 'LC_ALL': 'C'})
        return run.stderr if run.returncode else None
    return compile_include


def main():
    root, build_root, cc, cxx, *flags = sys.argv[1:]
    flags = ['-I' + root, '-I' + build_root, *flags]
    tap = tree.Tap()
    in_c = compiler(cc, 'c', 'c11', flags)
    languages = {'C11': in_c}
    if cxx:
        languages['C++17'] = compiler(cxx, 'c++', 'c++17', flags)
    headers = [path.as_posix().removesuffix('.in') for path in tree.public_headers(root)]

    for header in headers:
        if header not in UMBRELLAS:
            error = in_c(header, '-Wno-error')
            refused = error is not None and REFUSAL in error
            tap.result(f'{header} refuses direct inclusion',
                       [] if refused else [error or 'it compiled'])
    for language in ('C11', 'C++17'):
        if language not in languages:
            tap.skip(f'{language}: all headers', 'no compiler for it')
            continue
        for header in headers:
            gate = [] if header in UMBRELLAS else [GATE]
            error = languages[language](header, *gate)
            tap.result(f'{language}: {header}', [error] if error else [])
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
