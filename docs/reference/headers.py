# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pages made of headers: of what the GIR does not know. Those are the testing kit, a library of
its own; what is for C only; and the headers for code that was written for QEMU."""
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tests/checks'))
import lint  # noqa: E402
import tree  # noqa: E402

KIT = 'aioctx-gsource/testing'
COMPAT = 'aioctx-gsource/compat'

TITLES = {'testing-kit': 'The testing kit', 'only-c': 'For C only',
          'qemu-headers': 'Headers for QEMU’s code'}

KIT_TEXT = '''For programs that test code which uses bottom halves and timers; [Testing](testing.html) shows how.
It is a library of its own:

```c
#include <aioctx-gsource/testing/aio-testing.h>
```

```sh
pkg-config --cflags --libs aioctx-gsource-testing-1
```
'''
C_TEXT = '''What the headers offer to C, and other languages do not see.
'''
COMPAT_TEXT = '''What `aioctx-gsource-qemu-1` declares, by header; [Porting from QEMU](porting-from-qemu.html) says
what is different, and under which other names the headers can be included. Comments are those of
the headers. Names that begin with `aio_qemu_` and stand behind these are left out.
'''


def plain(text):
    """Links of gi-docgen as the names of what they mean."""
    def name(match):
        kind, path = match[1], match[2].removeprefix('Aio.').split('.')
        if kind not in ('func', 'method', 'ctor'):
            return f'`Aio{path[-1]}`'
        return '_'.join(['aio', *map(snake, path)]) + '()'
    return re.sub(r'\[(\w+)@([\w.]+)\]', name, text)


def snake(name):
    return re.sub(r'(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_', name).lower()


def prototype(symbol):
    if symbol.kind == 'macro':
        return f"#define {symbol.name}" + (f" ({', '.join(symbol.params)})" if symbol.params else '')
    if symbol.kind == 'type':
        return f'typedef struct _{symbol.name} {symbol.name};'
    returns = symbol.returns + ('' if symbol.returns.endswith('*') else ' ')
    head = f'typedef {returns}(*{symbol.name})' if symbol.kind == 'callback' else \
        f'{returns}\n{symbol.name}'.replace(' \n', '\n')
    pad = ',\n' + ' ' * (len(head.splitlines()[-1]) + 2)
    return f"{head} ({pad.join(symbol.params) or 'void'});"


def item(symbol, body):
    """One symbol as a section."""
    body = plain(re.sub(r'^\(skip\)\n?', '', body.strip()))
    since = re.search(r'^Since: (.*)$', body, re.M)
    returns = re.search(r'^Returns:((?:.|\n(?!\n))*)', body, re.M)
    parameters = lint.documented_parameters(body)
    text = re.sub(r'^(@(\w+|\.\.\.):|Returns:)(.|\n(?![\n@]))*\n?', '', body, flags=re.M)
    text = re.sub(r'^Since:.*$', '', text, flags=re.M).strip()
    # Annotations are for the scanner. Those that tell a reader something stay.
    tidy = lambda words: ' '.join(re.sub(r'\((scope|closure|destroy)[^)]*\):? *', '', words)
                                  .lstrip(': ').split())  # noqa: E731
    suffix = '()' if symbol.kind == 'function' else ''
    lines = [f'<a id="{symbol.name}"></a>', '', f'## {symbol.name}{suffix}', '',
             '```c', prototype(symbol), '```', '', text, '']
    lines += [f'- `{name}`: {tidy(words)}' for name, words in parameters.items()]
    if returns:
        lines += ['', f'**Returns:** {tidy(returns[1])}']
    lines += ['', f'*Since {since[1]}*' if since else '', '']
    return '\n'.join(lines)


def documented(root, wanted):
    """Sections of the symbols that are wanted, in the order of their headers."""
    declared = tree.declarations(root)
    bodies = {name: body for _, _, name, body in lint.doc_blocks(root)}
    order = sorted(declared.values(), key=lambda each: (each.path.as_posix(), each.line))
    symbols = [each for each in order if each.name in bodies and wanted(each)]
    return symbols, '\n'.join(item(each, bodies[each.name]) for each in symbols)


# The headers for QEMU's code, by a look at what stands at the left edge.

CHUNK = re.compile(
    r'(?P<heading>/\* --- (?P<title>.*?) -+ \*/)'
    r'|(?P<comment>/\*(?:[^*]|\*(?!/))*\*/)'
    r'|(?P<define>^#define (?P<macro>\w+)(?P<params>\([^)]*\))?(?:.*\\\n)*.*)'
    r'|(?P<other>^#(?:.*\\\n)*.*)'
    r'|(?P<inline>^static inline (?P<head>[^{;]*?)\n\{\n(?:.*\n)*?\})'
    r'|(?P<exported>^AIO_EXPORT[^;]*;)'
    r'|(?P<type>^typedef (?:struct|union|enum)\b[^;{]*\n\{\n(?:.*\n)*?\}[^;]*;)'
    r'|(?P<struct>^struct (?P<tag>\w+)\n\{\n(?:.*\n)*?\};)'
    r'|(?P<alias>^typedef [^;{]*;)', re.M)


LONG_LINE = 90


def is_own(name):
    return not re.match(r'(aio_qemu_|AIO_QEMU_|_)', name) and not name.endswith('_')


def name_of(match):
    if match['macro']:
        return match['macro']
    if match['inline']:
        return re.search(r'(\w+) \(', match['head'])[1]
    if match['tag']:
        return match['tag']
    text = tree.without_comments(match[0])
    function = re.search(r'typedef\s[^;{(]*?\(?\*?(\w+)\)?\s*\([^;{]*;', text) \
        if match['alias'] else None
    return function[1] if function else re.search(r'(\w+)\s*;\s*$', text)[1]


def without_private(text):
    return re.sub(r' */\*< private >\*/.*?(?=^\})', '  /* private */\n', text, flags=re.M | re.S)


def one_prototype(head):
    """In one line, if that is not too long."""
    if len(head) < LONG_LINE:
        return head + ';'
    start, parameters = head.split(' (', 1)
    return f"{start} (" + parameters.replace(', ', ',\n' + ' ' * (len(start) + 2)) + ';'


def code_of(match):
    if match['inline']:
        return one_prototype(' '.join(match['head'].split()).replace('* ', '*'))
    if match['define']:
        values = match[0].splitlines()
        simple = len(values) == 1 and not match['params']
        return values[0] if simple else f"#define {match['macro']}{match['params'] or ''}"
    return without_private(match[0])


def sections(text):
    """(title, [(name, comment, code)]) of a header."""
    found, comment, end = [('', [])], '', 0
    for match in CHUNK.finditer(text):
        if comment and '\n\n' in text[end:match.start()]:
            comment = ''
        end = match.end()
        if match['heading']:
            found.append((match['title'], []))
            comment = ''
        elif match['comment']:
            alone = text[:match.start()].rpartition('\n')[2].strip() == ''
            comment = match[0] if alone else ''
        elif match['other'] or match['exported']:
            comment = ''
        else:
            name = name_of(match)
            if is_own(name):
                found[-1][1].append((name, comment, code_of(match)))
            comment = ''
    return [(title, items) for title, items in found if items]


def block(items):
    """The declarations of a section. What has a comment stands alone, as what has many lines."""
    lines, loose = [], False
    for _, comment, code in items:
        apart = bool(comment) or '\n' in code
        if lines and (apart or loose):
            lines.append('')
        lines += [comment, code] if comment else [code]
        loose = apart
    return '\n'.join(lines)


def compat_page(root):
    """The page, and the names that it describes."""
    parts, names = [COMPAT_TEXT], []
    for path in tree.compat_headers(root):
        found = sections(tree.read(root, path))
        if not found:
            continue
        parts.append(f'\n## {path.relative_to(COMPAT)}\n')
        for title, items in found:
            fresh = [name for name, _, _ in items if name not in names]
            names += fresh
            parts.append((f'\n### {title}\n\n' if title else '\n') +
                         ''.join(f'<a id="{name}"></a>' for name in dict.fromkeys(fresh)) +
                         f'\n\n```c\n{block(items)}\n```\n')
    return ''.join(parts), list(dict.fromkeys(names))


def write(root, folder, known):
    """Writes the pages. Returns {page: names on it}; known is what the GIR has."""
    kit, kit_items = documented(root, lambda each: each.path.as_posix().startswith(KIT))
    only_c, c_items = documented(
        root, lambda each: not each.path.as_posix().startswith(KIT) and each.name not in known)
    compat, compat_names = compat_page(root)
    pages = {'testing-kit': (KIT_TEXT + kit_items, [each.name for each in kit]),
             'only-c': (C_TEXT + c_items, [each.name for each in only_c]),
             'qemu-headers': (compat, compat_names)}
    for name, (text, _) in pages.items():
        Path(folder, name + '.md').write_text(
            f'Title: {TITLES[name]}\n\n# {TITLES[name]}\n\n{text}', encoding='utf-8')
    return {name: names for name, (_, names) in pages.items()}
