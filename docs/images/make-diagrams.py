#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws the diagrams of docs/images: of text that stands beside them, and of the table of floors
that tests/checks/lint.py goes by.

usage: make-diagrams.py ROOT --write    draws them
       make-diagrams.py ROOT            checks, as TAP, that they are what would be drawn

A text has a line for each thing: "states TITLE" or "phases TITLE", "say WHAT A READER HEARS", and

  box NAME COLUMN ROW TEXT | SMALL TEXT
  arrow FROM TO [via COLUMN ROW…] [at COLUMN ROW] TEXT

or

  drivers NAME | NAME | NAME
  phase NAME | SMALL TEXT  WHERE | WHERE | WHERE      (two blanks in front of the first WHERE)
  pass PART | PART | PART
"""
import math
import re
import sys
from html import escape
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tests/checks'))
import lint  # noqa: E402
import tree  # noqa: E402

IMAGES = 'docs/images'
SIZE, SMALL = 14, 11.5
STYLE = '''
    text { font-family: sans-serif; font-size: 14px; fill: #24292f; }
    .small { font-size: 11.5px; fill: #57606a; }
    .strong { font-weight: bold; }
    .page { fill: #ffffff; }
    .floor { fill: #f3f4f6; }
    .box { fill: #ddeafb; stroke: #2f6fb7; stroke-width: 1.5; }
    .part { fill: #e2f2e4; stroke: #3a8650; stroke-width: 1.5; }
    .line { fill: none; stroke: #57606a; stroke-width: 1.5; }
    .head { fill: #57606a; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .small { fill: #a3adb8; }
      .page { fill: #161b22; }
      .floor { fill: #21262d; }
      .box { fill: #1b3350; stroke: #6cb0f5; }
      .part { fill: #1c3b26; stroke: #67c281; }
      .line { stroke: #a3adb8; }
      .head { fill: #a3adb8; }
    }
'''


def number(value):
    return f'{value:.1f}'.removesuffix('.0')


def width(text, size=SIZE):
    """About as wide as a browser will draw it."""
    return sum(0.35 if char in ' .,:;|()fijlt_' else 0.58 for char in text) * size


def wrapped(text, room, size=SIZE):
    """Lines of a text that fit into so much room; a name may break behind an underscore."""
    lines = ['']
    for word in re.findall(r'\S+?_|\S+ ?', text):
        if lines[-1] and width(lines[-1] + word.strip(), size) > room:
            lines.append('')
        lines[-1] += word
    return [line.strip() for line in lines]


class Drawing:
    def __init__(self, title, said):
        self.title, self.said, self.parts = title, said, []

    def add(self, part):
        self.parts.append('  ' + part)

    def rectangle(self, x, y, w, h, kind, radius=6):
        self.add(f'<rect x="{number(x)}" y="{number(y)}" width="{number(w)}" '
                 f'height="{number(h)}" rx="{radius}" class="{kind}"/>')

    def text(self, x, y, text, kind='', anchor='middle'):
        kind = f' class="{kind}"' if kind else ''
        self.add(f'<text x="{number(x)}" y="{number(y)}" text-anchor="{anchor}"{kind}>'
                 f'{escape(text)}</text>')

    def lines(self, x, y, texts, kind='', anchor='middle', step=SIZE + 2):
        for place, text in enumerate(texts):
            self.text(x, y + place * step, text, kind, anchor)

    def label(self, x, y, text):
        """On a line, so with a piece of the page behind it."""
        self.rectangle(x - width(text, SMALL) / 2 - 3, y - 9, width(text, SMALL) + 6, 17, 'page', 3)
        self.text(x, y + 4, text, 'small')

    def arrow(self, points):
        (x1, y1), (x, y) = points[-2:]
        path = 'M' + ' L'.join(f'{number(px)} {number(py)}' for px, py in points)
        self.add(f'<path d="{path}" class="line"/>')
        way = math.atan2(y - y1, x - x1)
        corners = [(x, y)] + [(x - 9 * math.cos(way + turn), y - 9 * math.sin(way + turn))
                              for turn in (-0.45, 0.45)]
        head = ' '.join(f'{number(px)},{number(py)}' for px, py in corners)
        self.add(f'<polygon points="{head}" class="head"/>')

    def svg(self, w, h):
        return '\n'.join([
            '<?xml version="1.0" encoding="utf-8"?>',
            '<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->',
            '<!-- Drawn by make-diagrams.py. -->',
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(w)} {number(h)}" '
            f'width="{number(w)}" height="{number(h)}" role="img">',
            f'  <title>{escape(self.title)}</title>', f'  <desc>{escape(self.said)}</desc>',
            f'  <style>{STYLE}  </style>',
            f'  <rect width="{number(w)}" height="{number(h)}" rx="8" class="page"/>',
            *self.parts, '</svg>', ''])


# States: boxes on a grid, and arrows between them.

ACROSS, DOWN, BOX_W, BOX_H = 300, 115, 160, 54


def place(column, row):
    return 30 + BOX_W / 2 + column * ACROSS, 30 + BOX_H / 2 + row * DOWN


def edge(center, towards):
    """Where the line from the middle of a box leaves it."""
    dx, dy = towards[0] - center[0], towards[1] - center[1]
    scale = min((BOX_W / 2 + 2) / abs(dx) if dx else math.inf,
                (BOX_H / 2 + 2) / abs(dy) if dy else math.inf)
    return center[0] + dx * scale, center[1] + dy * scale


def draw_box(drawing, center, text):
    name, *small = [each.strip() for each in text.split('|')]
    x, y = center
    drawing.rectangle(x - BOX_W / 2, y - BOX_H / 2, BOX_W, BOX_H, 'box')
    drawing.text(x, y + (-2 if small else 5), name, 'strong')
    drawing.lines(x, y + 15, small, 'small')


def draw_arrow(drawing, boxes, pair, via, label_at, text, has_twin):
    start, end = boxes[pair[0]], boxes[pair[1]]
    points = [start, *via, end]
    points = [edge(start, points[1]), *via, edge(end, points[-2])]
    if has_twin:
        # Two that go there and back lie side by side.
        length = math.dist(start, end)
        aside = [(start[1] - end[1]) / length * 14, (end[0] - start[0]) / length * 14]
        points = [(x - aside[0], y - aside[1]) for x, y in points]
    drawing.arrow(points)
    middle = ((points[0][0] + points[-1][0]) / 2, (points[0][1] + points[-1][1]) / 2)
    if has_twin and abs(start[0] - end[0]) < 1:
        outside = width(text, SMALL) / 2 + 6
        middle = (middle[0] + math.copysign(outside, start[1] - end[1]) * -1, middle[1])
    drawing.label(*(label_at or middle), text)


def pairs_of(text):
    numbers = [float(each) for each in text.split()]
    return [place(*numbers[at:at + 2]) for at in range(0, len(numbers), 2)]


def draw_states(title, said, lines):
    drawing, boxes, arrows = Drawing(title, said), {}, []
    for line in lines:
        if line.startswith('box '):
            _, name, column, row, text = line.split(None, 4)
            boxes[name] = place(float(column), float(row))
            draw_box(drawing, boxes[name], text)
        else:
            arrows.append(re.match(r'arrow (\w+) (\w+)(?: via ([\d. ]+?))?(?: at ([\d. ]+?))? +'
                                   r'([^\d\s].*)', line).groups())
    pairs = {(start, end) for start, end, *_ in arrows}
    for start, end, via, label_at, text in arrows:
        draw_arrow(drawing, boxes, (start, end), pairs_of(via or ''),
                   next(iter(pairs_of(label_at or '')), None), text, (end, start) in pairs)
    far = [*boxes.values(), *(point for _, _, via, _, _ in arrows for point in pairs_of(via or ''))]
    return drawing.svg(max(x for x, _ in far) + BOX_W / 2 + 30,
                       max(max(y for _, y in boxes.values()) + BOX_H / 2,
                           max(y for _, y in far) + 12) + 24)


# Phases: one column each, and a row for each driver.

COLUMN, LABELS, ROW = 178, 160, 52


def draw_phases(title, said, lines):
    drawing = Drawing(title, said)
    drivers, phases, parts = [], [], []
    for line in lines:
        kind, rest = line.split(None, 1)
        if kind == 'phase':
            head, *cells = re.split(r'\s{2,}', rest, maxsplit=1)
            phases.append(([each.strip() for each in head.split('|')],
                           [each.strip() for each in cells[0].split('|')]))
        else:
            (drivers if kind == 'drivers' else parts).extend(
                each.strip() for each in rest.split('|'))
    top = 52
    for at, (head, cells) in enumerate(phases):
        x = LABELS + COLUMN * (at + 0.5)
        draw_box_of_phase(drawing, x, top, head)
        if at:
            drawing.arrow([(x - COLUMN + 62, top + 27), (x - 64, top + 27)])
        for row, cell in enumerate(cells):
            text = wrapped(cell, COLUMN - 16, SMALL)
            y = top + 54 + 42 + row * ROW - (len(text) - 1) * 7
            drawing.lines(x, y + 1, text, 'small', step=14)
    last = LABELS + COLUMN * (len(phases) - 0.5)
    drawing.arrow([(last, top - 2), (last, top - 26), (LABELS + COLUMN / 2, top - 26),
                   (LABELS + COLUMN / 2, top - 3)])
    for row, driver in enumerate(drivers):
        y = top + 54 + 16 + row * ROW
        drawing.parts.insert(0, f'  <rect x="12" y="{number(y)}" '
                             f'width="{number(LABELS + COLUMN * len(phases) - 12)}" '
                             f'height="{ROW - 6}" rx="4" class="floor"/>')
        text = wrapped(driver, LABELS - 16)
        drawing.lines(22, y + 28 - (len(text) - 1) * 8, text, 'strong', 'start')
    bottom = top + 54 + 16 + len(drivers) * ROW + 12
    draw_pass(drawing, parts, bottom, last)
    return drawing.svg(LABELS + COLUMN * len(phases) + 12, bottom + 62)


def draw_box_of_phase(drawing, x, y, head):
    drawing.rectangle(x - 60, y, 120, 54, 'box')
    small = [each for each in head[1:] if each]
    drawing.text(x, y + (25 if small else 32), head[0], 'strong')
    drawing.lines(x, y + 42, small, 'small')


def draw_pass(drawing, parts, y, right):
    """What one pass runs, in this order, in a row that ends under the phase."""
    room = 150
    left = right + 60 - room * len(parts) - 24 * (len(parts) - 1)
    drawing.text(left - 14, y + 24, 'a pass runs', 'small', 'end')
    for at, part in enumerate(parts):
        x = left + at * (room + 24)
        drawing.rectangle(x, y, room, 38, 'part')
        drawing.text(x + room / 2, y + 24, part)
        if at:
            drawing.arrow([(x - 24, y + 19), (x - 2, y + 19)])


# The house: of the table that decides which file may include which.

HOUSE = 900
FRACTIONS = {0: '', 0.25: '¼', 0.5: '½', 0.75: '¾'}
UPSTAIRS = {'compat': ['headers in the form of QEMU’s'], 'testing': ['the g_test kit']}


def floor_name(floor):
    whole, part = divmod(floor, 1)
    return (str(int(whole)) if whole or not part else '') + FRACTIONS[part]


def rooms_of(parts):
    """(name, lines of files, width) of each room, in the order of the table."""
    for name, files in parts.items():
        files = [each.removeprefix('aio-') for each in files]
        text = '' if files == [name] else ', '.join(files)
        lines = wrapped(text, 300, SMALL) if text else []
        yield name, lines, max([width(name) + 16] + [width(line, SMALL) for line in lines]) + 20


def rows_of(rooms, room):
    """Rooms of one floor, in as many rows as they need."""
    rows, used = [[]], 0
    for each in rooms:
        if rows[-1] and used + each[2] > room:
            rows.append([])
            used = 0
        rows[-1].append(each)
        used += each[2] + 10
    return rows


def draw_floor(drawing, floor, parts, y):
    """Returns where the next one begins."""
    rows = rows_of(list(rooms_of(parts)), HOUSE - 150)
    heights = [30 + 15 * max(len(lines) for _, lines, _ in row) for row in rows]
    high = sum(heights) + 8 * (len(rows) - 1) + 16
    drawing.rectangle(12, y, HOUSE - 60, high, 'floor')
    drawing.text(30, y + high / 2 + 5, floor_name(floor), 'strong', 'start')
    top = y + 8
    for row, height in zip(rows, heights):
        x = 70
        for name, lines, wide in row:
            drawing.rectangle(x, top, wide, height, 'part' if floor > 4.9 else 'box', 4)
            drawing.text(x + wide / 2, top + 20 if lines else top + height / 2 + 5, name, 'strong')
            drawing.lines(x + wide / 2, top + 36, lines, 'small', step=15)
            x += wide + 10
        top += height + 8
    return y + high + 8


def draw_house(floors):
    drawing = Drawing('The house', 'The parts of the library by floor. A part may include headers '
                      'of lower floors only; parts on one floor do not know each other.')
    y = 12
    for floor, parts in sorted({**floors, 5: UPSTAIRS}.items(), reverse=True):
        y = draw_floor(drawing, floor, parts, y)
    drawing.arrow([(HOUSE - 24, 24), (HOUSE - 24, y - 18)])
    drawing.add(f'<text transform="translate({HOUSE - 42} {number(y / 2)}) rotate(90)" '
                'text-anchor="middle" class="small">may include what is below</text>')
    return drawing.svg(HOUSE, y + 4)


def draw_text(path):
    lines = [line.rstrip() for line in path.read_text(encoding='utf-8').splitlines()
             if line and not line.startswith('#')]
    kind, title = lines[0].split(None, 1)
    said = lines[1].removeprefix('say ')
    return {'states': draw_states, 'phases': draw_phases}[kind](title, said, lines[2:])


def drawings(root):
    """(name, picture) of each diagram."""
    for path in sorted(Path(root, IMAGES).glob('*.txt')):
        yield path.stem, draw_text(path)
    yield 'house', draw_house(lint.FLOORS)


def main():
    root, write = sys.argv[1], '--write' in sys.argv[2:]
    tap = tree.Tap()
    for name, picture in drawings(root):
        path = Path(root, IMAGES, name + '.svg')
        if write:
            path.write_text(picture, encoding='utf-8')
        same = path.exists() and path.read_text(encoding='utf-8') == picture
        tap.result(f'{name}.svg', [] if same else
                   [f'{path} is out of date: run {IMAGES}/make-diagrams.py . --write'])
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
