#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The checks find what they look for: each is given a small tree that is in order, and then the
same tree with one fault."""
import contextlib
import io
import os
import runpy
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
import tree  # noqa: E402

HERE = Path(__file__).resolve().parent
# REUSE-IgnoreStart
LICENSE = 'SPDX-License-Identifier: LGPL-2.1-or-later'
# REUSE-IgnoreEnd
SPDX = f'/* {LICENSE} */\n'

HEADER = SPDX + '''#pragma once

#include <aioctx-gsource/aio-types.h>

/**
 * AioThingFunc:
 * @data: what was given
 *
 * A callback.
 *
 * Returns: %TRUE
 *
 * Since: 0.1
 */
typedef gboolean (*AioThingFunc) (gpointer data);

AIO_EXPORT char *aio_bh_thing (AioThingFunc  func,
                               int           number);
'''

SOURCE = SPDX + '''#include <aioctx-gsource/aio-bh.h>
#include <aioctx-gsource/aio-notify-private.h>

/**
 * aio_bh_thing:
 * @func: (scope call): a callback
 * @number: a number
 *
 * Does a thing.
 *
 * Thread: home thread.
 *
 * Returns: (transfer full): a string
 *
 * Since: 0.1
 */
char *
aio_bh_thing (AioThingFunc  func,
              int           number)
{
  aio_store_relaxed (&thing->state, number);
  return NULL;
}
'''

def symbols(name, lines):
    return (f'lib{name}-1.so.0 lib{name}-1-0 #MINVER#\n'
            f'* Build-Depends-Package: libaioctx-gsource-dev\n{lines}')


SYMBOLS = 'packaging/debian/libaioctx-gsource-1-0.symbols'
TREE = {
    SYMBOLS: symbols('aioctx-gsource', ' aio_bh_thing@Base 0.1\n'),
    'packaging/debian/libaioctx-gsource-qemu-1-0.symbols':
        symbols('aioctx-gsource-qemu', ' aio_qemu_x@Base 0.1\n'),
    'packaging/debian/libaioctx-gsource-testing-1-0.symbols': symbols('aioctx-gsource-testing', ''),
    'meson.build': f'# {LICENSE}\n'
                   "glib_floor = '2.74'\n"
                   "args = '-DGLIB_VERSION_MIN_REQUIRED=GLIB_VERSION_2_74'\n",
    'README.md': 'Needs GLib 2.74. See [the contract](docs/contract.md).\n'
                 '```c\n' + SPDX + 'int one;\n```\nCall `aio_bh_thing()`, not `g_free()`.\n'
                 "Version 0.1.0: dependency('aioctx-gsource-1', version: '>= 0.1')\n",
    'examples/one.c': SPDX + 'int one;\n',
    'commands.json': '[{"file": "../x/examples/one.c"}]',
    'docs/README.md': 'See [the contract](contract.md#c1), [two](#two-words), '
                      '[the table](threads-and-signals.md).\n\n## Two `words`\n',
    'docs/threads-and-signals.md':
        '| `aio_bh_thing()` | home [1](#n1) | no | yes | yes |\n'
        '\n1. <a id="n1"></a>A note.\n\n```c\nint one;\n```\n',
    'NEWS': 'aioctx-gsource 0.1.0 (2026-11-22)\n=================================\n',
    'packaging/debian/changelog': 'aioctx-gsource (0.1.0-1) unstable; urgency=medium\n\n  * X.\n\n'
                                  ' -- A <a@b>  Sun, 22 Nov 2026 12:00:00 +0000\n',
    'aioctx-gsource/aio-bh.h': HEADER,
    'aioctx-gsource/aio-bh.c': SOURCE,
    'aioctx-gsource/aio-notify-private.h': SPDX + 'struct _A\n{\n  _Atomic (int) state;\n};\n',
    'aioctx-gsource/compat/qemu-aio.h':
        SPDX + '#include <aioctx-gsource/aioctx-gsource.h>\nAIO_EXPORT void aio_qemu_x (void);\n',
    'docs/contract.md': '- **C1** <a id="c1"></a>A promise.\n  - More.\n- **C2** Later. *(planned: x)*\n',
    'tests/test-bh.c': SPDX + 'static void\ntest_one (void)\n{\n'
                              '  g_test_summary ("C1: a promise");\n}\n\n'
                              'void\nadd (void)\n{\n  aio_test_add ("/bh/one", test_one);\n}\n',
    'version.h': SPDX + '#define AIO_MAJOR_VERSION (0)\n#define AIO_MINOR_VERSION (1)\n'
                 '#define AIO_MICRO_VERSION (0)\n#define AIO_VERSION_S "0.1.0"\n',
}

LINT = ['lint.py', '.']
COVERAGE = ['coverage.py', '.']
PAGES = ['check-pages.py', '.', 'commands.json']
VERSION = ['check-version.py', '.', '0.1.0', 'version.h']
PACKAGES = ['check-packages.py', '.', '0.2.0']
BH_C, BH_H = 'aioctx-gsource/aio-bh.c', 'aioctx-gsource/aio-bh.h'
THREADS = 'docs/threads-and-signals.md'

# (command, file, what is replaced, by what, what the command has to say)
FAULTS = [
    (LINT, BH_C, ' * @number: a number\n', '', 'aio_bh_thing: no line "@number:"'),
    (LINT, BH_C, '@number:', '@digit:', '"@digit:" describes what is not there'),
    (LINT, BH_C, ' * Thread: home thread.\n', '', 'no line "Thread:'),
    (LINT, BH_C, 'Thread: home thread', 'Thread: any', 'no line "Thread:'),
    (LINT, BH_C, ' * Since: 0.1\n', '', 'no line "Since:'),
    (LINT, BH_C, '(transfer full): ', '', 'no (transfer'),
    (LINT, BH_C, ' * Does a thing.\n *\n', '', 'does not begin with a sentence'),
    (LINT, BH_C, 'Does a thing.', 'a thing', 'does not begin with a sentence'),
    (LINT, BH_C, '(transfer full): a', '(transfer full): %NULL or a', 'no (nullable) behind "Ret'),
    (LINT, BH_C, '@number: a number', '@number: it, or %NULL', 'no (nullable) behind "@number:"'),
    (LINT, BH_H, 'int           num', 'int          *num', 'no (out), (inout) or (array) behind'),
    (LINT, BH_C, ' * Returns: (transfer full): a string\n', '', '"Returns:" is missing'),
    (LINT, BH_C, '(scope call): ', '', 'no (scope'),
    (LINT, BH_C, '/**\n', '/*\n', 'aio_bh_thing: not documented'),
    (LINT, BH_C, ' * aio_bh_thing:\n', ' * aio_bh_think:\n', 'no public header declares it'),
    (LINT, BH_H, ' * Since: 0.1\n', '', 'AioThingFunc: no line "Since:'),
    (LINT, BH_H, ' * @data: what was given\n', '', 'AioThingFunc: no line "@data:"'),
    (LINT, BH_H, '#pragma once\n', '#define AIO_MORE(x) x\n', 'AIO_MORE: not documented'),
    (LINT, BH_H, '#pragma once\n', 'typedef enum { AIO_A } AioE;\n', 'AioE: not documented'),
    (LINT, BH_C, SPDX, '', 'aio-bh.c:1: no SPDX line'),
    (LINT, 'meson.build', '# SPDX', '# X', 'meson.build:1: no SPDX line'),
    (LINT, BH_C, '  return', '\treturn', 'a tab'),
    (LINT, BH_C, 'NULL;', 'NULL; ', 'blanks at the end'),
    (LINT, BH_C, 'NULL;', 'NULL;' + 100 * '/', '114 columns'),
    (LINT, BH_C, 'relaxed (', 'relaxed(', 'write "aio_store_relaxed ("'),
    (LINT, BH_C, 'char *\naio', 'char *aio', 'the return type of a function'),
    (LINT, BH_C, 'NULL;\n}\n', 'NULL;\n}', 'no newline at the end'),
    (LINT, 'README.md', 'contract.md', 'contact.md', 'docs/contact.md is not there'),
    (LINT, BH_C, 'aio_store_relaxed (', '__atomic_store_n (', '__atomic_store_n belongs into'),
    (LINT, BH_C, 'NULL;', 'g_atomic_int_get (&x);', 'g_atomic_int_get belongs into'),
    (LINT, BH_C, '#include', '#include <stdatomic.h>\n#include', 'stdatomic.h belongs into'),
    (LINT, BH_C, '&thing->state', 'thing->state', 'state is atomic'),
    (LINT, BH_C, 'aio-notify-private', 'aio-context-private', 'may not include aio-context-pri'),
    (LINT, BH_C, 'aio-notify-private', 'aio-timer-private', 'may not include aio-timer-private'),
    (LINT, BH_C, 'aio-notify-private', 'aio-attic-private', 'has no place in FLOORS'),
    (LINT, 'aioctx-gsource/compat/qemu-aio.h', 'aioctx-gsource.h>', 'aio-bh.h>', 'may not include aio-bh.h'),
    (LINT, 'aioctx-gsource/compat/qemu-aio.h', SPDX, '', 'qemu-aio.h:1: no SPDX line'),
    (LINT, BH_C, '{\n', '{\n' + 59 * '  x ();\n', 'a function of 61 lines'),
    (LINT, 'README.md', '2.74', '2.76', 'README.md: 2.76'),
    (LINT, 'meson.build', 'VERSION_2_74', 'VERSION_2_72', 'REQUIRED: 2.72'),
    (LINT, 'meson.build', "floor = '2.74'", "floor = '2.70'", 'glib_floor: 2.70'),
    (COVERAGE, 'docs/contract.md', ' *(planned: x)*', '', 'missing: C2'),
    (COVERAGE, 'tests/test-bh.c', '"C1: a', '"C3: a', 'C3 is not in docs/contract.md'),
    (COVERAGE, 'tests/test-bh.c', '"C1: a', '"a', 'missing: C1'),
    (COVERAGE, 'tests/test-bh.c', '  g_test_summary', '  puts', 'test_one has no g_test_summary'),
    (COVERAGE, 'docs/contract.md', '- **C', '- *C', 'none found'),
    (PAGES, 'README.md', 'int one;', 'int two;', 'README.md:2: no example has this code'),
    (PAGES, THREADS, 'int one;', 'int two;', 'no example has this code'),
    (PAGES, 'examples/one.c', 'int one;\n', 'int one;\nint two;\n', 'README.md:2: no example'),
    (PAGES, 'commands.json', 'one.c', 'two.c', 'examples/one.c is not built'),
    (PAGES, 'README.md', 'aio_bh_thing', 'aio_bh_think', 'there is no aio_bh_think()'),
    (PAGES, 'README.md', 'g_free', 'g_fry', 'there is no g_fry()'),
    (PAGES, THREADS, '| home [1]', '| any [1]', 'the table says "any [1](#n1)", its comment "home'),
    (PAGES, THREADS, '| no |', '| **yes** |', 'the table says "**yes**" for signal handlers'),
    (PAGES, THREADS, '| yes |\n', '| perhaps |\n', 'neither yes nor no: "perhaps"'),
    (PAGES, THREADS, '| `aio_bh_thing()`', '| `aio_bh_think()`', 'aio_bh_thing is missing'),
    (PAGES, THREADS, '| no |', '|', 'without its four columns'),
    (PAGES, BH_C, 'Thread: home', 'Thread: any', 'the table says "home'),
    (PAGES, THREADS, '"n1"', '"n2"', 'threads-and-signals.md#n1 leads to no place'),
    (PAGES, 'docs/README.md', '#c1', '#two-words', 'contract.md#two-words leads to no'),
    (PAGES, 'docs/README.md', '(contract.md#c1)', '(threads-and-signals.md)', 'does not lead to contract.md'),
    (VERSION, 'NEWS', '0.1.0', '0.1.1', 'first entry of NEWS has 0.1.1'),
    (VERSION, 'NEWS', '2026-11-22', '2026-11-32', 'NEWS: '),
    (VERSION, 'NEWS', '\n=', '\n\n=', 'no entry'),
    (VERSION, 'version.h', '"0.1.0"', '"0.1.2"', 'AIO_VERSION_S has 0.1.2'),
    (VERSION, 'packaging/debian/changelog', '0.1.0', '0.2.0', 'debian/changelog has 0.2.0'),
    (VERSION, 'packaging/debian/changelog', '22', '21', 'is not of 2026-11-21'),
    (VERSION, 'packaging/debian/changelog', ' (0', ' 0', 'does not begin with an entry'),
    (VERSION, 'README.md', 'Version 0.1.0', 'Version 1.0.0', 'README.md has 1.0.0'),
    (VERSION, 'README.md', '>= 0.1', '>= 0.2', 'dependency() has 0.2'),
    (VERSION, BH_C, 'Since: 0.1', 'Since: 0.2', 'Since: 0.2 is to come'),
    (PACKAGES, SYMBOLS, ' aio_bh_thing@Base 0.1\n', '', 'missing:  aio_bh_thing@Base 0.1'),
    (PACKAGES, SYMBOLS, '0.1', '0.2', 'too much:  aio_bh_thing@Base 0.2'),
    (PACKAGES, SYMBOLS, 'thing@', 'think@', 'too much:  aio_bh_think@Base 0.1'),
    (VERSION, 'version.h', '(1)', '(2)', 'aio-version.h has 0.2.0'),
]


def write(folder, name, text):
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')


def run(folder, command):
    """Runs a check as a program of its own would; returns (exit status, output)."""
    output = io.StringIO()
    sys.argv = [str(HERE / command[0]), *command[1:]]
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            runpy.run_path(sys.argv[0], run_name='__main__')
    except SystemExit as end:
        return end.code, output.getvalue()
    return 0, output.getvalue()


def complaints_without_fault(folder, command):
    status, output = run(folder, command)
    return [] if status == 0 else [output]


def complaints_with_fault(folder, command, name, old, new, wanted):
    if old not in TREE[name]:
        return [f'{name} does not contain {old!r}']
    write(folder, name, TREE[name].replace(old, new))
    status, output = run(folder, command)
    write(folder, name, TREE[name])
    if status == 0:
        return [f'{command[0]} accepts {name} with {new!r} for {old!r}']
    return [] if wanted in output else [f'no {wanted!r} in:\n{output}']


def main():
    tap = tree.Tap()
    with tempfile.TemporaryDirectory() as folder:
        for name, text in TREE.items():
            write(folder, name, text)
        for command in (LINT, COVERAGE, PAGES, VERSION, PACKAGES):
            tap.result(f'{command[0]}: a tree in order', complaints_without_fault(folder, command))
        for command, *fault in FAULTS:
            tap.result(f'{command[0]}: {fault[-1]}', complaints_with_fault(folder, command, *fault))
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
