# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was asked of the library's speed, and what the benchmarks found."""
from collections import namedtuple

OURS, SOURCE, IO_THREAD = 'ours', 'ours in GMainContext', 'ours, I/O thread'
BH_POLL, HOME = 'ours, aio_bh_poll', 'ours, home thread'
BARE, EVENTFD, EPOLL = 'floor: bare GSource', 'floor: with an eventfd', 'floor: with an epoll fd'
PEERS = ('GLib', 'GLib, ready time', 'libuv', 'libev', 'libevent', 'sd-event')

# A goal: ours (question, size, name) is TIMES cheaper than the other, or costs AT_MOST so many times
# what the other does, or is not MORE than a figure. Of several others the best one counts.
Goal = namedtuple('Goal', 'text ours kind figure others')
TIMES, AT_MOST, NOT_MORE = range(3)


def best_peer(question, size):
    return [(question, size, name) for name in PEERS]


def trips():
    for place in ('unpinned', 'together', 'apart'):
        question = f'trip-asleep-{place}'
        for name in (OURS, IO_THREAD):
            yield Goal(f'round trip, asleep, {place}, {name}, beside the best peer',
                       (question, 1, name), AT_MOST, 1.0, best_peer(question, 1))


GOALS = [
    Goal('schedule and run by own poll, shared queue, beside g_idle_add',
         ('schedule', 1, BH_POLL), TIMES, 20, [('schedule', 1, 'GLib')]),
    Goal('schedule and run by own poll, home thread, beside g_idle_add',
         ('schedule', 1, HOME), TIMES, 30, [('schedule', 1, 'GLib')]),
    Goal('batch of 1 000, shared queue, beside libev',
         ('batch', 1000, BH_POLL), TIMES, 1.3, [('batch', 1000, 'libev')]),
    Goal('batch of 1 000, home thread, beside libev',
         ('batch', 1000, HOME), TIMES, 2, [('batch', 1000, 'libev')]),
    Goal('schedule while pending, beside one atomic exchange',
         ('merge', 1, OURS), AT_MOST, 1.25, [('merge', 1, 'floor: an exchange')]),
    Goal('schedule and g_main_context_iteration, beside g_idle_add',
         ('iteration', 1, SOURCE), AT_MOST, 0.8, [('iteration', 1, 'GLib')]),
    Goal('the same, beside a bare GSource with an eventfd',
         ('iteration', 1, SOURCE), AT_MOST, 1.1, [('iteration', 1, EVENTFD)]),
    Goal('with a descriptor and a timer, beside g_idle_add',
         ('schedule-full', 1, SOURCE), AT_MOST, 1.0, [('schedule-full', 1, 'GLib')]),
    Goal('with a descriptor and a timer, beside a bare GSource with an epoll fd',
         ('schedule-full', 1, SOURCE), AT_MOST, 1.1, [('schedule-full', 1, EPOLL)]),
    Goal('one of 100 000 registered, own poll, beside one of one',
         ('registered', 100000, BH_POLL), AT_MOST, 1.1, [('registered', 1, BH_POLL)]),
    Goal('one of 100 000 registered, GMainContext, beside one of one',
         ('registered', 100000, SOURCE), AT_MOST, 1.1, [('registered', 1, SOURCE)]),
    Goal('posts from another thread, beside g_main_context_invoke',
         ('posts', 1, SOURCE), TIMES, 8, [('posts', 1, 'GLib')]),
    Goal('posts from 8 threads, each, beside one thread',
         ('posts', 8, SOURCE), AT_MOST, 1.0, [('posts', 1, SOURCE)]),
    Goal('round trip, busy polling, own poll (ns)',
         ('trip-busy-apart', 1, OURS), NOT_MORE, 1000, []),
    Goal('round trip, busy polling, I/O threads (ns)',
         ('trip-busy-apart', 1, IO_THREAD), NOT_MORE, 1500, []),
    *trips(),
    Goal('1 ready of 10 000 descriptors, beside g_unix_fd_add',
         ('fds-1', 10000, SOURCE), TIMES, 200, [('fds-1', 10000, 'GLib')]),
    Goal('1 ready of 10 000 descriptors, beside 1 of 10',
         ('fds-1', 10000, SOURCE), AT_MOST, 1.3, [('fds-1', 10, SOURCE)]),
    Goal('1 ready of 10 000 descriptors, another each time, beside the floor',
         ('fds-another', 10000, SOURCE), AT_MOST, 1.3, [('fds-another', 10000, EPOLL)]),
    Goal('iteration beside 10 000 timers, beside none',
         ('timers-far', 10000, SOURCE), AT_MOST, 1.1, [('timers-far', 0, SOURCE)]),
    Goal('arm and cancel among 100 000 timers, beside libuv',
         ('timer-arm', 100000, OURS), AT_MOST, 0.6, [('timer-arm', 100000, 'libuv')]),
    Goal('1 000 contexts in one GMainContext, beside bare GSources',
         ('contexts', 1000, SOURCE), AT_MOST, 1.1, [('contexts', 1000, BARE)]),
    Goal('memory of a bottom half (bytes)', ('memory-call', 1, OURS), NOT_MORE, 128, []),
    Goal('memory of a context (bytes)', ('memory-loop', 1, OURS), NOT_MORE, 2048, []),
    Goal('wakeups for 1 000 posts while the loop is awake, own poll',
         ('wakeups', 1000, 'poll'), NOT_MORE, 0, []),
    Goal('wakeups for 1 000 posts while the loop is awake, GMainContext',
         ('wakeups', 1000, 'source'), NOT_MORE, 0, []),
]

SIGNS = {TIMES: '≥ {} × cheaper', AT_MOST: '≤ {} ×', NOT_MORE: '≤ {}'}
GOT = {TIMES: '{} × cheaper', AT_MOST: '{} ×', NOT_MORE: '{}'}


def number(value):
    """Three digits are what can be relied on, and more than enough."""
    digits = max(0, 2 - len(str(int(abs(value)))) + 1) if abs(value) < 100 else 0
    text = f'{value:.{digits}f}'
    text = text.rstrip('0').rstrip('.') if '.' in text else text
    whole, dot, rest = text.partition('.')
    return f'{int(whole):,}'.replace(',', ' ') + dot + rest if len(whole) > 4 else text


def table(data):
    """{(question, size, name): median} of a run; wakeups are counted by way of system calls."""
    figures = {(r['question'], r['size'], r['name']): r['median'] for r in data['results']}
    for name, counts in data.get('syscalls', {}).items():
        if name.endswith('-storm'):
            figures['wakeups', 1000, name.removesuffix('-storm')] = counts.get('write', 0)
    return figures


Verdict = namedtuple('Verdict', 'text asked got reached')


def verdicts(data):
    """What became of each goal whose figures are there."""
    figures = table(data)
    for goal in GOALS:
        others = [figures[other] for other in goal.others if other in figures]
        if goal.ours not in figures or (goal.others and not others):
            continue
        ours = figures[goal.ours]
        if goal.kind == NOT_MORE:
            got = ours
        else:
            got = min(others) / ours if goal.kind == TIMES else ours / min(others)
        reached = got >= goal.figure if goal.kind == TIMES else got <= goal.figure
        yield Verdict(goal.text, SIGNS[goal.kind].format(number(goal.figure)),
                      GOT[goal.kind].format(number(got)), reached)


def questions(data):
    """{question: [results]} in the order in which they were asked."""
    found = {}
    for result in data['results']:
        found.setdefault(result['question'], []).append(result)
    return found
