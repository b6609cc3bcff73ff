#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares a dump as JSON with the same one as text; both are of a moment in which nothing moves.

usage: dump-json.py JSON TEXT NAME…     there is a bottom half of each name
"""
import json
import re
import sys


def main():
    json_path, text_path, *names = sys.argv[1:]
    with open(json_path, encoding='utf-8') as file:
        lines = file.readlines()
    assert len(lines) == 1, 'one object in one line'
    context = json.loads(lines[0])
    with open(text_path, encoding='utf-8') as file:
        text = file.read()

    assert [item['name'] for item in context['items'] if item['kind'] == 'bh'] == names
    item_lines = [line for line in text.splitlines()
                  if re.match(r'  (bh|oneshot|fd|notifier|timer) ', line)]
    assert len(item_lines) == len(context['items'])
    for line, item in zip(item_lines, context['items']):
        number = f'{item["fd"]} ' if 'fd' in item else ''
        start = f'  {item["kind"]} {number}'
        assert line.startswith(start), (line, item)
        name, end = json.JSONDecoder().raw_decode(line[len(start):])
        assert name == item['name'], (line, item)
        rest = line[len(start) + end:]
        assert rest.startswith(f' {item["state"]},'), (line, item)
        runs = '-' if item['runs'] is None else item['runs']
        assert f', runs {runs}, ' in rest, (line, item)
        assert rest.endswith(f', calls {item["function"]}'), (line, item)
    assert f', priority {context["priority"]}, ' in text
    assert f'  stats: iterations {context["iterations"]}, ' in text
    assert (context['latency'] is None) == (not context['profiling'])
    assert context['profiling'] is False or len(context['run_time']) == 32


if __name__ == '__main__':
    main()
