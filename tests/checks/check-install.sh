#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs the build into a folder of its own, then builds and runs a program against what is there:
# with the shared library, then with the static one.
#
# usage: check-install.sh MESON BUILD-ROOT PREFIX LIBDIR CONSUMER.C COMPAT-CONSUMER.C VERSION CC…
set -eu

meson=$1 build=$2 prefix=$3 libdir=$4 consumer=$5 compat=$6 version=$7
shift 7

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT INT TERM

fail ()
{
  echo "$*" >&2
  exit 1
}

# shellcheck disable=SC2086 # the path of meson may come with an interpreter before it
DESTDIR=$stage $meson install -C "$build" --no-rebuild --quiet >"$stage/install.log" 2>&1 ||
  { cat "$stage/install.log" >&2; fail "meson install failed"; }

lib=$stage$prefix/$libdir
for pc in aioctx-gsource-1 aioctx-gsource-qemu-1; do
  [ -f "$lib/pkgconfig/$pc.pc" ] || fail "no $pc.pc in $prefix/$libdir/pkgconfig"
done
headers=$(find "$stage" -name '*.h')
case $headers in
  *-private.h*) fail "a private header is installed" ;;
  *aio-version.h*) ;;
  *) fail "aio-version.h is not installed" ;;
esac

# The prefix stands in one line of a .pc file. Changed to where the files really are, it is as good
# as installed, while GLib keeps its place outside of the folder.
sed -i "s|^prefix=.*|prefix=$stage$prefix|" "$lib"/pkgconfig/aioctx-gsource-*1.pc
PKG_CONFIG_PATH=$lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH
[ "$(pkg-config --modversion aioctx-gsource-1)" = "$version" ] || fail "the .pc file's version"

# build_and_run KIND CC…: the consumer has to print the version and one run.
build_and_run ()
{
  kind=$1
  shift
  # shellcheck disable=SC2086 # the flags are words
  "$@" -Wall -Wextra -Werror "$consumer" -o "$stage/consumer" $flags ||
    fail "$kind: the program does not build"
  [ "$(LD_LIBRARY_PATH=$lib "$stage/consumer")" = "$version 1" ] ||
    fail "$kind: the program does not do its work"
}

# build_and_run_compat KIND CC…: a program that knows QEMU's names only.
build_and_run_compat ()
{
  kind=$1
  shift
  # shellcheck disable=SC2086 # the flags are words
  "$@" -Wall -Wextra -Werror "$compat" -o "$stage/compat" $flags ||
    fail "$kind: the program for QEMU does not build"
  LD_LIBRARY_PATH=$lib "$stage/compat" >"$stage/compat.log" 2>&1 ||
    { cat "$stage/compat.log" >&2; fail "$kind: the program for QEMU does not do its work"; }
}

flags=$(pkg-config --cflags --libs aioctx-gsource-1)
build_and_run shared "$@"
flags=$(pkg-config --cflags --libs aioctx-gsource-qemu-1)
build_and_run_compat shared "$@"
ls "$lib"/libaioctx-gsource-1.so.* >/dev/null || fail "no shared library with a version"

# A test program: the same one, against the g_test kit. The kit's flags bring those of the library.
flags=$(pkg-config --cflags --libs aioctx-gsource-testing-1)
sed 's|<aioctx-gsource/aioctx-gsource.h>|<aioctx-gsource/testing/aio-testing.h>|
     s|aio_context_new|aio_testing_context_new|' "$consumer" >"$stage/consumer-testing.c"
library=$consumer
consumer=$stage/consumer-testing.c
build_and_run "g_test kit" "$@"
consumer=$library

rm "$lib"/libaioctx-gsource-*1.so*
[ -f "$lib/libaioctx-gsource-1.a" ] || fail "no static library"
flags=$(pkg-config --static --cflags --libs aioctx-gsource-1)
build_and_run static "$@"
flags=$(pkg-config --static --cflags --libs aioctx-gsource-qemu-1)
build_and_run_compat static "$@"
