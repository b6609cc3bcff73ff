# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts what an operation of the program "ops" takes: instructions by callgrind, system calls by
strace. Unlike time, these do not depend on what else the machine does."""
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

LIBRARY = 'libaioctx-gsource-1'
TIMEOUT = 120


def fixed_addresses():
    """Callgrind counts the same twice only if addresses are the same."""
    if shutil.which('setarch') and not subprocess.run(
            ['setarch', '-R', 'true'], capture_output=True, check=False).returncode:
        return ['setarch', '-R']
    return []


def run(command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT,
                          stdin=subprocess.DEVNULL)


def works(command):
    try:
        return bool(shutil.which(command[0])) and bool(run(command) or True)
    except (subprocess.SubprocessError, OSError):
        return False


def can_count_instructions():
    return works(['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null', 'true'])


def can_count_syscalls():
    return works(['strace', '-f', '-c', '-o', os.devnull, 'true'])


def names(ops):
    return run([ops, '--list']).stdout.split()


def cost_by_object(text):
    """{object: instructions} of what callgrind wrote. The line that follows a "calls=" is what the
    callee took, which is counted where it belongs."""
    objects, costs, here, skip = {}, {}, None, False
    for line in text.splitlines():
        match = re.match(r'(c?)ob=\((\d+)\)(?: (.*))?$', line)
        if match:
            where = objects.setdefault(match.group(2), match.group(3))
            here = here if match.group(1) else where
        elif line.startswith('calls='):
            skip = True
        elif re.match(r'[+\-*\d]', line):
            if not skip and len(line.split()) > 1:
                costs[here] = costs.get(here, 0) + int(line.split()[1])
            skip = False
    return costs


def instructions(ops, name, n):
    """(of the library, of everything) that one operation takes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, 'callgrind')
        run(fixed_addresses() + ['valgrind', '--tool=callgrind', f'--callgrind-out-file={out}',
                                 '--toggle-collect=measured_work', ops, name, str(n)])
        costs = cost_by_object(out.read_text(encoding='utf-8'))
    ours = sum(cost for where, cost in costs.items() if LIBRARY in (where or ''))
    return round(ours / n, 2), round(sum(costs.values()) / n, 2)


def calls(ops, name, n):
    """{system call: how often} of a whole run."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, 'strace')
        run(['strace', '-f', '-qq', '-c', '-U', 'calls,name', '-o', str(out), ops, name, str(n)])
        rows = [line.split() for line in out.read_text(encoding='utf-8').splitlines()]
    return {row[-1]: int(row[0]) for row in rows
            if len(row) == 2 and row[0].isdigit() and row[-1] != 'total'}


# What threads need to begin and to end, and what an allocator asks for now and then.
NOT_THE_LOOP = {'clone', 'clone3', 'futex', 'mmap', 'munmap', 'mprotect', 'madvise', 'brk',
                'rt_sigprocmask', 'set_robust_list', 'rseq', 'exit', 'restart_syscall',
                'sched_yield', 'gettid', 'prctl'}


def syscalls(ops, name, n):
    """{system call: how often} for one operation."""
    few, many = calls(ops, name, n), calls(ops, name, 2 * n)
    counts = {call: round((many[call] - few.get(call, 0)) / n, 3) for call in many
              if call not in NOT_THE_LOOP}
    return {call: count for call, count in sorted(counts.items()) if abs(count) >= 0.01}
