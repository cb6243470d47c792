#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# weak_symbols.sh OBJECT...: no object that is compiled for one instruction set defines a symbol that
# the linker may merge with another's (weak, weak object, unique): the copy that it keeps may be one
# that the processor cannot run.
set -euo pipefail
export LC_ALL=C

[ $# -gt 0 ] || { echo "expected the objects of the kernels, got none"; exit 1; }
status=0
for object in "$@"; do
  weak=$(nm --defined-only --demangle "$object" | grep -E ' [WwVvu] ' || true)
  if [ -n "$weak" ]; then
    echo "$object: expected no symbols that are merged, got"
    echo "$weak"
    status=1
  fi
done
echo "$# objects read"
exit $status
