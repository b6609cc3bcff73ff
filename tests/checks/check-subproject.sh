#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds and runs a small project that has this one as a meson subproject.
#
# usage: check-subproject.sh MESON ROOT CONSUMER.C VERSION
set -eu

meson=$1 root=$2 consumer=$3 version=$4

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT INT TERM

run ()
{
  "$@" >"$stage/log" 2>&1 || { cat "$stage/log" >&2; echo "failed: $*" >&2; exit 1; }
}

mkdir -p "$stage/user/subprojects/aioctx-gsource"
(cd "$root" && tar -c --exclude=.git --exclude='./_build*' --exclude=meson-private .) |
  tar -x -C "$stage/user/subprojects/aioctx-gsource"
cp "$consumer" "$stage/user/consumer.c"
cat >"$stage/user/meson.build" <<'END'
project('user', 'c', default_options: ['c_std=c11'])
aioctx = dependency('aioctx-gsource-1', version: '>= 0.1', fallback: 'aioctx-gsource')
executable('consumer', 'consumer.c', dependencies: aioctx)
END

# shellcheck disable=SC2086 # the path of meson may come with an interpreter before it
run $meson setup "$stage/build" "$stage/user" --wrap-mode=forcefallback -Dwerror=true \
  -Daioctx-gsource:tests=false -Daioctx-gsource:examples=false -Daioctx-gsource:benchmarks=false
run ninja -C "$stage/build"
[ "$("$stage/build/consumer")" = "$version 1" ]
