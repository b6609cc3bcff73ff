// SPDX-License-Identifier: LGPL-2.1-or-later
// What the typelib makes of the library, tried out in JavaScript: exceptions, and 100 000 rounds
// after which no callback and nothing that it refers to is left.
imports.gi.versions.Aio = '1';

const {Aio, Gio, GLib} = imports.gi;
const System = imports.system;

const ROUNDS = 20000;           // of each kind
const ROUNDS_AT_ONCE = 400;     // less than there may be open descriptors

function assertEqual(found, wanted, what) {
    if (found !== wanted)
        throw new Error(`${what}: ${found} instead of ${wanted}`);
}

// Exceptions. The program runs itself, to see what it writes to stderr.

function fail() {
    throw new Error('oh no');
}

function throwEverywhere() {
    const context = Aio.Context.new_full('js');
    const loop = GLib.MainLoop.new(null, false);
    const bh = Aio.BH.new(context, 'fails', fail);
    const timer = Aio.Timer.new(context, Aio.Clock.MONOTONIC, fail);
    const notifier = Aio.EventNotifier.new(true);

    context.attach(null);
    bh.schedule();
    Aio.BH.schedule_oneshot_full(context, 'fails', fail);
    context.post(fail);
    timer.mod_ns(0);
    context.set_fd_watch(notifier.get_fd(), GLib.IOCondition.IN, fail);
    context.invoke_async(() => true, null, (_source, result) => {
        print(context.invoke_finish(result) ? 'invoked' : 'not invoked');
        loop.quit();
        fail();
    });
    loop.run();
    // When the loop was left, those of the last iteration may not have run.
    while (context.poll(false))
        ;
    bh.schedule();
    context.post(() => loop.quit());
    loop.run();
    print('goes on');
    context.set_fd_watch(notifier.get_fd(), 0, null);
    timer.delete();
    bh.delete();
    context.detach();
}

function testExceptions() {
    const child = Gio.Subprocess.new(['gjs', System.programPath, 'throw'],
        Gio.SubprocessFlags.STDOUT_PIPE | Gio.SubprocessFlags.STDERR_PIPE);
    const [, stdout, stderr] = child.communicate_utf8(null, null);

    assertEqual(child.get_exit_status(), 0, 'exit status');
    assertEqual(stdout, 'invoked\ngoes on\n', 'stdout');
    assertEqual(stderr.match(/oh no/g).length, 7, stderr);
    assertEqual(stderr.match(/aioctx-gsource/g), null, stderr);
}

// Errors cross in both directions.

function testErrors() {
    const context = Aio.Context.new_full('js');
    const cancellable = new Gio.Cancellable();

    cancellable.cancel();
    try {
        context.invoke_sync(() => true, cancellable);
        throw new Error('not cancelled');
    } catch (error) {
        if (!(error instanceof Gio.IOErrorEnum))
            throw error;
        assertEqual(error.code, Gio.IOErrorEnum.CANCELLED, 'code');
    }
    assertEqual(context.invoke_sync(() => true, null), true, 'result');
}

function testStats() {
    const context = Aio.Context.new_full('js');

    context.post(() => {});
    context.poll(false);
    assertEqual(context.get_stats().runs, 1, 'runs');
}

// Leaks. Each kind has its callback called once, and drops all that it made.

const kinds = {
    bottomHalf(context, run) {
        const bh = Aio.BH.new(context, 'leak', run);
        bh.schedule();
        context.poll(false);
        bh.delete();
    },

    postAndOneshot(context, run) {
        context.post(run);
        Aio.BH.schedule_oneshot_full(context, 'leak', () => run !== null);
        context.poll(false);
    },

    timer(context, run) {
        const timer = Aio.Timer.new(context, Aio.Clock.MONOTONIC, () => {
            run();
            timer.delete();
        });
        timer.mod_ns(0);
        context.poll(false);
    },

    watch(context, run) {
        const notifier = Aio.EventNotifier.new(true);
        context.set_fd_watch(notifier.get_fd(), GLib.IOCondition.IN, () => {
            run();
            return GLib.SOURCE_REMOVE;
        });
        context.poll(false);
    },

    invokeAsync(context, run) {
        let done = false;
        context.invoke_async(() => true, null, (_source, result) => {
            context.invoke_finish(result);
            run();
            done = true;
        });
        context.poll(false);
        while (!done)
            GLib.MainContext.default().iteration(true);
    },
};

// The payload has a descriptor, which is closed when the garbage collector gets it: that can be
// counted.
function countDescriptors() {
    const folder = Gio.File.new_for_path('/proc/self/fd').enumerate_children('', 0, null);
    let n = 0;

    while (folder.next_file(null) !== null)
        n++;
    folder.close(null);
    return n;
}

function playRound(context, kind) {
    const payload = Aio.EventNotifier.new(true);
    let runs = 0;

    kind(context, () => {
        runs += payload.test_and_clear() ? 1 : 0;
    });
    assertEqual(runs, 1, 'runs');
}

function playRounds(context, kind, n) {
    for (let i = 0; i < n; i++)
        playRound(context, kind);
    System.gc();
    return countDescriptors();
}

function testLeaks(kind) {
    const context = Aio.Context.new_full('leaks');
    const before = playRounds(context, kind, ROUNDS_AT_ONCE);
    let after;

    for (let i = 0; i < ROUNDS; i += ROUNDS_AT_ONCE)
        after = playRounds(context, kind, ROUNDS_AT_ONCE);
    print(`# ${after - before} more of ${ROUNDS} are left`);
    // What a register still points to is no leak.
    if (after > before + 5)
        throw new Error(`${after - before} payloads are left`);
}

function main() {
    const cases = {testExceptions, testErrors, testStats};
    let number = 0, failed = 0;

    for (const name in kinds)
        cases[`testLeaks: ${name}`] = () => testLeaks(kinds[name]);
    for (const name in cases) {
        let ok = 'ok';
        try {
            cases[name]();
        } catch (error) {
            print(`# ${error}`.replace(/\n/g, '\n# '));
            ok = 'not ok';
            failed++;
        }
        print(`${ok} ${++number} - ${name}`);
    }
    print(`1..${number}`);
    return failed;
}

if (ARGV[0] === 'throw')
    throwEverywhere();
else
    System.exit(main() === 0 ? 0 : 1);
