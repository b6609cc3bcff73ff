#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Makes the folder of a user's project with three programs: one for the library, the same with the
# g_test kit in place of it, and one that knows QEMU's names only.
#
# usage: make-user.sh USER QEMU-PROGRAM.C FOLDER
set -eu

user=$1 compat=$2 folder=$3

cp -r "$user" "$folder"
cp "$compat" "$folder/consumer-qemu.c"
sed 's|<aioctx-gsource/aioctx-gsource.h>|<aioctx-gsource/testing/aio-testing.h>|
     s|aio_context_new|aio_testing_context_new|' "$user/consumer.c" >"$folder/consumer-testing.c"
