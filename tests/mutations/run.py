#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Breaks the library in small ways and shows that a test notices each. As TAP.

usage: run.py ROOT [--check] [--part N/M] [--json FILE] [NAME…]

Each NAME.patch beside this file is one mistake. Lines before the patch say what it is, which
sentences of the contract it breaks, and which tests are to notice. A mistake that none of them
notices is a missing test. The tree is copied and left as it is.

  --check      only whether each patch still applies, and names tests that there are
  --part N/M   every Mth one, from the Nth on: so that a run a day goes through all of them
  --json FILE  which test has noticed which, for docs/reliability.md
"""
import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PATCHES = Path(__file__).resolve().parent
LEFT_OUT = shutil.ignore_patterns('.git', '_build*', '__pycache__')
# A mistake that makes a test hang is noticed when its time is up.
TIMEOUT_MULTIPLIER = '0.5'


class Mutant:
    def __init__(self, path):
        self.name = path.stem
        self.path = path
        text = path.read_text(encoding='utf-8')
        self.what = re.search(r'^What: (.*)$', text, re.M).group(1)
        self.breaks = re.search(r'^Breaks: (.*)$', text, re.M).group(1)
        self.tests = re.search(r'^Tests: (.*)$', text, re.M).group(1).split()

    def apply(self, tree, *options):
        return subprocess.run(['patch', '-p1', '--quiet', '--no-backup-if-mismatch',
                               '-i', self.path, *options],
                              cwd=tree, capture_output=True, text=True, check=False)


def known_programs(root):
    """{name: path in the build folder} of test programs, as the meson.build files list them."""
    found = {}
    for path in (root / 'tests').rglob('meson.build'):
        text = path.read_text(encoding='utf-8')
        names = re.findall(r"^  '([\w-]+)': \['\w+', '\w+'\]", text, re.M)
        names += re.findall(r"executable\('test-([\w-]+)'", text)
        found.update({name: path.parent.relative_to(root) / f'test-{name}' for name in names})
    return found


def program_of(test):
    """Some run a second time, with descriptors watched by poll(2)."""
    return test.removesuffix('-fdmon-poll')


def complaint_about(mutant, root, programs):
    unknown = [name for name in mutant.tests if program_of(name) not in programs]
    if unknown:
        return f'there is no test {unknown[0]}'
    result = mutant.apply(root, '--dry-run', '--force')
    return result.stdout.strip() if result.returncode != 0 else None


def run(command, tree):
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def failing_test(mutant, programs, build, tree):
    """The first of its tests that notices; None if none does. A RuntimeError if it is no mutant,
    because it does not compile."""
    targets = {str(programs[program_of(name)]) for name in mutant.tests}
    built = run(['ninja', '-C', build, *sorted(targets)], tree)
    if built.returncode != 0:
        raise RuntimeError('does not compile:\n' + built.stdout[-2000:])
    for name in mutant.tests:
        tested = run(['meson', 'test', '-C', build, '--no-rebuild', '--quiet',
                      '--timeout-multiplier', TIMEOUT_MULTIPLIER, name], tree)
        if tested.returncode != 0:
            return name
    return None


def touch(tree, mutant):
    """Back to what it was, with a time that the build system takes for new."""
    mutant.apply(tree, '--reverse', '--force')
    for name in re.findall(r'^\+\+\+ b/(\S+)', mutant.path.read_text(encoding='utf-8'), re.M):
        (tree / name).touch()


def verdict(mutant, programs, build, tree):
    """(the test that notices, or None; what there is to say of it)."""
    applied = mutant.apply(tree, '--force')
    if applied.returncode != 0:
        return None, applied.stdout.strip()
    try:
        killer = failing_test(mutant, programs, build, tree)
    except RuntimeError as error:
        return None, str(error)
    finally:
        touch(tree, mutant)
    if killer is None:
        return None, 'no test has noticed: ' + ', '.join(mutant.tests)
    return killer, 'noticed by ' + killer


def report(number, mutant, good, remark):
    print(f'{"ok" if good else "not ok"} {number} {mutant.name} ({mutant.breaks}): {mutant.what}')
    for line in remark.splitlines():
        print(f'# {line}')
    sys.stdout.flush()
    return good


def check(root, mutants):
    programs = known_programs(root)
    good = True
    for number, mutant in enumerate(mutants, 1):
        complaint = complaint_about(mutant, root, programs)
        good &= report(number, mutant, complaint is None, complaint or '')
    return good


def kill(root, mutants, store):
    programs = known_programs(root)
    good = True
    found = []
    with tempfile.TemporaryDirectory(prefix='aio-mutants-') as folder:
        tree = Path(folder) / 'tree'
        build = str(Path(folder) / 'build')
        shutil.copytree(root, tree, ignore=LEFT_OUT, symlinks=True)
        made = run(['meson', 'setup', build, '-Ddefault_library=shared', '-Dintrospection=disabled',
                    '-Dvapi=disabled'], tree)
        if made.returncode != 0:
            print('Bail out! ' + made.stdout[-2000:])
            return False
        for number, mutant in enumerate(mutants, 1):
            killer, remark = verdict(mutant, programs, build, tree)
            good &= report(number, mutant, killer is not None, remark)
            found.append({'name': mutant.name, 'what': mutant.what, 'breaks': mutant.breaks,
                          'noticed by': killer})
            if store is not None:
                store.write_text(json.dumps(found, indent=1) + '\n', encoding='utf-8')
    return good


def chosen(options):
    mutants = [Mutant(path) for path in sorted(PATCHES.glob('*.patch'))]
    if options.names:
        mutants = [mutant for mutant in mutants if mutant.name in options.names]
    if options.part:
        first, step = map(int, options.part.split('/'))
        mutants = mutants[first % step::step]
    return mutants


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('root', type=Path)
    parser.add_argument('--check', action='store_true')
    parser.add_argument('--part', metavar='N/M')
    parser.add_argument('--json', type=Path, metavar='FILE')
    parser.add_argument('names', nargs='*', metavar='NAME')
    options = parser.parse_intermixed_args()
    mutants = chosen(options)
    print(f'1..{len(mutants)}')
    root = options.root.resolve()
    good = check(root, mutants) if options.check else kill(root, mutants, options.json)
    return 0 if good and mutants else 1


if __name__ == '__main__':
    sys.exit(main())
