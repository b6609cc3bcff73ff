# SPDX-License-Identifier: LGPL-2.1-or-later
"""Contexts of aioctx-gsource in gdb: pretty printers, and the command "aioctx".

It reads memory and calls nothing, so it works while the program hangs, and on core files. It needs
the debugging symbols of the library.
"""
import gdb
import gdb.printing

BH_BUSY = 1 | 4
BH_HOLD = 2
RUN_DEPTH_BITS = 16
METER_PROFILE = 1
NOTIFY_STATES = {0: 'awake', 1: 'asleep', 2: 'notified'}
CLOCKS = ('monotonic', 'boottime', 'realtime', 'virtual')
WAKE_REASONS = ('other', 'bh', 'fd', 'timer', 'notify')
TIMER_ARMED, TIMER_DUE = 1, 2
ENTRY_KIND_MASK, ENTRY_ONESHOT = 3, 2
BETWEEN = {
    'notifier_on_read': ('NotifierHandler', 'on_set'),
    'on_fd_read': ('GioHandler', 'on_fd'),
    'on_fd_write': ('GioHandler', 'on_fd'),
    'on_socket_read': ('GioHandler', 'on_socket'),
    'on_socket_write': ('GioHandler', 'on_socket'),
    'on_stream_read': ('GioHandler', 'on_stream'),
}
MOST = 100000       # memory that was overwritten may lead around in circles


def lookup(name):
    return gdb.lookup_type(name)


def number(value):
    """Of an integer, an enum or an atomic one."""
    return int(value.cast(lookup('long')))


def quoted(value):
    """A C string as JSON has it, or "-"."""
    if number(value) == 0:
        return '-'
    letters = {'"': '\\"', '\\': '\\\\', '\b': '\\b', '\f': '\\f', '\n': '\\n', '\r': '\\r',
               '\t': '\\t'}
    text = value.string('utf-8', 'replace')
    return '"' + ''.join(letters.get(c) or (f'\\u{ord(c):04x}' if ord(c) < 0x20 or ord(c) == 0x7f
                                            else c) for c in text) + '"'


def function_name(pointer):
    address = number(pointer)
    block = gdb.block_for_pc(address)
    if block is not None and block.function is not None:
        return block.function.name
    return gdb.execute(f'output/a (void *) {address}', to_string=True).strip()


def duration(ns):
    for unit, size in (('s', 10**9), ('ms', 10**6), ('us', 1000)):
        if ns >= size:
            tenths = ns // (size // 10)
            return f'{tenths // 10}.{tenths % 10} {unit}'
    return f'{ns} ns'


def joined(*states):
    """Of (name, holds)."""
    return '+'.join(name for name, holds in states if holds) or 'resting'


def linked(first, field):
    """Each element of a list."""
    count = 0
    while number(first) != 0 and count < MOST:
        yield first.dereference()
        first = first[field]
        count += 1


def run_depth(word):
    return number(word) & ((1 << RUN_DEPTH_BITS) - 1)


# One line for each kind of thing.

def bh_state(bh):
    running = run_depth(bh['run']) != 0
    pending = number(bh['state'])
    if number(bh['life']) != 0:
        return joined(('running', running), ('dead', True))
    if pending & BH_BUSY:
        return joined(('running', running), ('pending', True))
    return joined(('running', running), ('pending-idle', pending & ~BH_HOLD),
                  ('cancelled', pending == BH_HOLD))


def times(total, longest):
    return f'total {duration(total) if total is not None else "-"}, ' \
           f'longest {duration(longest) if longest is not None else "-"}'


def is_profiled(meter):
    return bool(number(meter['on']) & METER_PROFILE)


def bh_line(bh):
    total = longest = None
    figures = bh['figures'].cast(lookup('AioBHFigures').pointer())
    if number(figures) != 0 and number(bh['life']) == 0 and is_profiled(bh['set']['meter']):
        total, longest = number(figures['total_ns']), number(figures['longest_ns'])
    return f'bh {quoted(bh["name"])} {bh_state(bh)}, ' \
           f'runs {(number(bh["run"]) & (1 << 64) - 1) >> RUN_DEPTH_BITS}, ' \
           f'{times(total, longest)}, calls {function_name(bh["func"])}'


def fd_function(handler):
    """What it calls in the end: some functions of the library call what is in their data."""
    name = function_name(handler['on_read'] if number(handler['on_read']) else handler['on_write'])
    if name not in BETWEEN:
        return name
    type_name, field = BETWEEN[name]
    return function_name(handler['data'].cast(lookup(type_name).pointer())[field])


def fd_line(handler):
    name = fd_function(handler)
    is_notifier = number(handler['on_read']) and \
        function_name(handler['on_read']) == 'notifier_on_read'
    kind = 'notifier' if is_notifier else 'fd'
    state = joined(('running', number(handler['depth'])), ('pending', number(handler['ready'])),
                   ('broken', number(handler['broken'])))
    events = ''.join(f', {event}' for event in ('read', 'write')
                     if number(handler[f'on_{event}']))
    total = longest = None
    if is_profiled(handler['set']['meter']):
        total, longest = number(handler['total_ns']), number(handler['longest_ns'])
    return f'{kind} {number(handler["fd"])} "{name}" {state}{events}, ' \
           f'runs {number(handler["n_runs"])}, {times(total, longest)}, calls {name}'


def is_timer_running(timer):
    return any(number(run['timer']) == number(timer.address)
               for run in linked(timer['set']['runs'], 'outer'))


def timer_line(timer):
    if number(timer['set']) == 0:
        return 'timer, not in use'
    name = function_name(timer['func'])
    state = joined(('running', is_timer_running(timer)),
                   ('pending', number(timer['state']) == TIMER_DUE),
                   ('armed', number(timer['state']) == TIMER_ARMED),
                   ('dead', number(timer['freed'])))
    deadline = f', at {number(timer["deadline"])} ns ({CLOCKS[number(timer["clock"])]})' \
        if number(timer['state']) else ''
    label = quoted(timer['name']) if number(timer['name']) else f'"{name}"'
    longest = number(timer['longest_ns']) if is_profiled(timer['set']['meter']) else None
    return f'timer {label} {state}{deadline}, runs {number(timer["n_runs"])}, ' \
           f'{times(None, longest)}, calls {name}'


def oneshot_line(oneshot):
    name = function_name(oneshot['func'])
    label = quoted(oneshot['u']['name']) if number(oneshot['u']['name']) else f'"{name}"'
    return f'oneshot {label} pending, calls {name}'


def context_line(context):
    anchor = context['anchor']
    home = anchor['home']
    if not number(home['thread']):
        thread = 'no home thread'
    else:
        thread = f'home thread {number(home["tid"]) or "-"}'
    attached = 'attached' if number(context['attachment']) else 'not attached'
    return f'context {quoted(anchor["name"])} ' \
           f'{NOTIFY_STATES.get(number(anchor["notify"]["state"]), "?")}, ' \
           f'iterations on the stack {number(home["depth"])}, {attached}, {thread}, ' \
           f'priority {number(context["priority"])}, ' \
           f'budget {number(context["max_callbacks"])} callbacks {number(context["max_usec"])} us'


def stats_line(context):
    bhs = context['bhs']
    runs = number(bhs['n_runs'])
    sent = number(context['anchor']['notify']['writes'])
    return f'stats: iterations {number(context["n_iterations"])}, ' \
           f'passes {number(bhs["n_passes"])}, runs {runs}, wakeups sent {sent}, ' \
           f'wakeups saved {max(runs - sent, 0)}, cancels {number(bhs["n_cancels"])}, ' \
           f'deepest pass {number(bhs["max_depth"])}, ' \
           f'slow callbacks {number(context["meter"]["n_slow"])}'


# What a context holds.

def contexts():
    """All, the oldest first."""
    first = gdb.parse_and_eval('aio_all_contexts')
    return reversed(list(linked(first, 'list_next')))


def oneshots(context):
    """The queue leads from the tail to what was pushed last; the low bits of a link tell the
    kind."""
    node_type = lookup('AioNode').pointer()
    entry = number(context['bhs']['queue']['tail']['next'])
    for _ in range(MOST):
        if entry == 0:
            return
        node = gdb.Value(entry & ~ENTRY_KIND_MASK).cast(node_type)
        if entry & ENTRY_KIND_MASK == ENTRY_ONESHOT:
            oneshot = node.cast(lookup('AioOneshot').pointer()).dereference()
            if number(oneshot['func']):
                yield oneshot
        entry = number(node['next'])


def timers(context):
    """Those that are due, those in the heaps, those on the heap, and those that run."""
    timer_set = context['timers']
    seen = set()
    todo = [timer_set['first_due'], timer_set['all']]
    todo += [timer_set['heaps'][clock] for clock in range(len(CLOCKS))]
    todo += [run['timer'] for run in linked(timer_set['runs'], 'outer')]
    while todo and len(seen) < MOST:
        pointer = todo.pop(0)
        if number(pointer) == 0 or number(pointer) in seen:
            continue
        seen.add(number(pointer))
        timer = pointer.dereference()
        todo.append(timer['all_next'])
        if number(timer['state']):
            todo += [timer['next'], timer['child']]
        yield timer


def wakes(context):
    log = context['wakes']
    if number(log) == 0:
        return
    count = number(log['n'])
    kept = log['wakes'].type.range()[1] + 1
    for i in range(min(count, kept)):
        yield log['wakes'][(count - 1 - i) % kept]


def wake_line(wake):
    reason = number(wake['reason'])
    line = f'wake at {number(wake["time_ns"])} ns: {WAKE_REASONS[reason]}'
    if number(wake['fd']) >= 0:
        line += f' {number(wake["fd"])}'
    return line + (f' {quoted(wake["name"])}' if number(wake['name']) else '')


def lines_of(context):
    yield stats_line(context)
    yield from reversed([bh_line(bh) for bh in linked(context['bhs']['first'], 'next')])
    yield from map(oneshot_line, oneshots(context))
    handlers = linked(context['fds']['all'], 'all_next')
    yield from map(fd_line, sorted(handlers, key=lambda handler: number(handler['fd'])))
    yield from sorted(map(timer_line, timers(context)))
    yield from map(wake_line, wakes(context))


class Command(gdb.Command):
    """What the contexts of aioctx-gsource do and hold.

aioctx        all contexts
aioctx NAME   those of that name"""

    def __init__(self):
        super().__init__('aioctx', gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        name = argument.strip()
        try:
            found = [context for context in contexts()
                     if not name or context['anchor']['name'].string('utf-8', 'replace') == name]
        except gdb.error as error:
            raise gdb.GdbError(f'aioctx: {error} (are there debugging symbols of the library?)')
        if name and not found:
            raise gdb.GdbError(f'aioctx: no context "{name}"')
        for context in found:
            print(context_line(context))
            try:
                for line in lines_of(context):
                    print(f'  {line}')
            except gdb.MemoryError as error:
                print(f'  (the rest cannot be read: {error})')


# Pretty printers.

class Printer:
    def __init__(self, value, describe):
        self.value = value
        self.describe = describe

    def to_string(self):
        return self.describe(self.value)


def printer_for(describe, convert=lambda value: value):
    return lambda value: Printer(convert(value), describe)


def node_of(timer):
    """What is inside an AioTimer."""
    return timer.address.cast(lookup('AioTimerNode').pointer()).dereference() \
        if timer.address is not None else timer.cast(lookup('AioTimerNode'))


def build_printers():
    printers = gdb.printing.RegexpCollectionPrettyPrinter('aioctx-gsource')
    for name, describe, convert in (
            ('AioContext', context_line, None), ('_?AioBH', bh_line, None),
            ('_?AioFdHandler', fd_line, None), ('_?AioTimerNode', timer_line, None),
            ('_?AioTimer', timer_line, node_of)):
        maker = printer_for(describe, convert) if convert else printer_for(describe)
        printers.add_printer(name, f'^{name}$', maker)
    return printers


gdb.printing.register_pretty_printer(gdb.current_objfile(), build_printers(), replace=True)
Command()
