#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs docs/models/wakeup.pml with spin: as it is, nothing may be found; with a bug planted,
something must.

usage: check-models.py FOLDER CC...   FOLDER holds the models, CC is a compiler; writes TAP

Covers: C2, C7, C12, C13, C14, C18, G1, G2, G3, G4, G7, R2, R3, R4, R5, R6
"""
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'checks'))
import tree  # noqa: E402

MEMORY = 2 << 30
SECONDS = 300

SOUND = {
    'own polls, one producer': 'OWN_ONLY OPS=3',
    'own polls, two producers, deletes': 'OWN_ONLY PRODUCERS=2 OPS=1 DELETES',
    'a GMainContext and visits': 'MAIN_ONLY',
    'a signal handler and a producer': 'HANDLER OPS=1 WHIMS=1',
    'nested polls, two producers': 'NESTS SIMPLE PRODUCERS=2 OPS=1 WHIMS=1',
    'nested polls, a signal handler, deletes': 'NESTS SIMPLE HANDLER OPS=1 DELETES',
    'it comes to rest': 'CALM OPS=1',
}

# What spin has to say of each planted bug.
LOST = r'assertion violated .*(?:state|want)\['
PLANTED = {
    'R4: no second look': ('NO_SECOND_LOOK', LOST),
    'R2: no wakeup while something is dispatched':
        ('R2_SKIP_WHILE_DISPATCHING NESTS SIMPLE PRODUCERS=2', LOST),
    'R3: drained behind the look': ('R3_LATE_DRAIN', LOST),
    'R5: a visit eats the wakeup': ('R5_EAT', LOST),
    'R6: a producer wipes a notification': ('R6_WIPE OWN_ONLY PRODUCERS=2', r'violated .*asked'),
    'C2: a hole is taken for nothing': ('HOLE_IS_NOTHING', LOST),
    'C2: the pass releases with a load and a store': ('RELEASE_STORES OWN_ONLY OPS=3', LOST),
    'C6: a sweep does not look again': ('SWEEP_WITHOUT_LOOKING OWN_ONLY OPS=3', LOST),
    'C2: who promotes pushes': ('DOUBLE_PUSH OWN_ONLY', r'violated .*in_queue'),
    'C7: the pass does not ask for life': ('RUN_DELETED DELETES', r'violated .*deleted'),
    'G7: not drained': ('NO_DRAIN CALM OPS=1', r'acceptance cycle'),
}


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False,
                          timeout=SECONDS, preexec_fn=limit_memory)
    if done.returncode != 0:
        raise RuntimeError(f'{" ".join(command)}: {done.returncode}\n{done.stdout}{done.stderr}')
    return done.stdout


def verify(model, compiler, macros):
    """What spin's verifier says."""
    lively = 'CALM' in macros.split()
    with tempfile.TemporaryDirectory() as folder:
        run(['spin', *(f'-D{macro}' for macro in macros.split()), '-a', model], folder)
        # Not optimised: the compiler would take longer than it saves.
        run([*compiler, '-O0', '-w', '-o', 'pan', 'pan.c',
             '-DNFAIR=4' if lively else '-DSAFETY'], folder)
        return run(['./pan', '-m200000', '-w22', *(['-a', '-f'] if lively else [])], folder)


def complaints(said, wanted):
    """None if it said what is wanted; a pattern, or None for "no error"."""
    if not re.search(r'^pan: elapsed time', said, re.M) or 'max search depth too small' in said:
        yield f'not complete:\n{said}'
    elif wanted is None and 'errors: 0' not in said:
        yield said
    elif wanted is not None and not re.search(rf'^pan:1: .*{wanted}', said, re.M):
        yield f'nothing like "{wanted}" was found:\n{said}'


def check(tap, model, compiler, name, macros, wanted):
    try:
        said = verify(model, compiler, macros)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        tap.result(name, [error])
        return
    states = re.search(r'([\d.e+]+) states, stored', said)
    print(f'# {macros}: {states.group(1) if states else "?"} states')
    tap.result(name, list(complaints(said, wanted)))


def main():
    folder, *compiler = sys.argv[1:]
    model = str(Path(folder).resolve() / 'wakeup.pml')
    missing = [name for name in ('spin', compiler[0]) if shutil.which(name) is None]
    if missing:
        print(f'1..0 # SKIP there is no {" and no ".join(missing)}')
        return 0
    tap = tree.Tap()
    for name, macros in SOUND.items():
        check(tap, model, compiler, name, macros, None)
    for name, (macros, wanted) in PLANTED.items():
        check(tap, model, compiler, name, macros, wanted)
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
