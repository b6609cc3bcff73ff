#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The site is whole: its links lead somewhere, and everything public is in it. No network.

usage: check-site.py ROOT SITE
"""
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

sys.dont_write_bytecode = True
import guides  # noqa: E402
import tree  # noqa: E402  (guides knows where)


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loads = set(), [], []
        self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors.update(found[key] for key in ('id', 'name') if found.get(key))
        if tag == 'a' and found.get('href') is not None:
            self.links.append(found['href'])
        elif tag in ('img', 'script') and found.get('src'):
            self.loads.append(found['src'])
        elif tag == 'link' and found.get('rel') == 'stylesheet':
            self.loads.append(found['href'])

    handle_startendtag = handle_starttag


def complaints_about_links(site, pages):
    for name, page in pages.items():
        for link in page.links + page.loads:
            if re.match(r'(https?|javascript|mailto):', link):
                continue
            file, _, anchor = unquote(link).partition('#')
            file = file or name
            if not (site / file).is_file():
                yield f'{name}: {link} leads nowhere'
            elif anchor and file in pages and anchor not in pages[file].anchors:
                yield f'{name}: {link}: the page has no such place'


def complaints_about_loads(pages):
    for name, page in pages.items():
        for load in page.loads:
            if re.match(r'(https?:)?//', load):
                yield f'{name}: loads {load} from elsewhere'


def complaints_about_symbols(root, site):
    """Everything that a public header declares is described on a page that is there."""
    where = json.loads((site / 'symbols.json').read_text(encoding='utf-8'))
    for name, symbol in tree.declarations(root).items():
        if name.endswith('_get_type'):
            continue
        page = where.get(name, '').split('#')[0]
        if not page or not (site / page).is_file():
            yield f'{symbol.path}:{symbol.line}: {name} is not in the site'


def complaints_about_guides(root, site):
    book = guides.Guides(root)
    pages = {path.relative_to(root) for path in Path(root, 'docs').glob('*.md')}
    index = (site / 'index.html').read_text(encoding='utf-8')
    for path in sorted(pages | set(book.guides)):
        name = book.name(path) + '.html'
        if not (site / name).is_file():
            yield f'{path} is not in the site'
        elif f'href="{name}"' not in index:
            yield f'{path} is not in the index of the site'


def main():
    root, site = sys.argv[1], Path(sys.argv[2])
    pages = {path.name: Page(path) for path in sorted(site.glob('*.html'))}
    tap = tree.Tap()
    tap.result('there are pages', [] if len(pages) > 100 else [f'{len(pages)} in {site}'])
    tap.result('links lead somewhere', list(complaints_about_links(site, pages)))
    tap.result('nothing is loaded from elsewhere', list(complaints_about_loads(pages)))
    tap.result('public symbols are in it', list(complaints_about_symbols(root, site)))
    tap.result('guides are in it', list(complaints_about_guides(root, site)))
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
