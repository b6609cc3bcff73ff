// SPDX-License-Identifier: LGPL-2.1-or-later
// A tour of the library in Vala. tour.py and tour.js do the same and print the same.

const int64 STEP = 2000000;       // nanoseconds

MainLoop loop;

// Any thread may schedule; schedules that nobody has answered yet merge into one run.
void bottom_half (Aio.Context context) {
    // It belongs to the context until it is deleted; this is a reference.
    Aio.BH bh = Aio.bh_new (context, "greeter", () => {
        print ("bottom half: scheduled 3 times, ran once\n");
        loop.quit ();
    });

    var thread = new Thread<bool> ("scheduler", () => {
        for (int i = 0; i < 3; i++)
            bh.schedule ();
        return true;
    });
    thread.join ();
    loop.run ();
    bh.delete ();
}

// An idle bottom half waits for the next iteration that happens anyway, at most 10 ms.
void idle (Aio.Context context) {
    Aio.BH bh = Aio.bh_new (context, "idler", () => {
        print ("idle: ran\n");
        loop.quit ();
    });

    bh.schedule_idle ();
    loop.run ();
    bh.delete ();
}

// A post needs no bottom half. What one thread posts runs in that order.
void post (Aio.Context context) {
    context.post (() => print ("post: ran\n"));
    context.post (loop.quit);
    loop.run ();
}

// Deadlines are absolute, in nanoseconds. A timer ends with the variable that owns it.
void timer (Aio.Context context) {
    int64 start = context.get_time_ns (Aio.Clock.MONOTONIC);
    int n = 0;
    bool early = false;
    unowned Aio.Timer? self = null;

    var timer = new Aio.Timer (context, Aio.Clock.MONOTONIC, () => {
        early |= context.get_time_ns (Aio.Clock.MONOTONIC) < start + n * STEP;
        if (++n == 3)
            loop.quit ();
        else
            self.mod_ns (start + n * STEP);
    });
    self = timer;
    timer.mod_ns (start);
    loop.run ();
    print ("timer: fired %d times, %s\n", n, early ? "early" : "never early");
}

// A watch is called while its descriptor is ready, and says whether it goes on.
void descriptor (Aio.Context context) throws Error {
    int ends[2];

    Unix.open_pipe (ends, Posix.FD_CLOEXEC);
    context.set_fd_watch (ends[0], IOCondition.IN, (fd, condition) => {
        var buffer = new char[100];

        Posix.read (fd, buffer, buffer.length - 1);
        print ("descriptor: %s\n", (string) buffer);
        loop.quit ();
        return Source.REMOVE;
    });
    Posix.write (ends[1], "hello", 5);
    loop.run ();
    Posix.close (ends[0]);
    Posix.close (ends[1]);
}

// A flag with a descriptor. Any thread and any signal handler may set it.
void event_notifier (Aio.Context context) throws Error {
    var notifier = new Aio.EventNotifier (false);

    context.set_fd_watch (notifier.get_fd (), IOCondition.IN, (fd, condition) => {
        print ("event notifier: %s\n", notifier.test_and_clear () ? "set" : "not set");
        loop.quit ();
        return Source.REMOVE;
    });
    var thread = new Thread<bool> ("setter", () => {
        notifier.set ();
        return true;
    });
    loop.run ();
    thread.join ();
}

// Two calls, one after the other, while the main loop goes on.
async void work (Aio.Context context) {
    int product = 0;
    unowned Thread<bool> main_thread = Thread.self<bool> ();

    try {
        yield context.invoke_async ((cancellable) => {
            assert (Thread.self<bool> () != main_thread);
            product = 6 * 7;
            return true;
        }, null);
        print ("invoke: 6 * 7 = %d\n", product);
        yield context.invoke_async ((cancellable) => {
            throw new IOError.INVALID_ARGUMENT ("no");
        }, null);
    } catch (IOError.INVALID_ARGUMENT error) {
        print ("invoke: 6 / 0 is an error\n");
    } catch (Error error) {
        printerr ("%s\n", error.message);
    }
    loop.quit ();
}

// An I/O thread runs a context of its own.
void invoke () throws Error {
    var worker = new Aio.IOThread ("worker");

    work.begin (worker.get_context ());
    loop.run ();
    worker.stop ();
}

int main () {
    loop = new MainLoop ();
    try {
        var context = new Aio.Context.full ("tour");

        context.attach (null);    // to the default GMainContext, which the loop runs
        bottom_half (context);
        idle (context);
        post (context);
        timer (context);
        descriptor (context);
        event_notifier (context);
        invoke ();
        print ("stats: %s runs\n", context.dup_stats ().runs.to_string ());
        context.detach ();
    } catch (Error error) {
        printerr ("%s\n", error.message);
        return 1;
    }
    return 0;
}
