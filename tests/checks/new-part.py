#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Begins a part of the library: writes its header, its private header, its source and its test, in
the form that the checks want, and says where else it has to be entered.

usage: new-part.py ROOT NAME        NAME: of words in lower case, "event-notifier"
"""
import re
import sys
from pathlib import Path

LICENSE = ' '.join(('SPDX-License-Identifier:', 'LGPL-2.1-or-later'))

FILES = {
    'aioctx-gsource/aio-{name}.h': '''\
/* {LICENSE} */
#pragma once

#include <aioctx-gsource/aio-types.h>

G_BEGIN_DECLS

AIO_EXPORT guint aio_{symbol}_count (AioContext *context);

G_END_DECLS
''',
    'aioctx-gsource/aio-{name}-private.h': '''\
/* {LICENSE} */
/* Floor 2. What this part is for, and what its users have to know. */
#pragma once

#include <aioctx-gsource/aio-{name}.h>

typedef struct
{{
  /* Immutable. */
  AioContext *context;          /* no reference */

  /* Atomic, any thread. */

  /* Home thread only. */
  guint n_entries;
}} Aio{Type}Set;
''',
    'aioctx-gsource/aio-{name}.c': '''\
/* {LICENSE} */
/* What happens here, and why it is a file of its own. */
#include <aioctx-gsource/aio-{name}-private.h>

/**
 * aio_{symbol}_count:
 * @context: a context
 *
 * Says what the function does, in one sentence.
 *
 * Thread: home thread.
 *
 * Returns: how many there are
 *
 * Since: {since}
 */
guint
aio_{symbol}_count (AioContext *context)
{{
  g_return_val_if_fail (context != NULL, 0);
  return 0;
}}
''',
    'tests/test-{name}.c': '''\
/* {LICENSE} */
/* What these cases are about. */
#include "aio-test.h"

static void
test_empty (void)
{{
  AioContext *context = aio_context_new ();

  g_test_summary ("C0: the sentence of the contract that is tested");
  g_assert_cmpuint (aio_{symbol}_count (context), ==, 0);
  aio_context_unref (context);
}}

int
main (int    argc,
      char **argv)
{{
  g_test_init (&argc, &argv, NULL);
  aio_test_add ("/{name}/empty", test_empty);
  return g_test_run ();
}}
''',
}

NEXT = '''\
Now enter it:
  aioctx-gsource/meson.build        aio-{name}.c in library_sources, aio-{name}.h in public_headers
  aioctx-gsource/aioctx-gsource.h   include aio-{name}.h
  tests/checks/lint.py              aio-{name} in FLOORS: the lowest floor that it can stand on
  tests/meson.build                 {name} in core_tests or, with descriptors or timers, loop_tests
  docs/contract.md                  the sentences it promises, which the test cites
  docs/threads-and-signals.md       its functions
  NEWS                              a line
and run ./dev abi and ./dev check. CONTRIBUTING.md says more.
'''


def main():
    if len(sys.argv) != 3 or not re.fullmatch(r'[a-z]+(-[a-z]+)*', sys.argv[2]):
        sys.exit(__doc__)
    root, name = Path(sys.argv[1]), sys.argv[2]
    build = (root / 'meson.build').read_text(encoding='utf-8')
    words = {'name': name, 'symbol': name.replace('-', '_'), 'LICENSE': LICENSE,
             'Type': name.title().replace('-', ''),
             'since': re.search(r"\bversion: '(\d+\.\d+)", build).group(1)}
    texts = {root / path.format(**words): text.format(**words) for path, text in FILES.items()}
    there = [str(path) for path in texts if path.exists()]
    if there:
        sys.exit(f'there already: {" ".join(there)}')
    for path, text in texts.items():
        path.write_text(text, encoding='utf-8')
        print(path.relative_to(root))
    print(NEXT.format(**words), end='')


if __name__ == '__main__':
    main()
