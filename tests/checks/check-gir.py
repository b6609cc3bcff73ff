#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the library exports is what its pages and its GIR speak of.

usage: check-gir.py ROOT LIBRARY GIR [NM]

Each exported function is documented, and is in the GIR: for bindings, or for C alone where its
comment says (skip) or another one stands in for it (rename-to).
"""
import re
import sys
import xml.etree.ElementTree as ET

from pathlib import Path

sys.dont_write_bytecode = True
import lint  # noqa: E402
import tree  # noqa: E402
from importlib import import_module  # noqa: E402

exported = import_module('check-symbols').exported
C = '{http://www.gtk.org/introspection/c/1.0}'
GLIB = '{http://www.gtk.org/introspection/glib/1.0}'
GTYPE = re.compile(r'_get_type$')


def identifiers(gir):
    """(names of functions, names of functions that make a GType) in a GIR."""
    nodes = list(ET.parse(gir).getroot().iter())
    return ({name for node in nodes for name in [node.get(C + 'identifier', '')]
             if name.startswith('aio_')},
            {node.get(GLIB + 'get-type') for node in nodes} - {None})


def documented(root):
    """{name: is it left out of the GIR?}"""
    return {name: body.lstrip(' ').startswith('(skip)')
            for _, _, name, body in lint.doc_blocks(root)}


def main():
    root, library, gir, *rest = sys.argv[1:]
    root = Path(root)
    there = exported(library, rest[0] if rest else 'nm') - tree.exported_privately(root,
                                                                                   lint.LIBRARY)
    known, types = identifiers(gir)
    comments = documented(root)
    functions = {name for name in there if not GTYPE.search(name)}
    skipped = {name for name in functions if comments.get(name)}
    tap = tree.Tap()
    tap.result('functions are exported', [] if functions else ['none found'])
    tap.result('each of them is documented', sorted(functions - set(comments)))
    tap.result('each is in the GIR, or skipped', sorted(functions - known - skipped))
    tap.result('the GIR has no others', sorted(known - functions))
    tap.result('each type is in the GIR', sorted(there - functions - types))
    tap.result('the GIR has no other types', sorted(types - there - {'intern'}))
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
