#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tour of the library in Python. tour.vala and tour.js do the same and print the same."""
import os
import threading

import gi
gi.require_version('Aio', '1')
from gi.repository import Aio, GLib  # noqa: E402

loop = GLib.MainLoop()


def bottom_half(context):
    """Any thread may schedule; schedules that nobody has answered yet merge into one run."""
    def on_scheduled():
        assert threading.current_thread() is threading.main_thread()
        print('bottom half: scheduled 3 times, ran once')
        loop.quit()

    def schedule():
        for _ in range(3):
            bh.schedule()

    bh = Aio.BH.new(context, 'greeter', on_scheduled)
    thread = threading.Thread(target=schedule)
    thread.start()
    thread.join()
    loop.run()
    bh.delete()                   # or the context reports it, by its name, when it ends


def idle(context):
    """An idle bottom half waits for the next iteration that happens anyway, at most 10 ms."""
    def on_idle():
        print('idle: ran')
        loop.quit()

    bh = Aio.BH.new(context, 'idler', on_idle)
    bh.schedule_idle()
    loop.run()
    bh.delete()


def post(context):
    """A post needs no bottom half. What one thread posts runs in that order."""
    context.post(print, 'post: ran')
    context.post(loop.quit)
    loop.run()


def timer(context):
    """Deadlines are absolute, in nanoseconds."""
    fired = []

    def on_timer():
        fired.append(context.get_time_ns(Aio.Clock.MONOTONIC))
        if len(fired) == 3:
            loop.quit()
        else:
            timer.mod_ns(start + len(fired) * 2000000)

    start = context.get_time_ns(Aio.Clock.MONOTONIC)
    timer = Aio.Timer.new(context, Aio.Clock.MONOTONIC, on_timer)
    timer.mod_ns(start)
    loop.run()
    timer.delete()                # its callback refers to it, and it to its callback
    in_time = all(now >= start + i * 2000000 for i, now in enumerate(fired))
    print(f'timer: fired {len(fired)} times,', 'never early' if in_time else 'early')


def descriptor(context):
    """A watch is called while its descriptor is ready, and says whether it goes on."""
    read_end, write_end = os.pipe()

    def on_readable(fd, condition):
        print(f'descriptor: {os.read(fd, 100).decode()}')
        loop.quit()
        return GLib.SOURCE_REMOVE

    context.set_fd_watch(read_end, GLib.IOCondition.IN, on_readable)
    os.write(write_end, b'hello')
    loop.run()
    os.close(read_end)
    os.close(write_end)


def event_notifier(context):
    """A flag with a descriptor. Any thread may set it, and so may C code that knows no Python."""
    notifier = Aio.EventNotifier.new(False)

    def on_set(fd, condition):
        print('event notifier: set' if notifier.test_and_clear() else 'event notifier: not set')
        loop.quit()
        return GLib.SOURCE_REMOVE

    context.set_fd_watch(notifier.get_fd(), GLib.IOCondition.IN, on_set)
    threading.Thread(target=notifier.set).start()
    loop.run()


class Call:
    """Awaits what a function returns, or raises, in the home thread of a context."""

    def __init__(self, context, func):
        self.context, self.func, self.error = context, func, None

    def __await__(self):
        result = yield self                     # go_on() makes the call and comes back
        self.context.invoke_finish(result)      # raises GLib.Error if it was not made
        if self.error:
            raise self.error
        return self.value

    def run(self, *unused):
        try:
            self.value = self.func()
        except Exception as error:
            self.error = error
        return True


def go_on(coroutine, result=None):
    """Runs a coroutine up to its next call. The main loop comes here again when that is over."""
    try:
        call = coroutine.send(result)
    except StopIteration:
        return
    call.context.invoke_async(call.run, (), None,
                              lambda source, result: go_on(coroutine, result))


async def work(context):
    """Two calls, one after the other, while the main loop goes on."""
    main_thread = threading.get_ident()
    print('invoke: 6 * 7 =', await Call(context, lambda: 6 * 7))
    assert await Call(context, threading.get_ident) != main_thread
    try:
        await Call(context, lambda: 6 / 0)
    except ZeroDivisionError:
        print('invoke: 6 / 0 is an error')
    loop.quit()


def invoke():
    """An I/O thread runs a context of its own."""
    worker = Aio.IOThread.new('worker')
    go_on(work(worker.get_context()))
    loop.run()
    worker.stop()


def main():
    context = Aio.Context.new_full('tour')
    context.attach(None)          # to the default GMainContext, which the loop runs
    bottom_half(context)
    idle(context)
    post(context)
    timer(context)
    descriptor(context)
    event_notifier(context)
    invoke()
    print(f'stats: {context.get_stats().runs} runs')
    context.detach()


if __name__ == '__main__':
    main()
