#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes the tarball of a release, of what is committed, and builds and tests a part of it with no
# network. All of it: "meson dist", which takes as long as the tests.
#
# usage: check-dist.sh MESON BUILD-ROOT ROOT VERSION
set -eu

meson=$1 build=$2 root=$3 version=$4
name=aioctx-gsource-$version

if ! git -C "$root" rev-parse --quiet --verify HEAD >/dev/null 2>&1; then
  echo "there is no git, or nothing is committed"
  exit 77
fi

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT INT TERM

run ()
{
  "$@" >"$stage/log" 2>&1 || { cat "$stage/log" >&2; echo "failed: $*" >&2; exit 1; }
}

# shellcheck disable=SC2086 # the path of meson may come with an interpreter before it
run $meson dist -C "$build" --no-tests --allow-dirty --formats gztar
(cd "$build/meson-dist" && run sha256sum -c "$name.tar.gz.sha256sum")
tar -xzf "$build/meson-dist/$name.tar.gz" -C "$stage"

git -C "$root" ls-tree -r --name-only HEAD | sort >"$stage/committed"
(cd "$stage/$name" && find . -type f -o -type l) | sed 's|^\./||' | sort >"$stage/packed"
run diff "$stage/committed" "$stage/packed"

# Where a user may not have a network of nothing, meson at least may not download.
alone=
if unshare -rn true 2>/dev/null; then
  alone='unshare -rn'
fi
# shellcheck disable=SC2086 # commands of several words
run $alone $meson setup "$stage/out" "$stage/$name" --wrap-mode=nodownload -Doptimization=0 \
  -Dwerror=true -Dexamples=false -Dbenchmarks=false
# shellcheck disable=SC2086 # a command of several words
run $alone ninja -C "$stage/out" tests/test-bh
# shellcheck disable=SC2086 # commands of several words
run $alone $meson test -C "$stage/out" --no-rebuild --print-errorlogs bh coverage lint version \
  packages
