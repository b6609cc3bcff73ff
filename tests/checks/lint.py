#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks of the sources that no compiler makes.

usage: lint.py ROOT [--pc FILE]     every check, as TAP
       lint.py ROOT --only NAME     one of them (docs, spdx, layout, atomics, floors,
                                    compat, length, links, glib-floor)
"""
import argparse
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
import tree  # noqa: E402

LIBRARY = 'aioctx-gsource'
COLUMNS = 100
LONGEST_FUNCTION = 60

# The house. A file includes headers of its own part and of lower floors, nothing else, so arrows
# point down only and parts on one floor do not know each other. A new file is added here. (The
# anchor ties the parts of floor 1 together, hence its place between two floors.)
FLOORS = {
    0: {'atomic': ['aio-atomic', 'aio-pause'],
        'test-entry': ['aio-test-entry'],
        'types': ['aio-macros', 'aio-types', 'aio-version', 'aio-wake'],
        'fork': ['aio-fork'],
        'func-name': ['aio-func-name'],
        'trace': ['aio-trace'],
        'membarrier': ['aio-membarrier'],
        'patience': ['aio-patience'],
        'boxed': ['aio-boxed']},
    0.5: {'debug': ['aio-debug'],
          'fault': ['aio-fault']},
    1: {'event-notifier': ['aio-event-notifier'],
        'home': ['aio-home']},
    1.25: {'notify': ['aio-notify']},
    1.5: {'anchor': ['aio-anchor'],
          'turn': ['aio-turn'],
          'meter': ['aio-meter']},
    2: {'bh': ['aio-bh', 'aio-bh-memory', 'aio-bh-pass', 'aio-bh-profile', 'aio-bh-queue',
               'aio-bh-shuffle', 'aio-bh-watch', 'aio-oneshot'],
        'timer': ['aio-timer', 'aio-timer-heap'],
        'fd': ['aio-fd', 'aio-fdmon-epoll', 'aio-fdmon-poll']},
    2.5: {'timerfd': ['aio-timerfd']},
    3: {'context': ['aio-context', 'aio-context-bh', 'aio-context-busy', 'aio-context-debug',
                    'aio-context-fd', 'aio-context-life', 'aio-context-list', 'aio-context-source',
                    'aio-context-timer', 'aio-context-wakes']},
    4: {'io-thread': ['aio-io-thread'],
        'invoke': ['aio-invoke'],
        'gio': ['aio-gio', 'aio-bh-object'],
        'introspect': ['aio-introspect'],
        'compat': ['aio-compat'],
        'test-hooks': ['aio-test-hooks']},
    4.5: {'dump': ['aio-dump', 'aio-dump-collect', 'aio-dump-print', 'aio-dump-signal']},
}
# Floor 5, the folder compat/: what its sources include beside the umbrella and each other.
COMPAT_MAY_INCLUDE = {'aio-atomic-private.h', 'aio-compat-private.h'}
# The umbrella is how a source file sees the public interface as its users do.
UMBRELLA = 'aioctx-gsource'


def library_code(root):
    return [path for path in tree.source_files(root)
            if path.parts[0] == LIBRARY and path.suffix in ('.c', '.h')]


def c_code(root):
    return [path for path in tree.source_files(root)
            if path.suffix in ('.c', '.h') or path.name.endswith('.h.in')]


# Documentation of public symbols.

def doc_blocks(root):
    """(path, line, name, text) of each gtk-doc comment of the library."""
    for path in tree.source_files(root):
        if path.parts[0] != LIBRARY or not path.name.endswith(('.c', '.h', '.h.in')):
            continue
        text = tree.read(root, path)
        for match in re.finditer(r'/\*\*\n(.*?)\*/', text, re.S):
            lines = [re.sub(r'^ \* ?', '', line) for line in match.group(1).splitlines()]
            name = re.match(r'([\w:]+?):(?:\s|$)', lines[0])
            if name:
                body = '\n'.join([lines[0][name.end():], *lines[1:]])
                yield path, tree.line_of(text, match.start()) + 1, name.group(1), body


def documented_parameters(body):
    return dict(re.findall(r'^@(\w+|\.\.\.): *((?:.|\n(?![\n@]))*)', body, re.M))


THREAD = re.compile(r'^Thread: (any thread and signal handler|any thread|home thread)\b', re.M)


# Annotations of the whole symbol, behind its name, and what describes parts of it.
ANNOTATIONS = re.compile(r'\A\s*(?:\([\w -]+\)\s*)*:?')
PARTS = re.compile(r'^(?:@(?:\w+|\.\.\.):|Returns:)(?:.|\n(?![\n@]))*\n?', re.M)
SUMMARY = re.compile(r'(?!Thread:|Since:)[A-Z%#`@\[][^\n]*?[.?](?= |$)')
LONGEST_SUMMARY = 250

NULL_IS_FINE = re.compile(r'\((?:nullable|optional|not nullable|out|inout)\b')
BY_REFERENCE = re.compile(r'\*\s*\*|^(?:g?u?int\w*|gsize|gboolean|g?double) \*')
DIRECTION = re.compile(r'\((?:out|inout|array|in)\b')


def summary(body):
    """The sentence that a comment begins with, or None."""
    text = PARTS.sub('', ANNOTATIONS.sub('', body)).strip()
    match = SUMMARY.match(' '.join(re.split(r'\n\s*\n', text)[0].split()))
    return match.group() if match and len(match.group()) <= LONGEST_SUMMARY else None


def complaints_about_pointers(declared, body):
    """Whose is it, may it be NULL, and does something come back in it?"""
    texts = documented_parameters(body)
    for parameter in declared.params:
        name = tree.parameter_name(parameter)
        text = texts.get(name, '')
        if 'NULL' in text and not NULL_IS_FINE.search(text):
            yield f'no (nullable) behind "@{name}:", which may be NULL'
        if BY_REFERENCE.search(parameter) and 'GError' not in parameter \
           and not DIRECTION.search(text):
            yield f'no (out), (inout) or (array) behind "@{name}:"'
    returns = re.search(r'^Returns:((?:.|\n(?!\n))*)', body, re.M)
    if returns and ('*' in declared.returns or declared.returns == 'gpointer'):
        if '(transfer ' not in returns.group(1):
            yield 'no (transfer …) behind "Returns:"'
        if 'NULL' in returns.group(1) and '(nullable)' not in returns.group(1):
            yield 'no (nullable) behind "Returns:", which may be NULL'


def complaints_about_function(declared, body, callbacks):
    returns = re.search(r'^Returns:((?:.|\n(?!\n))*)', body, re.M)
    if not THREAD.search(body):
        yield 'no line "Thread: any thread and signal handler." (or "any thread", "home thread")'
    if (returns is None) != (declared.returns == 'void'):
        yield f'it returns {declared.returns}, but "Returns:" is ' \
              f'{"missing" if returns is None else "there"}'
    texts = {} if body.startswith('(skip)') else documented_parameters(body)
    for parameter in declared.params:
        name = tree.parameter_name(parameter)
        if parameter.split()[0] in callbacks and '(scope ' not in texts.get(name, '(scope '):
            yield f'no (scope …) behind "@{name}:"'


def complaints_about_docs(declared, body, callbacks):
    """What is missing in the comment of one symbol."""
    wanted = {name if declared.kind == 'type' else tree.parameter_name(name)
              for name in declared.params}
    given = set(documented_parameters(body))
    for name in sorted(wanted - given):
        yield f'no line "@{name}:"'
    for name in sorted(given - wanted):
        yield f'"@{name}:" describes what is not there'
    if summary(body) is None:
        yield 'it does not begin with a sentence that sums it up'
    if declared.kind in ('function', 'callback'):
        yield from complaints_about_pointers(declared, body)
    if not re.search(r'^Since: \d+\.\d+$', body, re.M):
        yield 'no line "Since: …"'
    if declared.kind == 'callback' and declared.returns != 'void' \
       and not re.search(r'^Returns:', body, re.M):
        yield 'no "Returns:"'
    if declared.kind == 'function':
        yield from complaints_about_function(declared, body, callbacks)


def check_docs(root, options):
    declared = tree.declarations(root)
    callbacks = {name for name, symbol in declared.items() if symbol.kind == 'callback'}
    seen = {}
    for path, line, name, body in doc_blocks(root):
        where = f'{path}:{line}: {name}:'
        if name in seen:
            yield f'{where} documented in {seen[name]} already'
        elif name not in declared:
            yield f'{where} no public header declares it (a comment that opens with two ' \
                  'asterisks documents a public symbol)'
        else:
            for complaint in complaints_about_docs(declared[name], body, callbacks):
                yield f'{where} {complaint}'
        seen[name] = f'{path}:{line}'
    for name, symbol in declared.items():
        boxed = name.endswith('_get_type')
        if name not in seen and not boxed:
            yield f'{symbol.path}:{symbol.line}: {name}: not documented'


# Text.

def check_spdx(root, options):
    suffixes = ('.c', '.h', '.in', '.py', '.sh', '.build', '.build.in', '.vala', '.js', '.cc')
    for path in tree.source_files(root):
        named = path.name.endswith(suffixes) or path.name == 'meson_options.txt' \
            or path.as_posix() in tree.SCRIPTS
        if named and 'SPDX-License-Identifier: LGPL-2.1-or-later' not in \
           '\n'.join(tree.read(root, path).splitlines()[:3]):
            yield f'{path}:1: no SPDX line within the first three lines'


CALL = re.compile(r'\b([A-Za-z_]\w*)\(')
DEFINED = re.compile(r'^\s*#\s*define\s+\w+\(')


def complaints_about_line(line):
    if '\t' in line:
        yield 'a tab'
    if line != line.rstrip():
        yield 'blanks at the end'


def complaints_about_c_line(line, code):
    if len(line) > COLUMNS:
        yield f'{len(line)} columns, {COLUMNS} are allowed'
    call = CALL.search(DEFINED.sub('', code))
    if call:
        yield f'write "{call.group(1)} (" with a space'


def complaints_about_return_types(lines):
    """A definition begins its line with the function's name; the type stands above."""
    for number, line in enumerate(lines):
        if line != '{':
            continue
        start = number
        while start and re.match(r'[^#;}]+$', lines[start - 1]) and lines[start - 1].strip():
            start -= 1
        head = lines[start:number]
        if any('(' in each for each in head) and not any('=' in each for each in head) \
           and not any(re.match(r'\w+ \(', each) for each in head):
            yield start + 1, 'the return type of a function stands on a line of its own'


def check_layout(root, options):
    for path in tree.source_files(root):
        named = path.suffix in ('.c', '.h', '.in', '.py', '.sh', '.build', '.md', '.txt') \
            or path.as_posix() in tree.SCRIPTS or path.name == 'NEWS'
        if not named or path.parts[0] == 'LICENSES':
            continue
        text = tree.read(root, path)
        is_c = path.suffix in ('.c', '.h')
        code = tree.without_strings(tree.without_comments(text)) if is_c else ''
        found = []
        for number, (line, bare) in enumerate(
                zip(text.split('\n'), code.split('\n') if is_c else text.split('\n')), 1):
            found += [(number, each) for each in complaints_about_line(line)]
            if is_c:
                found += [(number, each) for each in complaints_about_c_line(line, bare)]
        if is_c:
            found += complaints_about_return_types(code.split('\n'))
        if text and not text.endswith('\n'):
            found.append((text.count('\n') + 1, 'no newline at the end of the file'))
        for number, complaint in sorted(found):
            yield f'{path}:{number}: {complaint}'


def check_links(root, options):
    """A link in a page to a file of the tree leads somewhere."""
    for path in tree.source_files(root):
        if path.suffix != '.md':
            continue
        text = re.sub(r'```.*?```', tree.blank_out, tree.read(root, path), flags=re.S)
        for match in re.finditer(r'\]\(([^)\s]+)\)', text):
            target = match.group(1).split('#')[0]
            if target and not re.match(r'[a-z]+:', target) \
               and not (Path(root) / path.parent / target).exists():
                yield f'{path}:{tree.line_of(text, match.start())}: {target} is not there'


# Code.

ATOMICS = re.compile(r'\b(__atomic_\w+|__sync_\w+|g_atomic_(?!rc_box)\w+|stdatomic\.h|memory_order_\w+'
                     r'|atomic_(?:load|store|exchange|compare|fetch|thread|signal|flag|init|bool'
                     r'|u?int|u?long|uintptr)\w*)')
ATOMIC_FIELD = re.compile(r'\b_Atomic\s*\([^)]*\)\s*([\w\s,*]+?)\s*(?:\[[^\]]*\])?\s*[;=]')


def atomic_fields(codes):
    """Names of atomic fields; one that another struct uses for a plain field is left out."""
    names, plain = set(), set()
    for code in codes:
        for match in ATOMIC_FIELD.finditer(code):
            names.update(re.findall(r'\w+', match.group(1)))
        rest = ATOMIC_FIELD.sub(' ', code)
        plain.update(re.findall(r'^[ \t]+[\w \t]+[ *](\w+);', rest, re.M))
    return names - plain


def check_atomics(root, options):
    codes = {path: tree.without_comments(tree.read(root, path)) for path in library_code(root)
             if path.name != 'aio-atomic-private.h'}
    fields = atomic_fields(codes.values())
    for path, code in codes.items():
        for match in ATOMICS.finditer(code):
            yield f'{path}:{tree.line_of(code, match.start())}: {match.group(1)} belongs into ' \
                  'aio-atomic-private.h'
        # C lets "word->state = 1" compile to an access with the dearest order. Say which is meant.
        for match in re.finditer(r'(&?) ?\(?(?:[\w\]\[]+(?:->|\.))+(\w+)\b', code):
            if match.group(2) in fields and not match.group(1):
                yield f'{path}:{tree.line_of(code, match.start())}: {match.group(2)} is atomic: ' \
                      'pass its address to a function of aio-atomic-private.h'


def stem(name):
    return re.sub(r'(-private)?\.[ch]$', '', name)


def check_floors(root, options):
    rooms = {name: (floor, part) for floor, parts in FLOORS.items()
             for part, names in parts.items() for name in names}
    for path in library_code(root):
        here = stem(path.name)
        if here == UMBRELLA or len(path.parts) > 2:
            continue
        if here not in rooms:
            yield f'{path}:1: give {here} a place in FLOORS in tests/checks/lint.py'
            continue
        text = tree.without_comments(tree.read(root, path))
        for match in re.finditer(r'^#\s*include\s+[<"](?:aioctx-gsource/)?(aio[^/">]*)[>"]', text,
                                 re.M):
            there = stem(match.group(1))
            where = f'{path}:{tree.line_of(text, match.start())}'
            if there == UMBRELLA:
                continue
            if there not in rooms:
                yield f'{where}: {match.group(1)} has no place in FLOORS'
            elif rooms[there] != rooms[here] and rooms[there][0] >= rooms[here][0]:
                yield f'{where}: {here} (floor {rooms[here][0]}, {rooms[here][1]}) may not include ' \
                      f'{match.group(1)} (floor {rooms[there][0]}, {rooms[there][1]})'


def check_compat_includes(root, options):
    """Code in compat/ stands on the public interface; its headers on nothing else."""
    for path in library_code(root):
        if tree.COMPAT not in path.parts:
            continue
        text = tree.without_comments(tree.read(root, path))
        for match in re.finditer(r'^#\s*include\s+[<"]aioctx-gsource/([^">]*)[>"]', text, re.M):
            allowed = COMPAT_MAY_INCLUDE if path.suffix == '.c' else set()
            if stem(match.group(1)) != UMBRELLA and match.group(1) not in allowed:
                yield f'{path}:{tree.line_of(text, match.start())}: compat may not include ' \
                      f'{match.group(1)}'


def check_length(root, options):
    for path in library_code(root):
        opened = 0
        for number, line in enumerate(tree.read(root, path).split('\n'), 1):
            if line.startswith('{'):
                opened = number
            elif line.startswith('}') and opened:
                if number - opened - 1 > LONGEST_FUNCTION:
                    yield f'{path}:{opened}: a function of {number - opened - 1} lines, ' \
                          f'{LONGEST_FUNCTION} are allowed'
                opened = 0


# Figures that stand in several places.

def floors_named(root, pc):
    """(where, version) for each place that says which GLib is needed."""
    build = tree.read(root, 'meson.build')
    for version in re.findall(r"glib_floor = '([\d.]+)'", build):
        yield 'meson.build: glib_floor', version
    for macro, major, minor in re.findall(r'(GLIB_VERSION_M\w+)=GLIB_VERSION_(\d+)_(\d+)', build):
        yield f'meson.build: {macro}', f'{major}.{minor}'
    readme = Path(root) / 'README.md'
    if readme.exists():
        text = readme.read_text(encoding='utf-8')
        found = re.findall(r'(?:GLib|GIO|glib-2\.0|gio-2\.0)\W*(?:>=|≥|&ge;)?\s*(\d+\.\d+)', text)
        for version in found or ['no version']:
            yield 'README.md', version
    else:
        yield 'README.md', 'no such file'
    if pc:
        text = Path(pc).read_text(encoding='utf-8')
        found = re.findall(r'\bg(?:lib|io)-2\.0 >= *([\d.]+)', text)
        for version in found or ['no version']:
            yield Path(pc).name, version


def check_glib_floor(root, options):
    named = list(floors_named(root, options.pc))
    if len({version for _, version in named}) != 1:
        for where, version in named:
            yield f'{where}: {version}'


CHECKS = {
    'docs': ('public symbols are documented', check_docs),
    'spdx': ('source files have an SPDX line', check_spdx),
    'layout': ('layout', check_layout),
    'links': ('links in the pages', check_links),
    'atomics': ('atomics only in aio-atomic-private.h', check_atomics),
    'floors': ('includes point down', check_floors),
    'compat': ('compat stands on the public interface', check_compat_includes),
    'length': (f'functions of at most {LONGEST_FUNCTION} lines', check_length),
    'glib-floor': ('one GLib floor', check_glib_floor),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('root')
    parser.add_argument('--pc')
    parser.add_argument('--only', choices=CHECKS)
    options = parser.parse_args()
    tap = tree.Tap()
    for key, (title, check) in CHECKS.items():
        if options.only in (None, key):
            tap.result(title, list(check(options.root, options)))
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
