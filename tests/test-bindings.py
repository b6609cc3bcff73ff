#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the typelib makes of the library, tried out in Python."""
import os
import sys
import threading

import gi
gi.require_version('Aio', '1')
from gi.repository import Aio, Gio, GLib, GObject  # noqa: E402

CASES = []


def case(function):
    CASES.append(function)
    return function


def spin(context, done):
    """Iterates until the list has something in it."""
    while not done:
        context.poll(True)


@case
def test_bottom_half():
    context = Aio.Context.new_full('py')
    assert context.get_name() == 'py'
    ran = []
    bh = Aio.BH.new(context, 'named', lambda *data: ran.append(data), 7)
    assert bh.get_name() == 'named'
    thread = threading.Thread(target=bh.schedule)
    thread.start()
    spin(context, ran)
    thread.join()
    assert ran == [(7,)]
    bh.schedule_idle()
    assert bh.is_scheduled() and bh.cancel() and not bh.cancel()
    bh.delete()


@case
def test_main_loop():
    context = Aio.Context.new_full('py')
    loop = GLib.MainLoop()
    ran = []
    context.attach(None)
    assert context.post(lambda: ran.append('post'))
    assert context.post(loop.quit)
    loop.run()
    context.detach()
    assert ran == ['post']


@case
def test_timer_and_descriptor():
    context = Aio.Context.new_full('py')
    ran = []
    timer = Aio.Timer.new(context, Aio.Clock.MONOTONIC, lambda: ran.append('timer'))
    timer.mod_ns(0)
    spin(context, ran)
    assert ran == ['timer'] and not timer.pending()
    read_end, write_end = os.pipe()
    got = []

    def on_readable(fd, condition):
        got.append((os.read(fd, 1), condition))
        return GLib.SOURCE_CONTINUE

    assert context.set_fd_watch(read_end, GLib.IOCondition.IN, on_readable)
    os.write(write_end, b'x')
    spin(context, got)
    assert got == [(b'x', GLib.IOCondition.IN)]
    context.set_fd_watch(read_end, 0, None)
    os.close(read_end)
    os.close(write_end)
    del timer                          # before its context


@case
def test_invoke_sync():
    io = Aio.IOThread.new('worker')
    seen = []
    assert io.get_context().invoke_sync(lambda *args: seen.append(threading.get_ident()) or True)
    assert seen[0] != threading.get_ident()

    def fail(*args):
        raise GLib.Error('no time', 'g-io-error-quark', Gio.IOErrorEnum.BUSY)

    try:
        io.get_context().invoke_sync(fail)
        assert False
    except GLib.Error as error:
        assert error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.BUSY)
    io.stop()


@case
def test_invoke_async():
    io = Aio.IOThread.new('worker')
    context = io.get_context()
    loop = GLib.MainLoop()
    seen = []

    def on_done(source, result, extra):
        seen.append((extra, context.invoke_finish(result)))
        loop.quit()

    # PyGObject wants a tuple as data of a callback that has another one behind it.
    context.invoke_async(lambda *args: seen.append(args) or True, (5,), None, on_done, 6)
    loop.run()
    assert seen == [(5, None), (6, True)], seen
    io.stop()


@case
def test_for_object():
    context = Aio.Context.new_full('py')
    thing = GObject.Object()
    ran = []
    bh = Aio.BH.new_for_object(context, 'bound', thing, lambda: ran.append(1))
    bh.schedule()
    context.poll(False)
    assert ran == [1]
    bh.schedule()
    del thing
    assert not bh.is_scheduled()
    context.poll(False)
    assert ran == [1]


def main():
    failed = 0
    for number, function in enumerate(CASES, 1):
        try:
            function()
            print(f'ok {number} - {function.__name__}', flush=True)
        except Exception as error:
            failed += 1
            print(f'# {type(error).__name__}: {error}')
            print(f'not ok {number} - {function.__name__}', flush=True)
    print(f'1..{len(CASES)}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
