#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs the build into a folder of its own, then builds and runs programs against what is there,
# as users do: with a compiler and pkg-config, with meson, and with CMake if it is there; with the
# shared libraries, then with the static ones.
#
# usage: check-install.sh MESON BUILD-ROOT PREFIX LIBDIR USER QEMU-PROGRAM.C VERSION CC…
#
# USER is the folder of the project user, which is built.
set -eu

meson=$1 build=$2 prefix=$3 libdir=$4 user=$5 compat=$6 version=$7
shift 7

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT INT TERM

fail ()
{
  echo "$*" >&2
  exit 1
}

run ()
{
  "$@" >"$stage/log" 2>&1 || { cat "$stage/log" >&2; fail "failed: $*"; }
}

# shellcheck disable=SC2086 # the path of meson may come with an interpreter before it
run env DESTDIR="$stage" $meson install -C "$build" --no-rebuild --quiet

lib=$stage$prefix/$libdir
for pc in aioctx-gsource-1 aioctx-gsource-qemu-1 aioctx-gsource-testing-1; do
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

"$(dirname "$0")/make-user.sh" "$user" "$compat" "$stage/user"

# run_programs KIND FOLDER: the consumers have to print the version and one run; the program that
# knows QEMU's names only has to be content.
run_programs ()
{
  for program in consumer consumer-testing; do
    [ "$(LD_LIBRARY_PATH=$lib "$2/$program")" = "$version 1" ] ||
      fail "$1: $program does not do its work"
  done
  run env LD_LIBRARY_PATH="$lib" "$2/consumer-qemu"
}

# links_static FOLDER: whether the programs there are made of the static libraries.
links_static ()
{
  ! env LD_LIBRARY_PATH="$lib" ldd "$1/consumer" "$1/consumer-qemu" "$1/consumer-testing" |
    grep -q libaioctx
}

# with_compiler KIND PKG-CONFIG-OPTIONS CC…
with_compiler ()
{
  way="$1, a compiler"
  options=$2
  shift 2
  mkdir "$stage/out"
  for name in '' -qemu -testing; do
    # shellcheck disable=SC2046,SC2086 # the flags are words
    run "$@" -Wall -Wextra -Werror "$stage/user/consumer$name.c" -o "$stage/out/consumer$name" \
      $(pkg-config $options --cflags --libs "aioctx-gsource$name-1")
  done
  run_programs "$way" "$stage/out"
}

# with_meson KIND OPTION…
with_meson ()
{
  way="$1, meson"
  shift
  # shellcheck disable=SC2086 # the path of meson may come with an interpreter before it
  run env CC="$cc" $meson setup "$stage/out" "$stage/user" "$@"
  run ninja -C "$stage/out"
  run_programs "$way" "$stage/out"
}

# with_cmake KIND OPTION…
with_cmake ()
{
  way="$1, CMake"
  shift
  run env CC="$cc" cmake -S "$stage/user" -B "$stage/out" "$@"
  run cmake --build "$stage/out"
  run_programs "$way" "$stage/out"
}

# all_ways KIND PKG-CONFIG-OPTIONS MESON-OPTIONS CMAKE-OPTIONS CC…: each in $stage/out.
all_ways ()
{
  kind=$1 for_pkg_config=$2 for_meson=$3 for_cmake=$4
  shift 4
  cc=$*
  for builder in compiler meson cmake; do
    [ "$builder" != cmake ] || command -v cmake >/dev/null || continue
    case $builder in
      compiler) with_compiler "$kind" "$for_pkg_config" "$@" ;;
      meson) with_meson "$kind" "$for_meson" ;;
      cmake) with_cmake "$kind" "$for_cmake" ;;
    esac
    done_ways="$done_ways $kind/$builder"
    [ "$kind" = shared ] || links_static "$stage/out" || fail "$kind, $builder: not static"
    [ "$kind" = static ] || ! links_static "$stage/out" || fail "$kind, $builder: not shared"
    rm -rf "$stage/out"
  done
}

done_ways=
ls "$lib"/libaioctx-gsource-1.so.* >/dev/null || fail "no shared library with a version"
all_ways shared '' -Dprefer_static=false -DSTATIC=OFF "$@"

rm "$lib"/libaioctx-gsource-*1.so*
[ -f "$lib/libaioctx-gsource-1.a" ] || fail "no static library"
all_ways static --static -Dprefer_static=true -DSTATIC=ON "$@"
echo "built and run:$done_ways"
