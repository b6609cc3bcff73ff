#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rounds of everything in Python, 100 000 of them in all, leave no reference and no memory behind.

What is asserted are counts: of references, of Python's blocks, and of the bytes that malloc() has
given out. Of these, PyGObject loses some with each callback that it hands to any library (the types
of its arguments). How many is measured with callbacks that are handed to GLib and GIO, and taken
off.
"""
import ctypes
import gc
import os
import sys

import gi
gi.require_version('Aio', '1')
from gi.repository import Aio, Gio, GLib, GObject  # noqa: E402

ROUNDS = 10_000
# Caches may grow by less than that; whatever is lost in each round is more.
BYTES_OF_SLACK = ROUNDS * 8
BLOCKS_OF_SLACK = ROUNDS // 20


class MallInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                ('arena', 'ordblks', 'smblks', 'hblks', 'hblkhd', 'usmblks', 'fsmblks', 'uordblks',
                 'fordblks', 'keepcost')]


def allocated_bytes():
    """What malloc() has given out; 0 where it does not tell (glibc 2.33 and later do)."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return 0
    mallinfo2.restype = MallInfo
    info = mallinfo2()
    return info.uordblks + info.hblkhd


class Payload:
    """Data of a callback: it has to end with it."""
    alive = 0

    def __init__(self):
        Payload.alive += 1

    def __del__(self):
        Payload.alive -= 1


def callback(*args):
    callback.runs += 1
    return True


callback.runs = 0


# What PyGObject itself does, by the number of arguments of the callback.

def one_argument(context, io):
    GLib.MainContext.default().invoke_full(0, lambda payload: callback() and False, Payload())


def three_arguments(context, io):
    store = Gio.ListStore.new(GObject.Object)
    store.sort(lambda *args: 0, Payload())
    callback()


# What is ours. Each says how many callbacks it makes, with one argument and with three.

def bottom_half(context, io):
    bh = Aio.BH.new(context, 'leak', callback, Payload())
    bh.schedule()
    context.poll(False)
    bh.delete()


def for_object(context, io):
    thing = GObject.Object()
    Aio.BH.new_for_object(context, 'leak', thing, callback, Payload()).schedule()
    context.poll(False)


def oneshot(context, io):
    Aio.BH.schedule_oneshot_full(context, 'leak', callback, Payload())
    context.poll(False)


def post(context, io):
    context.post(callback, Payload())
    context.poll(False)


def timer(context, io):
    armed = Aio.Timer.new(context, Aio.Clock.MONOTONIC, callback, Payload())
    armed.mod_ns(0)
    context.poll(False)


def timer_that_knows_itself(context, io):
    def on_timer(payload):
        callback()
        armed.delete()
    armed = Aio.Timer.new(context, Aio.Clock.MONOTONIC, on_timer, Payload())
    armed.mod_ns(0)
    context.poll(False)


def watch(context, io):
    notifier = Aio.EventNotifier.new(True)
    context.set_fd_watch(notifier.get_fd(), GLib.IOCondition.IN, callback, Payload())
    context.poll(False)
    context.set_fd_watch(notifier.get_fd(), 0, None)


def invoke_async(context, io):
    def on_done(source, result, payload):
        io.invoke_finish(result)
        done.append(1)
    done = []
    io.invoke_async(callback, (Payload(),), None, on_done, Payload())
    while not done:
        GLib.MainContext.default().iteration(True)


def invoke_sync(context, io):
    io.invoke_sync(callback, Payload())


def whole_context(context, io):
    own = Aio.Context.new_full('leak')
    own.attach(None)
    own.post(callback, Payload())
    GLib.MainContext.default().iteration(False)
    own.get_stats()
    own.detach()


KINDS = {bottom_half: (1, 0), for_object: (1, 0), oneshot: (1, 0), post: (1, 0), timer: (1, 0),
         timer_that_knows_itself: (1, 0), watch: (0, 1), invoke_async: (0, 2), invoke_sync: (0, 1),
         whole_context: (1, 0)}


def run_rounds(kind, context, io, n):
    for _ in range(n):
        kind(context, io)
    # The last destroy notifies: of what another thread has dropped, and PyGObject's own.
    settle(context, io)


def settle(context, io):
    io.invoke_sync(callback)
    while GLib.MainContext.default().iteration(False):
        pass
    context.poll(False)
    gc.collect()


def counts():
    return (sys.getrefcount(callback), len(os.listdir('/proc/self/fd')), sys.getallocatedblocks(),
            allocated_bytes())


def growth(kind, context, io):
    """How many more references, descriptors, blocks and bytes there are, once caches are full."""
    run_rounds(kind, context, io, ROUNDS // 10)
    before, runs = counts(), callback.runs
    run_rounds(kind, context, io, ROUNDS)
    assert callback.runs == runs + ROUNDS + 1, callback.runs - runs
    return [after - former for former, after in zip(before, counts())]


def check(kind, context, io, lost_elsewhere):
    references, descriptors, blocks, all_bytes = growth(kind, context, io)
    own_bytes = all_bytes - lost_elsewhere
    print(f'# {kind.__name__}: {references} references, {blocks} blocks, {own_bytes} bytes more')
    assert Payload.alive <= 1, f'{Payload.alive} payloads are left'
    assert references <= 1, f'{references} references to the callback'
    assert descriptors == 0, f'{descriptors} descriptors'
    assert blocks < BLOCKS_OF_SLACK, f'{blocks} blocks'
    assert own_bytes < BYTES_OF_SLACK, f'{own_bytes} bytes'


def main():
    thread = Aio.IOThread.new('leaks')
    context = Aio.Context.new_full('leaks')
    io = thread.get_context()
    failed = 0
    lost = [growth(kind, context, io)[3] for kind in (one_argument, three_arguments)]
    print(f'# PyGObject alone: {lost[0]} and {lost[1]} bytes')
    for number, (kind, callbacks) in enumerate(KINDS.items(), 1):
        try:
            check(kind, context, io, sum(n * bytes for n, bytes in zip(callbacks, lost)))
            print(f'ok {number} - {kind.__name__}', flush=True)
        except AssertionError as error:
            failed += 1
            print(f'# {error}\nnot ok {number} - {kind.__name__}', flush=True)
    thread.stop()
    print(f'1..{len(KINDS)}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
