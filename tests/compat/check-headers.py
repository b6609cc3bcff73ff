#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compiles each compat header alone, and all of them in several orders, as C11 and as C++, also
between declarations that programs make themselves. Any warning is a failure.

usage: check-headers.py --flags "FLAGS" --compat DIR --cc CC [--cxx CXX]

Nearly all of the time would go into reading GLib's headers, so they are compiled once for each
language. What comes without them is compiled once more without that.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

WARNINGS = ['-Wall', '-Wextra', '-Wpedantic', '-Werror']

# As in headers of programs that do without an include.
DECLARATIONS = '''
struct AioContext;
struct QEMUBH;
typedef struct AioContext AioContext;
typedef struct QEMUBH QEMUBH;
typedef struct QEMUTimer QEMUTimer;
typedef struct EventNotifier EventNotifier;
typedef struct IOThread IOThread;
typedef struct BlockDriverAIOCB BlockDriverAIOCB;
typedef struct BlockAIOCB BlockAIOCB;
typedef struct BlockDriverState BlockDriverState;
typedef struct Error Error;
typedef struct QemuMutex QemuMutex;
typedef struct QemuThread QemuThread;
typedef void QEMUBHFunc (void *opaque);
typedef void IOHandler (void *opaque);
'''

USES = '''
struct device { struct AioContext *ctx; struct QEMUBH *bh; QEMUTimer *timer; };
AioContext *make_device (struct device *device, QEMUBHFunc *func);
AioContext *
make_device (struct device *device, QEMUBHFunc *func)
{
  QEMUBH *bh = aio_bh_new (device->ctx, func, device);
  AioBH *native = bh;
  device->bh = bh;
  qemu_bh_schedule (device->bh);
  aio_bh_delete (native);
  return device->ctx;
}
'''


def include(*headers):
    return ''.join(f'#include "{header}"\n' for header in headers)


def texts(headers):
    """(name, text) of each file to compile."""
    for header in headers:
        yield header, include(header)
    for start in (0, len(headers) // 2):
        yield f'all from {headers[start]}', include(*headers[start:], *headers[:start])
    yield 'all backwards', include(*headers[::-1])
    for header in ('qemu-aio.h', 'qemu/main-loop.h'):
        yield f'declarations before {header}', DECLARATIONS + include(header) + USES
    yield 'declarations behind', include('block/aio.h') + DECLARATIONS + USES
    yield 'native header first', \
        include('aioctx-gsource/aioctx-gsource.h', 'block/aio.h') + DECLARATIONS + USES
    yield 'native header behind', \
        DECLARATIONS + include('block/aio.h', 'aioctx-gsource/aioctx-gsource.h') + USES


class Compiler:
    def __init__(self, command, standard, language, flags, folder):
        self.command = [*command.split(), f'-std={standard}', *WARNINGS, *flags.split()]
        self.language = language
        self.folder = pathlib.Path(folder) / language
        self.folder.mkdir()
        header = self.folder / 'glib-first.h'
        header.write_text('#include <gio/gio.h>\n')
        subprocess.run([*self.command, '-x', language + '-header', header, '-o', f'{header}.gch'],
                       check=True)
        self.with_glib = ['-include', header]

    def complaints(self, text, *more):
        source = self.folder / 'source'
        source.write_text(text + 'int compat_headers_compile;\n')
        done = subprocess.run([*self.command, *more, '-fsyntax-only', '-x', self.language, source],
                              capture_output=True, text=True)
        return done.stderr if done.returncode else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--flags', default='')
    parser.add_argument('--compat', required=True)
    parser.add_argument('--cc')
    parser.add_argument('--cxx')
    args = parser.parse_args()

    root = pathlib.Path(args.compat)
    headers = sorted(str(path.relative_to(root)) for path in root.rglob('*.h')
                     if not path.name.startswith('aio-qemu'))
    number = failed = 0

    def result(name, complaints):
        nonlocal number, failed
        number += 1
        failed += complaints is not None
        print(f"{'ok' if complaints is None else 'not ok'} {number} - {name}", flush=True)
        if complaints:
            print(complaints, file=sys.stderr)

    with tempfile.TemporaryDirectory() as folder:
        for command, standard, language in ((args.cc, 'c11', 'c'), (args.cxx, 'c++14', 'c++')):
            if not command:
                continue
            compiler = Compiler(command, standard, language, args.flags, folder)
            result(f'{standard}: without GLib', compiler.complaints(include('block/aio.h')))
            for name, text in texts(headers):
                result(f'{standard}: {name}', compiler.complaints(text, *compiler.with_glib))
    print(f'1..{number}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
