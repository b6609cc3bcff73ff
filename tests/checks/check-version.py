#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The version is the same wherever it stands, and the newest entry of NEWS has a date.

usage: check-version.py ROOT MESON-VERSION AIO-VERSION-H [PC-FILE]
"""
import re
import sys
from datetime import date
from pathlib import Path

sys.dont_write_bytecode = True
import tree  # noqa: E402

ENTRY = re.compile(r'^aioctx-gsource (\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)\n=+$', re.M)


def macro(text, name):
    match = re.search(rf'^#define {name} (?:\((\d+)\)|"([^"]*)")$', text, re.M)
    return (match.group(1) or match.group(2)) if match else None


def not_equal(what, found, wanted):
    return [] if found == wanted else [f'{what} has {found}, meson.build {wanted}']


def news_complaints(text, version):
    entries = ENTRY.findall(text)
    if not entries:
        return ['NEWS has no entry "aioctx-gsource X.Y.Z (YYYY-MM-DD)" with a line of = below']
    complaints = not_equal('the first entry of NEWS', entries[0][0], version)
    try:
        days = [date.fromisoformat(day) for _, day in entries]
    except ValueError as error:
        return complaints + [f'NEWS: {error}']
    if days != sorted(days, reverse=True):
        complaints.append('the entries of NEWS are not in the order of their dates, newest first')
    return complaints


def main():
    root, version, header, *pc = sys.argv[1:]
    text = Path(header).read_text(encoding='utf-8')
    parts = '.'.join(str(macro(text, f'AIO_{part}_VERSION'))
                     for part in ('MAJOR', 'MINOR', 'MICRO'))
    tap = tree.Tap()
    tap.result('AIO_VERSION_S', not_equal('AIO_VERSION_S', macro(text, 'AIO_VERSION_S'), version))
    tap.result('AIO_MAJOR_VERSION and the others', not_equal('aio-version.h', parts, version))
    tap.result('NEWS', news_complaints(tree.read(root, 'NEWS'), version))
    for path in pc:
        found = re.search(r'^Version: (.*)$', Path(path).read_text(encoding='utf-8'), re.M)
        tap.result(Path(path).name, not_equal(path, found and found.group(1), version))
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
