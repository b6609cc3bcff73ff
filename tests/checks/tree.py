# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the checks share: walking the source tree, reading C, and writing TAP."""
import os
import re
import sys
from collections import namedtuple
from pathlib import Path

# Files that are source although their names have no suffix that says so.
SCRIPTS = {'dev', '.ci/run'}

Declaration = namedtuple('Declaration', 'name kind params returns path line')


class Tap:
    """Prints one TAP line per check. Its complaints go to stderr, which "meson test" shows of a
    program that failed; of what TAP has on stdout it shows nothing."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def result(self, name, complaints):
        self.count += 1
        if complaints:
            self.failed += 1
        print(f"{'not ok' if complaints else 'ok'} {self.count} - {name}", flush=True)
        for complaint in complaints:
            for line in str(complaint).splitlines():
                print(f'# {line}', file=sys.stderr)

    def skip(self, name, why):
        self.count += 1
        print(f'ok {self.count} - {name} # SKIP {why}', flush=True)

    def finish(self):
        """Prints the plan and returns the exit status. A harness that reads TAP counts the
        lines; the status is for people and scripts that run the check by hand."""
        print(f'1..{self.count}')
        return 1 if self.failed else 0


def source_files(root):
    """All files of the tree except build folders, what belongs to git, and inputs of fuzzers."""
    root = Path(root)
    for folder, subfolders, names in os.walk(root):
        here = Path(folder)
        subfolders[:] = sorted(name for name in subfolders
                               if name not in ('.git', '__pycache__', 'corpus', 'subprojects')
                               and not name.startswith('_build')
                               and not (here / name / 'meson-private').is_dir())
        for name in sorted(names):
            if not (here / name).is_symlink():
                yield (here / name).relative_to(root)


def read(root, path):
    return (Path(root) / path).read_text(encoding='utf-8')


def line_of(text, offset):
    return text.count('\n', 0, offset) + 1


def blank_out(match):
    return re.sub(r'[^\n]', ' ', match.group())


def without_comments(text):
    """C without comments; offsets and line numbers stay what they were."""
    token = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', re.S)
    return token.sub(lambda m: blank_out(m) if m.group().startswith('/') else m.group(), text)


def without_strings(text):
    """Strings and character constants keep their quotes and lose what is in them."""
    token = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'')
    return token.sub(lambda m: m.group()[0] + ' ' * (len(m.group()) - 2) + m.group()[0], text)


COMPAT = 'compat'


def installed_headers(root):
    return [path for path in source_files(root)
            if path.parts[0] == 'aioctx-gsource' and path.name.endswith(('.h', '.h.in'))
            and not path.name.endswith('-private.h')]


def public_headers(root):
    """The headers of the native interface, aio-version.h under the name of its template."""
    return [path for path in installed_headers(root) if COMPAT not in path.parts]


def compat_headers(root):
    """The headers for code that was written for QEMU."""
    return [path for path in installed_headers(root) if COMPAT in path.parts]


def exported_privately(root, folder):
    """Functions that a library exports for the other libraries of the project alone."""
    return {match.group(2)
            for path in sorted(Path(root, folder).glob('*-private.h'))
            for match in FUNCTION.finditer(without_comments(path.read_text(encoding='utf-8')))}


def split_parameters(text):
    """['gpointer data', 'GError **error'] of 'gpointer data, GError **error'."""
    parts, depth, start = [], 0, 0
    for offset, char in enumerate(text):
        depth += (char == '(') - (char == ')')
        if char == ',' and depth == 0:
            parts.append(text[start:offset])
            start = offset + 1
    parts.append(text[start:])
    parts = [' '.join(part.split()) for part in parts]
    return [] if parts in ([''], ['void']) else parts


def parameter_name(parameter):
    pointer = re.search(r'\(\s*\*\s*(\w+)\s*\)', parameter)
    if pointer:
        return pointer.group(1)
    if parameter == '...':
        return '...'
    return re.search(r'(\w+)\s*(?:\[[^\]]*\])?$', parameter).group(1)


FUNCTION = re.compile(r'\bAIO_EXPORT\s+([\w\s]*?[\s*]+)(\w+)\s*\(([^;{]*)\)[^;()]*'
                      r'(?:\([^;]*\)[^;]*)?;', re.S)
CALLBACK = re.compile(r'\btypedef\s+([\w\s]+?[\s*]*)\(\s*\*\s*(\w+)\s*\)\s*\(([^;]*)\)\s*;', re.S)
ALIAS = re.compile(r'\btypedef\s+(?:struct|union)\s+_?\w+\s+\*?(\w+)\s*;')
BODY = re.compile(r'\b(struct|union|enum)\s*(\w*)\s*\{([^{}]*)\}\s*(\w*)\s*;', re.S)
MACRO = re.compile(r'^#\s*define\s+(AIO_\w+|aio_\w*[^\W_]\b)(?:\(([^)]*)\))?', re.M)


def first_parenthesis(text):
    """The text inside of the first parentheses of a prototype, attributes behind it left out."""
    depth = 0
    for offset, char in enumerate(text):
        depth += (char == '(') - (char == ')')
        if depth < 0:
            return text[:offset]
    return text


def fields_of(kind, body):
    if kind == 'enum':
        return re.findall(r'(?:^|,)\s*(\w+)', body)
    # Private fields come after this mark, as gtk-doc has it.
    return [parameter_name(field.strip()) for field in body.split(';') if field.strip()]


def declarations(root, headers=public_headers):
    """Everything that the headers offer, by name."""
    found = {}

    def add(name, kind, params, returns, path, text, offset):
        found[name] = Declaration(name, kind, params, returns, path, line_of(text, offset))

    for path in headers(root):
        raw = read(root, path)
        text = without_comments(re.sub(r'/\*<\s*private\s*>\*/.*?(?=\})', blank_out, raw,
                                       flags=re.S))
        for match in MACRO.finditer(text):
            params = split_parameters(match.group(2) or '')
            add(match.group(1), 'macro', params, '', path, text, match.start())
        text = re.sub(r'^#.*?(?<!\\)$', blank_out, text, flags=re.M | re.S)
        for match in FUNCTION.finditer(text):
            params = split_parameters(first_parenthesis(match.group(3)))
            add(match.group(2), 'function', params, ' '.join(match.group(1).split()),
                path, text, match.start())
        for match in CALLBACK.finditer(text):
            add(match.group(2), 'callback', split_parameters(match.group(3)),
                ' '.join(match.group(1).split()), path, text, match.start())
        for match in ALIAS.finditer(text):
            add(match.group(1), 'type', [], '', path, text, match.start())
        for match in BODY.finditer(text):
            kind, tag, body, name = match.groups()
            add(name or tag.lstrip('_'), 'type', fields_of(kind, body), '', path, text,
                match.start())
    return found


def headers_in(folder):
    """Those of compat/ lie in folders of their own, the others beside each other."""
    if folder.name == COMPAT:
        return compat_headers
    return lambda root: [path for path in public_headers(root) if path.parent == folder]


def variables(root, headers):
    """The compat headers declare some, as QEMU's did; the native ones none."""
    return {name for path in headers(root)
            for name in re.findall(r'\bAIO_EXPORT\s+[\w\s*]*?(\w+)(?:\[\w*\])?;',
                                   without_comments(read(root, path)))}


def exports(root, folder):
    """What the library in this folder exports: (functions of its headers, all the rest)."""
    headers = headers_in(Path(folder))
    functions = {name for name, symbol in declarations(root, headers).items()
                 if symbol.kind == 'function'}
    return functions, variables(root, headers) | exported_privately(root, folder)
