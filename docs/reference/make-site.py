#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the site: the reference by gi-docgen, the guides of docs/ as pages of it.

usage: make-site.py ROOT GIR VERSION OUTPUT [DEPFILE]
"""
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

sys.dont_write_bytecode = True
import guides  # noqa: E402
import headers  # noqa: E402

DEPENDENCIES = {
    'GLib': ('glib', 'The base: sources, main contexts, errors'),
    'GObject': ('gobject', 'Boxed types'),
    'Gio': ('gio', 'Sockets, streams, cancellables, results that come later'),
}
DESCRIPTION = 'AioContext for GLib: bottom halves that any thread and any signal handler may ' \
              'schedule, descriptors and timers, all as one GSource.'

CORE = '{http://www.gtk.org/introspection/core/1.0}'
C = '{http://www.gtk.org/introspection/c/1.0}'


def pages_of_symbols(gir):
    """In which page gi-docgen puts a symbol, by its name in C."""
    found = {}
    kinds = {'record': 'struct', 'enumeration': 'enum', 'bitfield': 'flags',
             'callback': 'callback', 'constant': 'const', 'function': 'func',
             'function-macro': 'func', 'alias': 'alias', 'union': 'union'}
    inside = {'constructor': 'ctor', 'method': 'method', 'function': 'type_func',
              'function-inline': 'type_func', 'method-inline': 'method'}
    for node in ET.parse(gir).getroot().find(CORE + 'namespace'):
        kind = kinds.get(node.tag.removeprefix(CORE))
        name = node.get('name')
        if kind is None or node.get('moved-to'):
            continue
        page = f'{kind}.{name}.html'
        symbol = node.get(C + 'identifier') or node.get(C + 'type')
        found.setdefault(symbol, page)
        for child in node:
            kind = inside.get(child.tag.removeprefix(CORE))
            if kind is not None:
                found[child.get(C + 'identifier')] = f"{kind}.{name}.{child.get('name')}.html"
            elif child.tag == CORE + 'member':
                found[child.get(C + 'identifier')] = page
    return found


def configuration(version, content):
    lines = ['[library]', 'name = "aioctx-gsource"', f'version = "{version}"',
             'authors = "the authors of aioctx-gsource"', 'license = "LGPL-2.1-or-later"',
             f'description = {json.dumps(DESCRIPTION)}', 'devhelp = true', 'search_index = true',
             '', '[theme]', 'name = "basic"', 'show_index_summary = true', '',
             '[extra]', f'content_files = {json.dumps(content)}', 'urlmap_file = "urlmap.js"']
    for name, (path, text) in DEPENDENCIES.items():
        lines += ['', f'[dependencies."{name}-2.0"]', f'name = "{name}"',
                  f'description = "{text}"', f'docs_url = "https://docs.gtk.org/{path}/"']
    return '\n'.join(lines) + '\n'


def url_map():
    pairs = [[name, f'https://docs.gtk.org/{path}/'] for name, (path, _) in DEPENDENCIES.items()]
    return f'baseURLs = {json.dumps(pairs)};\n'


class Linker(HTMLParser):
    """Writes a page as it was, with each name of a symbol as a link to it."""

    NAME = re.compile(r'^(\w+)(\(\))?$')
    IN_TEXT = re.compile(r'\b([a-z]\w*_\w+)\(\)')
    EMPTY = {'area', 'base', 'br', 'col', 'hr', 'img', 'input', 'link', 'meta', 'source'}

    def __init__(self, pages, own, in_blocks):
        super().__init__(convert_charrefs=False)
        self.pages, self.own, self.in_blocks = pages, own, in_blocks
        self.out, self.open, self.main = [], [], False

    def anchor(self, name, text):
        page = self.pages.get(name)
        if page is None or page == self.own:
            return text
        if page.startswith(self.own + '#') and 'pre' in self.open:
            return text
        return f'<a class="symbol" href="{page}">{text}</a>'

    def picture(self, attributes):
        """A picture leads to itself, for small screens."""
        source = html.escape(dict(attributes).get('src', ''))
        text = self.get_starttag_text()
        return text if 'a' in self.open else f'<a href="{source}">{text}</a>'

    def handle_starttag(self, tag, attributes):
        self.out.append(self.picture(attributes) if tag == 'img' else self.get_starttag_text())
        self.main = self.main or (tag == 'section' and ('id', 'main') in attributes)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.out.append(self.picture(attributes) if tag == 'img' else self.get_starttag_text())

    def handle_endtag(self, tag):
        self.out.append(f'</{tag}>')
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        inside = set(self.open)
        if not self.main or inside & {'a', 'script', 'style', 'nav', 'h1', 'h2', 'h3', 'h4'}:
            self.out.append(data)
        elif 'pre' in inside:
            self.out.append(self.anchor(data, data) if self.in_blocks else data)
        elif 'code' in inside:
            match = self.NAME.match(data)
            # A narrow table may break names, but only where words end.
            shown = data.replace('_', '_<wbr>') if 'td' in inside else data
            self.out.append(self.anchor(match[1], shown) if match else shown)
        else:
            self.out.append(self.IN_TEXT.sub(
                lambda m: f'<code>{self.anchor(m[1], m[0])}</code>', data))

    def handle_entityref(self, name):
        self.out.append(f'&{name};')

    def handle_charref(self, name):
        self.out.append(f'&#{name};')

    def handle_comment(self, data):
        self.out.append(f'<!--{data}-->')

    def handle_decl(self, declaration):
        self.out.append(f'<!{declaration}>')


GUIDES = re.compile(r'\s*<section>\s*<div class="toggle-wrapper">\s*<h4 id="extra".*?</section>', re.S)


def tidy_index(text, hidden):
    """The guides come first, without the listings; and what has no address has no row."""
    for name in [*hidden, 'classes_hierarchy']:
        page = re.escape(html.escape(name.removesuffix('.md')))
        text = re.sub(rf'\s*<li><a href="{page}\.html">.*?</li>', '', text)
    text = re.sub(r'\s*<tr>(?:(?!</tr>).)*href=""(?:(?!</tr>).)*</tr>', '', text, flags=re.S)
    text = re.sub(r'<h3>Namespace</h3>\s*<h1>[^<]*</h1>', '<h1>aioctx-gsource</h1>', text)
    guides_of_it = GUIDES.search(text)[0].replace('Additional documentation', 'Guides')
    text = GUIDES.sub('', text)
    build = text.index('<div class="meta build')
    return text[:build] + guides_of_it.strip() + '\n\n    ' + text[build:]


GENERATOR = '<div class="section generator">'


def sidebar(book, made):
    """Links to the guides, and to what the reference consists of."""
    pages = [(book.name(path), path) for path in book.guides]
    guide_links = [f'<a href="{name}.html">{html.escape(book.title(path))}</a>'
                   for name, path in pages]
    parts = [('structs', 'Types'), ('callbacks', 'Callbacks'), ('enums', 'Enumerations'),
             ('functions', 'Functions'), ('constants', 'Constants')]
    reference = [f'<a href="index.html#{part}">{title}</a>' for part, title in parts]
    reference += [f'<a href="{name}.html">{headers.TITLES[name]}</a>' for name in made]
    return ''.join(f'<div class="section">\n<h5>{title}</h5>\n<div class="links">\n'
                   + '\n'.join(each) + '\n</div>\n</div>\n'
                   for title, each in (('Guides', guide_links), ('Reference', reference)))


def with_constructors(text, pages):
    """gi-docgen takes what a constructor is called in other languages for a plain function."""
    names = {page: name for name, page in pages.items()}

    def change(match):
        page = f'ctor.{match[1]}.html'
        return f'<a href="{page}"><code>{names[page]}()</code></a>' if page in names else match[0]
    return re.sub(r'<a href="type_func\.([\w.]+)\.html"><code>\(\)</code></a>', change, text)


def finish(output, pages, hidden, content, menu):
    for path in sorted(output.glob('*.html')):
        text = path.read_text(encoding='utf-8')
        if path.name == 'index.html':
            text = tidy_index(text, hidden)
        text = text.replace('<h3><a href="index.html">Aio</a></h3>',
                            '<h3><a href="index.html">aioctx-gsource</a></h3>')
        if path.name != 'index.html':
            text = text.replace(GENERATOR, menu + GENERATOR)
        text = re.sub(r'<p>Thread:', '<p class="thread"><strong>Thread:</strong>', text)
        text = with_constructors(text, pages)
        text = re.sub(r'<div id="toc"(?:(?!<li|<section|<footer).)*?</nav>\s*</div>', '', text,
                      flags=re.S)
        # A table that is wider than its page scrolls by itself.
        text = re.sub(r'(<table>.*?</table>)', r'<div class="wide">\1</div>', text, flags=re.S)
        linker = Linker(pages, path.name, path.stem + '.md' in content)
        linker.feed(text)
        linker.close()
        path.write_text(''.join(linker.out), encoding='utf-8')
    (output / 'classes_hierarchy.html').unlink(missing_ok=True)
    with open(output / 'style.css', 'a', encoding='utf-8') as style:
        style.write(Path(__file__).with_name('site.css').read_text(encoding='utf-8'))


def depfile(output, root, book):
    """What the site is made of, as ninja reads it. The folder stands for pages that are new."""
    here = Path(__file__).resolve().parent
    files = [*sorted(here.iterdir()), Path(root, 'docs'),
             *(Path(root, path) for path in [*book.texts, *sorted(book.pictures)]),
             *(Path(root, path) for path in headers.tree.installed_headers(root))]
    return f'{output}: ' + ' '.join(str(path).replace(' ', '\\ ') for path in files) + '\n'


def make(root, gir, version, output, stage):
    known = pages_of_symbols(gir)
    book = guides.Guides(root)
    shown, hidden = book.write(stage)
    made = headers.write(root, stage, known)
    content = shown + [name + '.md' for name in made] + hidden
    pages = {name: f'{page}.html#{name}' for page, names in made.items() for name in names} | known
    (stage / 'site.toml').write_text(configuration(version, content), encoding='utf-8')
    (stage / 'urlmap.js').write_text(url_map(), encoding='utf-8')
    shutil.rmtree(output, ignore_errors=True)
    subprocess.run(['gi-docgen', 'generate', '--quiet', '--fatal-warnings', '--no-namespace-dir',
                    '--config', stage / 'site.toml', '--content-dir', stage,
                    '--output-dir', output, gir], check=True)
    (output / 'images').mkdir()
    for picture in sorted(book.pictures):
        shutil.copy(Path(root, picture), output / 'images')
    finish(output, pages, hidden, content, sidebar(book, made))
    (output / 'symbols.json').write_text(json.dumps(pages, indent=1) + '\n', encoding='utf-8')
    return book


def main():
    root, gir, version, output, *rest = sys.argv[1:]
    with tempfile.TemporaryDirectory() as stage:
        try:
            book = make(root, gir, version, Path(output), Path(stage))
        except subprocess.CalledProcessError as error:
            return error.returncode
    for name in rest:
        Path(name).write_text(depfile(output, root, book), encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
