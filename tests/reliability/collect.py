#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Finds the figures of docs/reliability.md and stores them in results.json beside this file.

usage: collect.py ROOT BUILD [PART…]     all parts but the long ones, or those that are named

Each part is stored with its date, so parts may be found one by one. "./dev reliability" calls this.
"""
import argparse
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
RESULTS = HERE / 'results.json'
# At leisure, but not for hours.
LITMUS_ROUNDS = 10**8
FUZZ_SECONDS = 60
SOAK_SECONDS = 60


def module(path):
    """A script beside this one as a module."""
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def output(command, **variables):
    """What it writes to stdout; the end, if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False,
                          env={**os.environ, **variables})
    if done.returncode != 0:
        sys.exit(f'{" ".join(map(str, command))} failed:\n{done.stdout[-4000:]}')
    return done.stdout


def tap_cases(text):
    """[(number of a passed case, its name, the remarks in front of it)]."""
    cases, remarks = [], []
    for line in text.splitlines():
        match = re.match(r'ok (\d+) -? ?(.*)', line)
        if match:
            cases.append((int(match.group(1)), match.group(2), remarks))
            remarks = []
        elif line.startswith('#'):
            remarks.append(line.lstrip('# '))
    return cases


def contract(root, _build):
    coverage = module(root / 'tests/checks/coverage.py')
    known = coverage.sentences(root)
    cited = list(coverage.citations(root))
    numbers = {number for number, _, _ in cited}
    return {'kinds': Counter(number[0] for number in known),
            'cited': Counter(number[0] for number in known if number in numbers),
            'planned': sorted(number for number in known if known[number] is not None),
            'cases': len({(path, line) for _, path, line in cited}),
            'files': len({path for _, path, _ in cited})}


def tests(root, build):
    """As the last run of .ci/run has counted them; without one, as the last runs of "./dev test"
    and "./dev sanitize" have."""
    found = {path.stem: json.loads(path.read_text('utf-8'))
             for path in sorted((root / '_build-ci').glob('tests/*.json'), key=os.path.getmtime)}
    if found:
        return found
    with tempfile.TemporaryDirectory() as folder:
        for name, where in (('gcc', build), ('address', f'{build}-address'),
                            ('thread', f'{build}-thread')):
            if Path(where, 'meson-logs/testlog.junit.xml').exists():
                path = Path(folder, name)
                output([root / '.ci/results.py', where, '--json', path])
                found[name] = json.loads(path.read_text('utf-8'))
    return found


def models(root, _build):
    text = output(['python3', '-B', root / 'tests/models/check-models.py', root / 'docs/models',
                   *os.environ.get('CC', 'cc').split()])
    found = [{'name': name, 'states': int(float(re.search(r': ([\d.e+]+) states',
                                                          remarks[-1]).group(1)))}
             for _, name, remarks in tap_cases(text)]
    planted = module(root / 'tests/models/check-models.py').PLANTED
    return {'sound': [one for one in found if one['name'] not in planted],
            'planted': [one['name'] for one in found if one['name'] in planted]}


def explorer(_root, build):
    """What is explored of the library's code, and which accesses, made weaker, it notices."""
    text = output([Path(build, 'tests/explore/test-explore'), '-m', 'thorough'])
    found = re.findall(r'^# (.*): (\d+) states, (\d+) steps, (\d+) ends$', text, re.M)
    return {'cases': [{'name': name, 'states': int(states), 'steps': int(steps), 'ends': int(ends)}
                      for name, states, steps, ends in found],
            'planted': re.findall(r'^# ([CR]\d+: [^:]*): ', text, re.M)}


def litmus(_root, build):
    text = output([Path(build, 'tests/test-litmus')], AIO_LITMUS_ROUNDS=str(LITMUS_ROUNDS))
    found = {}
    for _, name, remarks in tap_cases(text):
        played = [re.match(r'(\d+) rounds, (\d+) lost', remark) for remark in remarks]
        found[name.split()[0]] = [sum(int(match.group(i)) for match in played if match)
                                  for i in (1, 2)]
    return found


def fuzz(root, build):
    output([root / 'dev', 'fuzz', str(FUZZ_SECONDS)], AIO_BUILD=build)
    found = {}
    for log in sorted(Path(f'{build}-fuzz-found').glob('*.log')):
        match = re.search(r'^stat::number_of_executed_units: *(\d+)', log.read_text('utf-8'), re.M)
        found[log.stem] = int(match.group(1))
    return {'seconds': FUZZ_SECONDS, 'inputs': found}


def soak(root, build):
    text = output([root / 'dev', 'soak', str(SOAK_SECONDS)], AIO_BUILD=build)
    lines = re.findall(r'(\d+) s +(\d+) operations +(\d+) lost +(\d+) KiB +(\d+) desc', text)
    return {'seconds': SOAK_SECONDS, 'operations': int(lines[-1][1]), 'lost': int(lines[-1][2]),
            'kib': [int(line[3]) for line in (lines[1], lines[-1])],
            'descriptors': [int(line[4]) for line in (lines[1], lines[-1])]}


def mutants(root, _build):
    """A mistake that no test notices ends the script with a failure: the page would be wrong."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'mutants.json')
        output(['python3', '-B', root / 'tests/mutations/run.py', root, '--json', path])
        return json.loads(path.read_text('utf-8'))


PARTS = {function.__name__: function
         for function in (contract, tests, models, explorer, litmus, fuzz, soak, mutants)}


def circumstances(root):
    bench = module(root / 'bench/run.py')
    return {'date': time.strftime('%Y-%m-%d', time.gmtime()), 'processor': bench.processor(),
            'processors': len(os.sched_getaffinity(0)),
            'kernel': f'{platform.system()} {platform.release()}'}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('root', type=Path)
    parser.add_argument('build')
    parser.add_argument('parts', nargs='*', choices=[*PARTS, []], metavar='PART')
    options = parser.parse_args()
    root = options.root.resolve()
    results = json.loads(RESULTS.read_text('utf-8')) if RESULTS.exists() else {}
    for name in options.parts or PARTS:
        print(f'-- {name}', flush=True)
        results[name] = {**circumstances(root), 'found': PARTS[name](root, options.build)}
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + '\n', 'utf-8')


if __name__ == '__main__':
    main()
