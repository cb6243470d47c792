#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run_path.sh LIBRARY...: where each looks for others is relative to itself ($ORIGIN) or nothing: a
# build folder in it would be searched on every user's machine.
# A library that does not exist is passed over.
set -euo pipefail
export LC_ALL=C

status=0
for library in "$@"; do
  [ -e "$library" ] || continue
  paths=$(readelf -d "$library" | sed -nE 's/.*\((RPATH|RUNPATH)\).*\[(.*)\]/\2/p' | tr ':' '\n')
  if grep -vE '^\$ORIGIN(/|$)|^$' <<<"$paths"; then
    echo "$library: expected a run path that begins with \$ORIGIN, got the above"
    status=1
  fi
  echo "$(basename "$library"): ${paths:-none}"
done
exit $status
