#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each block of code in a page is a part of one of the example programs, word for word.

usage: check-excerpts.py PAGE EXAMPLES [SUFFIX...]      the suffixes of the languages, else c
"""
import re
import sys
from pathlib import Path


def main():
    page, examples, *suffixes = sys.argv[1:]
    suffixes = suffixes or ['c']
    sources = {path.name: path.read_text(encoding='utf-8')
               for suffix in suffixes for path in Path(examples).glob(f'*.{suffix}')}
    text = Path(page).read_text(encoding='utf-8')
    count = failed = 0
    for match in re.finditer(r'^```(?:c|js|python|vala)\n(.*?)^```', text, re.M | re.S):
        count += 1
        names = [name for name, source in sources.items() if match.group(1) in source]
        failed += not names
        line = text.count('\n', 0, match.start()) + 1
        print(f"{'ok' if names else 'not ok'} {count} - line {line}: {', '.join(names)}")
    print(f'1..{count}')
    return 1 if failed or not count else 0


if __name__ == '__main__':
    sys.exit(main())
