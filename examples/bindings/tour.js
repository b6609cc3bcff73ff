// SPDX-License-Identifier: LGPL-2.1-or-later
// A tour of the library in JavaScript, for gjs. tour.py and tour.vala do the same and print the
// same.
//
// JavaScript has one thread, so all callbacks must run there: in a context that is attached to the
// main loop, never in that of an I/O thread. What other threads can do is schedule, in C.
imports.gi.versions.Aio = '1';

const {Aio, Gio, GLib} = imports.gi;

const loop = GLib.MainLoop.new(null, false);

// Schedules that have not been answered yet merge into one run.
function bottomHalf(context) {
    const bh = Aio.BH.new(context, 'greeter', () => {
        print('bottom half: scheduled 3 times, ran once');
        loop.quit();
    });

    for (let i = 0; i < 3; i++)
        bh.schedule();
    loop.run();
    bh.delete();                  // or the context reports it, by its name, when it ends
}

// An idle bottom half waits for the next iteration that happens anyway, at most 10 ms.
function idle(context) {
    const bh = Aio.BH.new(context, 'idler', () => {
        print('idle: ran');
        loop.quit();
    });

    bh.schedule_idle();
    loop.run();
    bh.delete();
}

// A post needs no bottom half. What one thread posts runs in that order.
function post(context) {
    context.post(() => print('post: ran'));
    context.post(() => loop.quit());
    loop.run();
}

// Deadlines are absolute, in nanoseconds.
function timer(context) {
    const step = 2000000;
    const start = context.get_time_ns(Aio.Clock.MONOTONIC);
    const fired = [];

    const ticker = Aio.Timer.new(context, Aio.Clock.MONOTONIC, () => {
        fired.push(context.get_time_ns(Aio.Clock.MONOTONIC));
        if (fired.length === 3)
            loop.quit();
        else
            ticker.mod_ns(start + fired.length * step);
    });

    ticker.mod_ns(start);
    loop.run();
    ticker.delete();              // now, not when the garbage collector comes to it
    const inTime = fired.every((now, i) => now >= start + i * step);
    print(`timer: fired ${fired.length} times, ${inTime ? 'never early' : 'early'}`);
}

// A watch is called while its descriptor is ready, and says whether it goes on.
function descriptor(context) {
    const child = Gio.Subprocess.new(['echo', '-n', 'hello'], Gio.SubprocessFlags.STDOUT_PIPE);
    const pipe = child.get_stdout_pipe();

    context.set_fd_watch(pipe.get_fd(), GLib.IOCondition.IN, (_fd, _condition) => {
        const bytes = pipe.read_bytes(100, null).toArray();
        print(`descriptor: ${new TextDecoder().decode(bytes)}`);
        loop.quit();
        return GLib.SOURCE_REMOVE;
    });
    loop.run();
    child.wait(null);
}

// A flag with a descriptor, which other threads and signal handlers may set, in C.
function eventNotifier(context) {
    const notifier = Aio.EventNotifier.new(false);

    context.set_fd_watch(notifier.get_fd(), GLib.IOCondition.IN, (_fd, _condition) => {
        print(notifier.test_and_clear() ? 'event notifier: set' : 'event notifier: not set');
        loop.quit();
        return GLib.SOURCE_REMOVE;
    });
    notifier.set();
    loop.run();
}

// A promise of what a function returns, or throws, when it comes to its turn in the context.
function call(context, func) {
    return new Promise((resolve, reject) => {
        let value, failure;
        const run = () => {
            try {
                value = func();
            } catch (error) {
                failure = error;
            }
            return true;
        };

        context.invoke_async(run, null, (_source, result) => {
            try {
                context.invoke_finish(result);    // throws a GLib.Error if it was not made
                if (failure)
                    throw failure;
                resolve(value);
            } catch (error) {
                reject(error);
            }
        });
    });
}

async function work(context) {
    print('invoke: 6 * 7 =', await call(context, () => 6 * 7));
    try {
        await call(context, () => {
            throw new RangeError();
        });
    } catch (error) {
        if (error instanceof RangeError)
            print('invoke: 6 / 0 is an error');
    }
    loop.quit();
}

// Any number of contexts may share the main loop.
function invoke() {
    const context = Aio.Context.new_full('worker');

    context.attach(null);
    work(context).catch(logError);
    loop.run();
    context.detach();
}

function main() {
    const context = Aio.Context.new_full('tour');

    context.attach(null);         // to the default GMainContext, which the loop runs
    bottomHalf(context);
    idle(context);
    post(context);
    timer(context);
    descriptor(context);
    eventNotifier(context);
    invoke();
    print(`stats: ${context.get_stats().runs} runs`);
    context.detach();
}

main();
