#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# needed_versions.sh LIBRARY...: each runs with glibc 2.34, the libgcc_s of gcc 4.8 and no libstdc++.
# A library that does not exist is passed over.
set -euo pipefail
export LC_ALL=C
floor=2.34
known='libc|libm|libpthread|libdl|librt|ld-linux-x86-64|libgcc_s|libgatefuse'

status=0
for library in "$@"; do
  [ -e "$library" ] || continue
  headers=$(objdump -p "$library")
  newest=$(grep -oE 'GLIBC_[0-9.]+' <<<"$headers" | sed 's/GLIBC_//' | sort -uV | tail -1)
  needed=$(awk '$1 == "NEEDED" { print $2 }' <<<"$headers")
  foreign=$(grep -vE "^($known)\.so" <<<"$needed" || true)
  if [ "$(printf '%s\n' "$newest" "$floor" | sort -V | tail -1)" != "$floor" ]; then
    echo "$library: expected to need at most glibc $floor, needs $newest:"
    objdump -T "$library" | grep -F "GLIBC_$newest" || true
    status=1
  fi
  if [ -n "$foreign" ]; then
    echo "$library: expected to need the C library and libgcc_s only, needs" $foreign
    status=1
  fi
  if grep -oE 'GCC_([5-9]|[1-9][0-9]|4\.9)[0-9.]*' <<<"$headers"; then
    echo "$library: expected the libgcc_s of gcc 4.8 to do, needs the above"
    status=1
  fi
  echo "$(basename "$library"): glibc $newest;" $needed
done
exit $status
