#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds and runs a small project that has this one as a meson subproject: in a folder, and as a
# tarball that a wrap file names. Nothing comes from a network.
#
# usage: check-subproject.sh MESON ROOT USER QEMU-PROGRAM.C VERSION
set -eu

meson=$1 root=$2 user=$3 compat=$4 version=$5
name=aioctx-gsource-$version

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT INT TERM

run ()
{
  "$@" >"$stage/log" 2>&1 || { cat "$stage/log" >&2; echo "failed: $*" >&2; exit 1; }
}

mkdir "$stage/$name"
(cd "$root" && tar -c --exclude=.git --exclude='./_build*' --exclude=meson-private .) |
  tar -x -C "$stage/$name"
(cd "$stage" && tar -czf "$name.tar.gz" "$name")

"$(dirname "$0")/make-user.sh" "$user" "$compat" "$stage/in-a-folder"
cp -r "$stage/in-a-folder" "$stage/with-a-wrap"

# The folder is found by what it is called; what a wrap provides, by the wrap.
mkdir "$stage/in-a-folder/subprojects" "$stage/with-a-wrap/subprojects"
mv "$stage/$name" "$stage/in-a-folder/subprojects/aioctx-gsource"
sed "s/dependency('\(aioctx[^']*\)')/dependency('\1', fallback: 'aioctx-gsource')/" \
  "$user/meson.build" >"$stage/in-a-folder/meson.build"

cat >"$stage/with-a-wrap/subprojects/aioctx-gsource.wrap" <<END
[wrap-file]
directory = $name
source_url = file://$stage/$name.tar.gz
source_filename = $name.tar.gz
source_hash = $(sha256sum "$stage/$name.tar.gz" | cut -d ' ' -f 1)

[provide]
dependency_names = aioctx-gsource-1, aioctx-gsource-qemu-1, aioctx-gsource-testing-1
END

# set_up PROJECT: what is compiled says nothing about the optimiser.
set_up ()
{
  # shellcheck disable=SC2086 # the path of meson may come with an interpreter before it
  run $meson setup "$stage/build" "$stage/$1" --wrap-mode=forcefallback -Doptimization=0 \
    -Daioctx-gsource:tests=false -Daioctx-gsource:examples=false \
    -Daioctx-gsource:benchmarks=false -Daioctx-gsource:introspection=disabled
}

runs_once ()
{
  [ "$("$stage/build/$1")" = "$version 1" ] || { echo "$1 does not do its work" >&2; exit 1; }
}

set_up in-a-folder
run ninja -C "$stage/build"
runs_once consumer
runs_once consumer-testing
run "$stage/build/consumer-qemu"
rm -rf "$stage/build"

# That the other two are provided, too, is known when the project is set up.
set_up with-a-wrap
run ninja -C "$stage/build" consumer
runs_once consumer
