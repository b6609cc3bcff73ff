#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the hot operations take: instructions of the library and system calls.

usage: check-instructions.py OPS STORED COMPILER [--store]

OPS is the program of bench/ that does one operation many times. STORED has the figures: those of
instructions by COMPILER, which has the options in it that make other code, and those of system
calls once. --store writes what is counted now; to be done when a change is meant to cost or to save
something.
"""
import json
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'bench'))
import counts  # noqa: E402
import tree  # noqa: E402

# A change within this may be chance: another order of the code, another size of a cache.
MARGIN = 0.03
N_INSTRUCTIONS, N_SYSCALLS, N_STORMS = 4000, 400, 4

# By the name that OPS knows; a pass that has nothing to do is what "rest" does.
HOT = {
    'poll-merge': 'schedule while pending',
    'poll-schedule': 'schedule and aio_context_poll',
    'poll-rest': 'aio_context_poll with nothing to do',
    'bh-poll-schedule': 'schedule and aio_bh_poll',
    'bh-poll-rest': 'aio_bh_poll with nothing to do',
    'bh-poll-batch': 'schedule and its part of a pass, of 1000',
    'home-schedule': 'schedule in a callback and aio_bh_poll',
    'home-batch': 'schedule in a callback and its part of a pass, of 1000',
    'source-schedule': 'schedule and g_main_context_iteration',
    'source-rest': 'g_main_context_iteration with nothing to do',
    'poll-post': 'post and aio_context_poll',
    'poll-arm': 'arm and cancel a timer',
    'poll-fire': 'arm a timer that is due and run it',
    'poll-fd': 'a descriptor, and aio_context_poll',
    'source-fd': 'a descriptor, and g_main_context_iteration',
}
STORMS = {
    'poll-storm': '1000 schedules from another thread, aio_context_poll',
    'source-storm': '1000 schedules from another thread, g_main_context_iteration',
}


def compare(stored, counted, margin):
    """The complaint, if any. What has become cheaper is welcome, but the guard must learn of it."""
    if stored is None:
        return f'{counted} are counted, nothing is stored'
    if counted > stored * (1 + margin):
        return f'{counted} where {stored} are stored: it has become slower'
    if counted < stored * (1 - margin):
        return f'{counted} where {stored} are stored: it is cheaper now; store that with --store'
    return None


def check_instructions(tap, ops, stored):
    for name, title in HOT.items():
        counted, _ = counts.instructions(ops, name, N_INSTRUCTIONS)
        complaint = compare(stored.get(name), counted, MARGIN)
        tap.result(f'instructions: {title}', [complaint] if complaint else [])


def made(ops, name):
    return counts.syscalls(ops, name, N_STORMS if name in STORMS else N_SYSCALLS)


def check_syscalls(tap, ops, stored):
    """To the last one: what a thread does at its leisure is not among them. (What poll and
    epoll_wait say in a storm depends on who comes first; how many wakeups it takes does not.)"""
    for name, title in (HOT | STORMS).items():
        counted, wanted = made(ops, name), stored.get(name, {})
        if name in STORMS:
            counted, wanted = counted.get('write', 0), wanted.get('write', 0)
        tap.result(f'system calls: {title}',
                   [] if counted == wanted else [f'{counted} where {wanted} are stored'])


def store(ops, path, compiler):
    data = json.loads(path.read_text('utf-8')) if path.exists() else {'instructions': {}}
    if counts.can_count_instructions():
        data['instructions'][compiler] = {
            name: counts.instructions(ops, name, N_INSTRUCTIONS)[0] for name in HOT}
    if counts.can_count_syscalls():
        data['syscalls'] = {name: made(ops, name) for name in HOT | STORMS}
    path.write_text(json.dumps(data, indent=1) + '\n', encoding='utf-8')


def main():
    ops, path, compiler, *rest = sys.argv[1:]
    path = Path(path)
    if rest == ['--store']:
        store(ops, path, compiler)
        return 0
    tap = tree.Tap()
    data = json.loads(path.read_text('utf-8'))
    if not counts.can_count_instructions():
        tap.skip('instructions', 'valgrind does not work here')
    elif compiler not in data['instructions']:
        tap.skip('instructions', f'no figures of {compiler} are stored')
    else:
        check_instructions(tap, ops, data['instructions'][compiler])
    if not counts.can_count_syscalls():
        tap.skip('system calls', 'strace does not work here')
    else:
        check_syscalls(tap, ops, data['syscalls'])
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
