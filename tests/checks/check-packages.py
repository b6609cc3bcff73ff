#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian packages know the symbols that the libraries export, each since the version that its
comment says.

usage: check-packages.py ROOT VERSION [--write]

What has no comment keeps the version that is stored, or begins with VERSION. --write stores what
there is, by ./dev abi.
"""
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
import lint  # noqa: E402
import tree  # noqa: E402

# By the folder of its headers.
LIBRARIES = {
    'aioctx-gsource': 'aioctx-gsource',
    'aioctx-gsource/compat': 'aioctx-gsource-qemu',
    'aioctx-gsource/testing': 'aioctx-gsource-testing',
}
SYMBOL = re.compile(r'^ (\w+)@Base (\S+)$', re.M)


def since(root):
    found = {}
    for _, _, name, body in lint.doc_blocks(root):
        version = re.search(r'^Since: (\d+\.\d+)$', body, re.M)
        if version:
            found[name] = version.group(1)
    return found


def wanted_text(root, folder, versions):
    name = LIBRARIES[folder]
    functions, others = tree.exports(root, folder)
    lines = [f'lib{name}-1.so.0 lib{name}-1-0 #MINVER#',
             '* Build-Depends-Package: libaioctx-gsource-dev']
    lines += [f' {symbol}@Base {versions(symbol)}' for symbol in sorted(functions | others)]
    return '\n'.join(lines) + '\n'


def complaints(path, text, wanted):
    if text == wanted:
        return []
    there, promised = set(text.splitlines()), set(wanted.splitlines())
    return [f'{path}: run ./dev abi', *(f'missing: {line}' for line in sorted(promised - there)),
            *(f'too much: {line}' for line in sorted(there - promised))]


def main():
    root, version, *rest = sys.argv[1:]
    said = since(root)
    tap = tree.Tap()
    for folder, name in LIBRARIES.items():
        path = Path(root, 'packaging', 'debian', f'lib{name}-1-0.symbols')
        text = path.read_text(encoding='utf-8') if path.exists() else ''
        stored = dict(SYMBOL.findall(text))
        first = '.'.join(version.split('.')[:2])
        wanted = wanted_text(root, folder,
                             lambda symbol: said.get(symbol) or stored.get(symbol, first))
        if '--write' in rest:
            path.write_text(wanted, encoding='utf-8')
            text = wanted
        tap.result(path.name, complaints(path.name, text, wanted))
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
