#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the typelib makes of the library, tried out in Python."""
import os
import socket
import sys
import tempfile
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


class Stderr:
    """What is written to stderr, by whoever it is."""

    def __enter__(self):
        self.file = tempfile.TemporaryFile('w+')
        self.saved = os.dup(2)
        os.dup2(self.file.fileno(), 2)
        return self

    def __exit__(self, *unused):
        sys.stderr.flush()
        os.dup2(self.saved, 2)
        os.close(self.saved)
        self.file.seek(0)
        self.text = self.file.read()


def fail(*args):
    raise ValueError('oh no')


@case
def test_exceptions():
    """Each is reported, and nothing else than its callback ends."""
    context = Aio.Context.new_full('py')
    loop = GLib.MainLoop()
    context.attach(None)
    bh = Aio.BH.new(context, 'fails', fail)
    notifier = Aio.EventNotifier.new(True)
    timer = Aio.Timer.new(context, Aio.Clock.MONOTONIC, fail)
    seen = []

    def on_done(source, result):
        seen.append(context.invoke_finish(result))
        loop.quit()

    with Stderr() as stderr:
        bh.schedule()
        Aio.BH.schedule_oneshot_full(context, 'fails', fail)
        context.post(fail)
        timer.mod_ns(0)
        context.set_fd_watch(notifier.get_fd(), GLib.IOCondition.IN, fail)
        context.invoke_async(fail, (), None, on_done)
        loop.run()
        seen.append(context.invoke_sync(fail))
        assert not context.poll_until(fail, None, 0)      # asks before and after its pass
        bh.schedule()
        context.post(loop.quit)
        loop.run()
    assert seen == [False, False], seen
    n = stderr.text.count('ValueError: oh no')
    assert stderr.text.count('Traceback') == n == 10, f'{n} tracebacks: {stderr.text}'
    context.set_fd_watch(notifier.get_fd(), 0, None)
    bh.delete()
    context.detach()


@case
def test_wrappers_outlive():
    """What one has from a getter, or of a dead bottom half, is a reference."""
    io = Aio.IOThread.new('worker')
    context = io.get_context()
    bh = Aio.BH.new(context, 'gone', print)
    bh.delete()
    io.stop()
    del io
    assert context.get_name() == 'worker' and not context.post(print)
    bh.schedule()
    assert bh.get_name() == 'gone' and bh.get_context() is None


@case
def test_timer_delete():
    context = Aio.Context.new_full('py')
    timer = Aio.Timer.new(context, Aio.Clock.MONOTONIC, lambda: timer)
    timer.mod_ns(0)
    timer.delete()
    assert not timer.pending() and not context.poll(False)


@case
def test_stats():
    context = Aio.Context.new_full('py')
    context.post(lambda: None)
    context.poll(False)
    stats = context.get_stats()
    assert stats.runs == 1 and stats.copy().runs == 1
    assert context.get_stats().iterations >= stats.iterations


@case
def test_objects_of_gio():
    context = Aio.Context.new_full('py')
    here, there = socket.socketpair()
    cancellable = Gio.Cancellable()
    seen = []

    def on_socket(socket, condition):
        seen.append((os.read(socket.get_fd(), 10), condition))
        return GLib.SOURCE_REMOVE

    def on_stream(stream):
        seen.append(stream.read_bytes(10, None).get_data())
        return GLib.SOURCE_REMOVE

    gsocket = Gio.Socket.new_from_fd(os.dup(here.fileno()))
    context.set_socket_handler(gsocket, GLib.IOCondition.IN, on_socket)
    there.send(b'one')
    spin(context, seen)
    stream = Gio.UnixInputStream.new(here.fileno(), False)
    context.set_pollable_handler(stream, on_stream)
    there.send(b'two')
    while len(seen) < 2:
        context.poll(True)
    assert seen == [(b'one', GLib.IOCondition.IN), b'two'], seen
    bh = Aio.BH.new(context, 'cancelled', lambda: seen.append(1))
    bh.connect_cancellable(cancellable)
    bh.schedule()
    cancellable.cancel()
    assert not bh.is_scheduled()
    bh.delete()
    here.close()
    there.close()


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
