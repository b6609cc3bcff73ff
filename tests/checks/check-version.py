#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The version is the same wherever it stands, and the newest entry of NEWS has a date. What is
documented is not newer than the version.

usage: check-version.py ROOT MESON-VERSION AIO-VERSION-H [PC-FILE]
"""
import re
import sys
from datetime import date
from email.utils import parsedate_to_datetime
from pathlib import Path

sys.dont_write_bytecode = True
import lint  # noqa: E402
import tree  # noqa: E402

ENTRY = re.compile(r'^aioctx-gsource (\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)\n=+$', re.M)


DEBIAN = re.compile(r'^aioctx-gsource \((\d+\.\d+\.\d+)-[^)]+\) .*?^ -- .*>  (.*)$', re.M | re.S)
# In pages: which version this is, and which one a user's meson.build asks for.
NAMED = re.compile(r'(?:\bVersion|aioctx-gsource[ -])\s*v?(\d+\.\d+\.\d+)\b')
ASKED = re.compile(r"dependency\('aioctx-gsource[\w-]*',[^)]*version: '>= (\d+\.\d+)'")


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


def debian_complaints(text, news, version):
    """The entries for a version of Debian's changelog and of NEWS are of one day."""
    entry = DEBIAN.match(text)
    if not entry:
        return ['debian/changelog does not begin with an entry "aioctx-gsource (X.Y.Z-…) …"']
    complaints = not_equal('debian/changelog', entry.group(1), version)
    day = parsedate_to_datetime(entry.group(2)).date().isoformat()
    if ENTRY.findall(news)[:1] != [(entry.group(1), day)]:
        complaints.append(f'the first entry of NEWS is not of {day}, as debian/changelog has it')
    return complaints


def page_complaints(root, version):
    for path in tree.source_files(root):
        if path.suffix != '.md':
            continue
        text = tree.read(root, path)
        for found in NAMED.findall(text):
            yield from not_equal(path, found, version)
        for found in ASKED.findall(text):
            yield from not_equal(f'{path}: dependency()', found, version.rpartition('.')[0])


def since_complaints(root, version):
    newest = [int(part) for part in version.split('.')[:2]]
    for path in lint.library_code(root) + [Path('aioctx-gsource/aio-version.h.in')]:
        text = tree.read(root, path) if (Path(root) / path).exists() else ''
        for match in re.finditer(r'^ \* Since: (\d+)\.(\d+)$', text, re.M):
            if [int(part) for part in match.groups()] > newest:
                yield f'{path}:{tree.line_of(text, match.start())}: {match.group()[3:]} is to come'


def main():
    root, version, header, *pc = sys.argv[1:]
    text = Path(header).read_text(encoding='utf-8')
    parts = '.'.join(str(macro(text, f'AIO_{part}_VERSION'))
                     for part in ('MAJOR', 'MINOR', 'MICRO'))
    tap = tree.Tap()
    tap.result('AIO_VERSION_S', not_equal('AIO_VERSION_S', macro(text, 'AIO_VERSION_S'), version))
    tap.result('AIO_MAJOR_VERSION and the others', not_equal('aio-version.h', parts, version))
    news = tree.read(root, 'NEWS')
    tap.result('NEWS', news_complaints(news, version))
    debian = tree.read(root, 'packaging/debian/changelog')
    tap.result('debian/changelog', debian_complaints(debian, news, version))
    tap.result('pages', list(page_complaints(root, version)))
    tap.result('Since', list(since_complaints(root, version)))
    for path in pc:
        found = re.search(r'^Version: (.*)$', Path(path).read_text(encoding='utf-8'), re.M)
        tap.result(Path(path).name, not_equal(path, found and found.group(1), version))
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
