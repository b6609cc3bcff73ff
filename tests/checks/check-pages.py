#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the pages say about code is so.

usage: check-pages.py ROOT [COMPILE-COMMANDS]

- Each block of code is a part of an example, word for word, or all of one if it begins with the
  SPDX line; and that example is built, if the commands of the build folder are given.
- The table of threads has each public function once, and says what the function's comment says.
- The table of floors in docs/design.md is that of lint.py.
- What docs/porting-from-qemu.md lists as there is in the headers.
- Each function that a page names is in the library, or in the headers of whoever it belongs to.
- docs/README.md leads to each page, and each link to a heading or an anchor.
"""
import re
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
import lint  # noqa: E402
import tree  # noqa: E402

SUFFIXES = {'c': '.c', 'js': '.js', 'python': '.py', 'vala': '.vala'}
TABLE = 'docs/threads-and-signals.md'
# These need something that is not always there, and then they are not built.
OPTIONAL = {'foreign-libuv.c', 'gtk-filesum'}

# Whose a function is, by the beginning of its name: where its headers are.
PEERS = {
    'g': ('glib', ['gio-2.0', 'gio-unix-2.0'], []),
    'gtk': ('GTK', ['gtk4'], []),
    'gdk': ('GTK', ['gtk4'], []),
    'uv': ('libuv', ['libuv'], ['uv.h', 'uv/*.h']),
    'ev': ('libev', [], ['ev.h']),
    'sd': ('libsystemd', ['libsystemd'], ['systemd/*.h']),
}
# Names of what is not there are in order under this heading.
MISSING = re.compile(r'^## What is missing\n.*?(?=^## |\Z)', re.M | re.S)


def pages(root):
    return [path for path in tree.source_files(root)
            if path.suffix == '.md' and (path.parts[0] == 'docs' or str(path) == 'README.md')]


# Blocks of code.

def blocks(text):
    for match in re.finditer(r'^```(\w+)\n(.*?)^```', text, re.M | re.S):
        if match.group(1) in SUFFIXES:
            yield tree.line_of(text, match.start()), SUFFIXES[match.group(1)], match.group(2)


def examples(root):
    return {path: tree.read(root, path) for path in tree.source_files(root)
            if path.parts[0] == 'examples' and path.suffix in SUFFIXES.values()}


def quotes(source, block):
    return block == source if 'SPDX-License-Identifier' in block else block in source


def is_optional(path):
    return bool(OPTIONAL & set(path.parts))


def complaints_about_blocks(root, commands):
    sources = examples(root)
    for page in pages(root):
        for line, suffix, block in blocks(tree.read(root, page)):
            found = [path for path, source in sources.items()
                     if path.suffix == suffix and quotes(source, block)]
            if not found:
                yield f'{page}:{line}: no example has this code'
            elif commands and suffix == '.c' and not any(
                    f'/{path}"' in commands or is_optional(path) for path in found):
                yield f'{page}:{line}: {found[0]} is not built'


# The table of threads.

def thread_lines(root):
    """{'aio_bh_schedule': 'any thread and signal handler'} of the native functions."""
    bodies = {name: body for _, _, name, body in lint.doc_blocks(root)}
    found = {}
    for name, symbol in tree.declarations(root).items():
        if symbol.kind == 'function' and 'testing' not in symbol.path.parts:
            match = lint.THREAD.search(bodies.get(name, ''))
            found[name] = match.group(1) if match else 'any thread'
    return found


def complaints_about_row(cells, wanted):
    thread, signal, *rest = cells
    if not thread.startswith(wanted.split()[0]):
        yield f'the table says "{thread}", its comment "{wanted}"'
    if signal.startswith('**yes**') != wanted.endswith('signal handler'):
        yield f'the table says "{signal}" for signal handlers, its comment "{wanted}"'
    for cell in rest:
        if not re.match(r'(yes|no)\b', cell):
            yield f'neither yes nor no: "{cell}"'


def complaints_about_table(root):
    text = tree.read(root, TABLE)
    wanted = thread_lines(root)
    seen = set()
    for match in re.finditer(r'^\| `(\w+)\(\)` \| (.*) \|$', text, re.M):
        name, cells = match.group(1), match.group(2).split(' | ')
        if name in seen or name not in wanted or len(cells) != 4:
            yield f'{TABLE}: {name}: twice, or of no public header, or without its four columns'
            continue
        seen.add(name)
        for complaint in complaints_about_row(cells, wanted[name]):
            yield f'{TABLE}: {name}: {complaint}'
    yield from (f'{TABLE}: {name} is missing' for name in sorted(set(wanted) - seen))


# The table of floors.

DESIGN = 'docs/design.md'
FRACTIONS = {'¼': 0.25, '½': 0.5}


def floors_of_page(text):
    """{'aio-bh': 2} of the rows "| 2 | bottom halves | `bh` | …"; an empty cell is as above."""
    found, floor = {}, None
    rows = re.findall(r'^\| (\d?)([¼½]?) *\|[^|]*\| ((?:`[\w-]+`(?:, )?)+) \|', text, re.M)
    for whole, fraction, files in rows:
        if whole or fraction:
            floor = int(whole or 0) + FRACTIONS.get(fraction, 0)
        found.update((f'aio-{name}', floor) for name in re.findall(r'`([\w-]+)`', files))
    return found


def complaints_about_floors(root):
    found = floors_of_page(tree.read(root, DESIGN))
    wanted = {name: floor for floor, parts in lint.FLOORS.items()
              for names in parts.values() for name in names}
    for name in sorted(set(found) | set(wanted)):
        if found.get(name) != wanted.get(name):
            yield f'{DESIGN}: {name}: floor {found.get(name)}, in lint.py {wanted.get(name)}'


# The table of what QEMU's code calls.

QEMU = 'docs/porting-from-qemu.md'


def complaints_about_qemu(root):
    """Of the first column. "`_ns`" stands for a name that the page has in full nowhere, and is not
    looked for."""
    words = {word for path in tree.installed_headers(root)
             for word in re.findall(r'\w+', tree.read(root, path))}
    text = tree.read(root, QEMU).partition('\n## Function by function\n')[2]
    cells = re.findall(r'^\| (`[^|]*) \|', text, re.M)
    names = re.findall(r'`([a-zA-Z]\w*)(\*?)', ' '.join(cells))
    if not names:
        yield f'{QEMU}: no table'
    for name, star in names:
        if name not in words and not (star and any(word.startswith(name) for word in words)):
            yield f'{QEMU}: {name} is in no header'


# Functions that are named.

def named_functions(root, prefix):
    for page in pages(root):
        text = MISSING.sub(tree.blank_out, tree.read(root, page))
        text = re.sub(r'^```.*?^```', tree.blank_out, text, flags=re.M | re.S)
        for match in re.finditer(rf'`[^`\n]*?\b({prefix}_\w+) ?\([^`\n]*`', text):
            yield page, tree.line_of(text, match.start()), match.group(1)


SYSTEM = [Path('/usr/include'), Path('/usr/local/include')]


def folders_of(packages):
    """Where their headers are, the common folders of the system aside."""
    if not packages:
        return []
    flags = subprocess.run(['pkg-config', '--cflags-only-I', *packages], check=False,
                           capture_output=True, text=True).stdout.split()
    return [Path(flag[2:]) for flag in flags if Path(flag[2:]) not in SYSTEM]


def words_of_peer(packages, patterns):
    """All words of its headers; none if they are not there."""
    headers = {header for folder in SYSTEM for pattern in patterns
               for header in folder.glob(pattern)}
    headers |= {header for folder in folders_of(packages) for header in folder.rglob('*.h')}
    return {word for header in headers
            for word in re.findall(r'\w+', header.read_text(errors='replace'))}


def words_of_library(root):
    words = set()
    for path in tree.source_files(root):
        if path.parts[0] == 'aioctx-gsource' and path.suffix in ('.c', '.h', '.py'):
            words |= set(re.findall(r'\w+', tree.read(root, path)))
    return words


def complaints_about_names(root, prefix, words):
    for page, line, name in named_functions(root, prefix):
        if name not in words:
            yield f'{page}:{line}: there is no {name}()'


def check_names(root, tap):
    tap.result('functions of the library',
               list(complaints_about_names(root, 'aio', words_of_library(root))))
    for prefix, (peer, packages, patterns) in PEERS.items():
        if not any(named_functions(root, prefix)):
            continue
        words = words_of_peer(packages, patterns)
        if words:
            tap.result(f'functions of {peer}: {prefix}_',
                       list(complaints_about_names(root, prefix, words)))
        else:
            tap.skip(f'functions of {peer}: {prefix}_', 'its headers are not there')


# The list of pages.

def complaints_about_list(root):
    text = tree.read(root, 'docs/README.md')
    for page in pages(root):
        if page.parent == Path('docs') and page.name != 'README.md' and \
           not re.search(rf'\]\({page.name}[)#]', text):
            yield f'docs/README.md does not lead to {page.name}'


# Anchors.

def anchors(text):
    """Those of headings as forges make them, and those that are written down."""
    text = re.sub(r'^```.*?^```', '', text, flags=re.M | re.S)
    for heading in re.findall(r'^#+ (.*)$', text, re.M):
        yield re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-')
    yield from re.findall(r'<a id="([^"]+)">', text)


def complaints_about_anchors(root):
    for page in pages(root):
        text = re.sub(r'^```.*?^```', tree.blank_out, tree.read(root, page), flags=re.M | re.S)
        for match in re.finditer(r'\]\(([^)#\s:]*)#([^)\s]+)\)', text):
            target = Path(root, page.parent, match.group(1)) if match.group(1) \
                else Path(root, page)
            if target.is_file() and \
               match.group(2) not in anchors(target.read_text(encoding='utf-8')):
                yield f'{page}:{tree.line_of(text, match.start())}: ' \
                      f'{target.name}#{match.group(2)} leads to no place'


def main():
    root, *rest = sys.argv[1:]
    commands = Path(rest[0]).read_text(encoding='utf-8') if rest else ''
    tap = tree.Tap()
    tap.result('blocks of code are those of examples',
               list(complaints_about_blocks(root, commands)))
    tap.result('the table of threads is that of the headers', list(complaints_about_table(root)))
    if Path(root, DESIGN).exists():     # not in the small tree of check-checks.py
        tap.result('the table of floors', list(complaints_about_floors(root)))
        tap.result('what is there for code of QEMU', list(complaints_about_qemu(root)))
    check_names(root, tap)
    tap.result('docs/README.md leads to each page', list(complaints_about_list(root)))
    tap.result('links lead to headings and anchors', list(complaints_about_anchors(root)))
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
