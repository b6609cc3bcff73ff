# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pages of the tree as content pages of the site. A page is written once, with links that a
git forge follows; here they become links of the site. What a page links to comes along: another
page as a page, any other file as a listing, a folder as its README or as a list of its files."""
import os
import re
import sys
import unicodedata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tests/checks'))
import tree  # noqa: E402

INDEX = Path('docs/README.md')
TITLES = {Path('README.md'): 'Overview', INDEX: 'All guides'}
LANGUAGES = {'.c': 'c', '.h': 'c', '.py': 'python', '.js': 'javascript', '.vala': 'vala',
             '.sh': 'sh', '.build': 'meson'}
LINK = re.compile(r'(\]\()([^)\s]+)(\))')
FENCED = re.compile(r'^(```.*?^```)', re.M | re.S)
ITEM = re.compile(r'\s*(?:[-*]|\d+\.) ')
IMAGE = re.compile(r'\.(svg|png)$')


def is_outside(target):
    return re.match(r'[a-z]+:', target) is not None


def outside_of_code(change, text):
    """Gives all that is not in a fenced block to a function."""
    parts = FENCED.split(text)
    return ''.join(part if part.startswith('```') else change(part) for part in parts)


def links(text):
    """The targets of all links, pictures included."""
    found = []
    outside_of_code(lambda part: found.extend(LINK.findall(part)) or part, text)
    return [target for _, target, _ in found]


def headings(text):
    """(level, text) of each heading."""
    found = []
    outside_of_code(lambda part: found.extend(re.findall(r'^(#+) (.*)', part, re.M)) or part, text)
    return [(len(marks), re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', title))
            for marks, title in found]


def as_python_likes(text):
    """Lists as Python's markdown wants them: indented by four, behind an empty line."""
    lines = []
    for line in text.split('\n'):
        blank = len(line) - len(line.lstrip(' '))
        above = lines[-1] if lines else ''
        if ITEM.match(line) and not blank and above and above[0] != ' ' \
           and not ITEM.match(above):
            lines.append('')
        lines.append(' ' * blank + line)
    return '\n'.join(lines)


def slug(title):
    """The anchor of a heading as Python's markdown makes it."""
    ascii_only = unicodedata.normalize('NFKD', title).encode('ascii', 'ignore').decode()
    return re.sub(r'[-\s]+', '-', re.sub(r'[^\w\s-]', '', ascii_only).strip().lower())


def anchors(text):
    """The anchor of each heading at a forge, and the one that the site gives it."""
    forge, site = {}, {}
    pairs = {}
    for _, title in headings(text):
        plain = title.replace('`', '')
        here = re.sub(r'[^\w\- ]', '', plain.lower()).replace(' ', '-')
        there = slug(plain)
        forge[here] = forge.get(here, -1) + 1
        site[there] = site.get(there, -1) + 1
        pairs[here + (f'-{forge[here]}' if forge[here] else '')] = \
            there + (f'_{site[there]}' if site[there] else '')
    pairs.update((own, own) for own in re.findall(r'<a id="([^"]+)"', text))
    return pairs


def in_order(root):
    """The pages of docs/, as its README lists them; what it does not list comes last."""
    there = sorted(path.relative_to(root) for path in Path(root, 'docs').glob('*.md'))
    listed = [Path(os.path.normpath(Path('docs', target.split('#')[0])))
              for target in links(tree.read(root, INDEX)) if not is_outside(target)]
    pages = [path for path in listed if path.parts[0] == 'docs' and path.suffix == '.md']
    return [path for path in dict.fromkeys([*pages, *there]) if path != INDEX]


class Guides:
    def __init__(self, root):
        self.root = Path(root)
        self.texts = {}                 # path in the tree: its text as a page of the site
        self.pictures = set()
        self.guides = [Path('README.md'), INDEX, *in_order(root)]
        self.waiting = list(self.guides)
        while self.waiting:
            path = self.waiting.pop(0)
            if path not in self.texts:
                self.texts[path] = self.page(path)

    def name(self, path):
        """Under which name a file is in the site, without suffix."""
        if path.suffix != '.md':
            return 'source-' + path.as_posix().strip('./').replace('/', '-')
        if path == Path('README.md'):
            return 'overview'
        if path.name == 'README.md':
            return 'guides' if path == INDEX else path.parent.name
        return path.stem.lower()

    def title(self, path):
        return TITLES.get(path) or headings(tree.read(self.root, path))[0][1]

    def target(self, page, link):
        """What a link of a page is in the site."""
        if is_outside(link):
            return link
        file, _, anchor = link.partition('#')
        path = Path(os.path.normpath(page.parent / file)) if file else page
        if IMAGE.search(file):
            self.pictures.add(path)
            return f'images/{path.name}'
        if (self.root / path).is_dir() and (self.root / path / 'README.md').exists():
            path = path / 'README.md'
        if anchor and path.suffix == '.md':
            anchor = anchors(tree.read(self.root, path)).get(anchor, anchor)
        self.waiting.append(path)
        return ('' if path == page else self.name(path) + '.html') + (f'#{anchor}' if anchor else '')

    def page(self, path):
        full = self.root / path
        if full.is_dir():
            files = sorted(each.name for each in full.iterdir() if each.is_file())
            text = ''.join(f'- [{name}]({name})\n' for name in files)
            return self.titled(f'{path}/', f'# {path}/\n\n' +
                               self.with_links(path / 'README.md', text))
        text = tree.read(self.root, path)
        if path.suffix != '.md':
            language = LANGUAGES.get(path.suffix, 'text')
            return self.titled(path, f'# {path}\n\n```{language}\n{text}```\n')
        text = re.sub(r'^<!--.*?-->\n', '', text)
        return self.titled(self.title(path), self.with_links(path, text))

    def titled(self, title, text):
        return f'Title: {title}\n\n{text}'

    def with_links(self, path, text):
        def change(part):
            part = LINK.sub(lambda m: m[1] + self.target(path, m[2]) + m[3], part)
            part = re.sub(r'^<!--.*?-->\n', '', part, flags=re.M | re.S)
            return as_python_likes(part)
        return outside_of_code(change, text)

    def write(self, folder):
        """Writes all pages. Returns the names of those for the index, and of the others."""
        shown, hidden = [], []
        for path, text in self.texts.items():
            name = self.name(path) + '.md'
            Path(folder, name).write_text(text, encoding='utf-8')
            (shown if path in self.guides else hidden).append(name)
        return shown, hidden
