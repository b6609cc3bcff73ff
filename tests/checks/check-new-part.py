#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What new-part.py begins passes the checks and compiles.

usage: check-new-part.py ROOT BUILD-ROOT CC FLAG…
"""
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
import tree  # noqa: E402

HERE = Path(__file__).resolve().parent
BUILD = f"# {' '.join(('SPDX-License-Identifier:', 'LGPL-2.1-or-later'))}\n" \
        "project('x', version: '0.1.0')\n"


def run(*command):
    return subprocess.run([str(part) for part in command], check=False, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def complaints_of(result):
    return [result.stdout] if result.returncode else []


def main():
    root, build_root, cc, *flags = sys.argv[1:]
    tap = tree.Tap()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name in ('aioctx-gsource', 'tests'):
            (folder / name).mkdir()
        (folder / 'meson.build').write_text(BUILD, encoding='utf-8')
        begin = [sys.executable, HERE / 'new-part.py', folder, 'spare-wheel']
        tap.result('a part is begun', complaints_of(run(*begin)))
        tap.result('and not twice', [] if run(*begin).returncode else ['it is'])
        for check in ('docs', 'spdx', 'layout', 'atomics', 'length'):
            result = run(sys.executable, HERE / 'lint.py', folder, '--only', check)
            tap.result(f'lint: {check}', complaints_of(result))
        result = run(sys.executable, HERE / 'lint.py', folder, '--only', 'floors')
        tap.result('it has no place yet', [] if 'FLOORS' in result.stdout else [result.stdout])
        compile_it = [*cc.split(), '-std=c11', '-Wall', '-Wextra', '-Werror', '-fsyntax-only',
                      '-D_GNU_SOURCE', '-DAIOCTX_GSOURCE_COMPILATION', f'-I{folder}', f'-I{root}',
                      f'-I{root}/tests', f'-I{build_root}', *flags]
        tap.result('the source compiles', complaints_of(
            run(*compile_it, folder / 'aioctx-gsource' / 'aio-spare-wheel.c')))
        tap.result('the test compiles', complaints_of(
            run(*compile_it, '-include', 'aioctx-gsource/aio-spare-wheel.h',
                folder / 'tests' / 'test-spare-wheel.c')))
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
