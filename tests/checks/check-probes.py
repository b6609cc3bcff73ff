#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The static probes of a shared library are there, and cost a nop.

usage: check-probes.py LIBRARY SOURCE COMPILER-AND-ARGUMENTS…

LIBRARY is looked at as it is, by its ELF notes; the COMPILER makes two objects of SOURCE, with and
without probes, whose instructions are compared.
"""
# Covers: C1
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

sys.dont_write_bytecode = True
import tree  # noqa: E402

PROVIDER = 'aioctx_gsource'
# How many arguments each probe has.
PROBES = {'schedule': 2, 'coalesce': 1, 'notify__saved': 1, 'notify__sent': 1,
          'dispatch__begin': 1, 'dispatch__end': 2, 'bh__begin': 1, 'bh__end': 1,
          'timer': 3, 'fd': 1, 'leak': 2}
NOPS = {'X86-64': b'\x90', 'AArch64': b'\x1f\x20\x03\xd5'}
DEFINE = '-DHAVE_SYS_SDT_H'


def output_of(*command):
    return subprocess.run(command, check=True, text=True, capture_output=True,
                          env={'LC_ALL': 'C', 'PATH': '/usr/bin:/bin'}).stdout


def notes(library):
    """(name, address, [argument]) of each probe."""
    pattern = rf'Provider: {PROVIDER}\s+Name: (\S+)\s+Location: 0x([0-9a-f]+),.*\s+Arguments:(.*)'
    for match in re.finditer(pattern, output_of('readelf', '--notes', '--wide', library)):
        yield match.group(1), int(match.group(2), 16), match.group(3).split()


def complaints_about_arguments(found):
    for name in sorted(set(PROBES) - set(found)):
        yield f'{name}: not there'
    for name in sorted(set(found) - set(PROBES)):
        yield f'{name}: there, but not in the list of this check'
    for name, sites in found.items():
        for address, arguments in sites:
            if len(arguments) != PROBES.get(name):
                yield f'{name} at {address:#x}: its arguments are {arguments}'


def text_section(library):
    """Address and offset in the file."""
    for line in output_of('readelf', '--sections', '--wide', library).splitlines():
        match = re.match(r'\s*\[ *\d+\] \.text\s+PROGBITS\s+([0-9a-f]+) ([0-9a-f]+)', line)
        if match:
            return int(match.group(1), 16), int(match.group(2), 16)
    raise SystemExit(f'{library}: no section .text')


def machine(library):
    return re.search(r'Machine:\s+.*?(\S+)$', output_of('readelf', '--file-header', library),
                     re.M).group(1)


def complaints_about_sites(library, found):
    nop = NOPS.get(machine(library))
    if nop is None:
        return
    code = Path(library).read_bytes()
    address, offset = text_section(library)
    for name, sites in found.items():
        for site, _ in sites:
            start = site - address + offset
            if code[start:start + len(nop)] != nop:
                yield f'{name} at {site:#x}: {code[start:start + len(nop)].hex()} is no nop'


def instructions(compiler, source, folder):
    """{function: [mnemonic]}"""
    target = f'{folder}/object.o'
    subprocess.run([*compiler, '-O2', '-fPIC', '-c', source, '-o', target], check=True)
    functions = defaultdict(list)
    for line in output_of('objdump', '--disassemble', '--no-show-raw-insn', target).splitlines():
        start = re.match(r'[0-9a-f]+ <(\w+)>:', line)
        step = re.match(r'\s+[0-9a-f]+:\s+(\S+)', line)
        if start:
            function = start.group(1)
        elif step:
            functions[function].append(step.group(1))
    return functions


def is_work(mnemonic):
    """Neither a probe nor padding."""
    return not mnemonic.startswith(('nop', 'cs', 'data16'))


def complaints_about_cost(source, compiler):
    """What a schedule runs has as many instructions with probes as without, nops aside."""
    plain = [argument for argument in compiler if argument != DEFINE]
    with tempfile.TemporaryDirectory() as folder:
        without = instructions(plain, source, folder)
        traced = instructions([*plain, DEFINE], source, folder)
    for function in ('aio_bh_schedule', 'aio_bh_schedule_idle'):
        counts = [sum(map(is_work, code[function])) for code in (without, traced)]
        if 0 in counts:
            yield f'{function}: not found in {source}'
        elif counts[1] > counts[0]:
            yield f'{function}: {counts[1]} instructions, without probes {counts[0]}'
        if 'nop' not in traced[function]:
            yield f'{function}: has no probe'


def main():
    library, source, *compiler = sys.argv[1:]
    found = defaultdict(list)
    for name, address, arguments in notes(library):
        found[name].append((address, arguments))
    tap = tree.Tap()
    tap.result('each probe is there, with its arguments',
               list(complaints_about_arguments(found)))
    tap.result('where a probe is there is a nop', list(complaints_about_sites(library, found)))
    tap.result('a schedule has no instruction more, but the nop',
               list(complaints_about_cost(source, compiler)))
    return tap.finish()


if __name__ == '__main__':
    sys.exit(main())
