#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# exported_symbols.sh LIBRARY: it exports exactly what gatefuse.h declares.
set -euo pipefail
export LC_ALL=C

header=$(dirname "$0")/../include/gatefuse.h
declared=$(sed -nE 's/^GF_API .*\b(gf_[a-z_]+)\(.*/\1/p' "$header" | sort)
exported=$(nm --dynamic --defined-only "$1" | awk '{ print $3 }' | sort)

if [ -z "$declared" ] || [ "$declared" != "$exported" ]; then
  echo "$1: expected the functions of gatefuse.h (<), got (>)"
  diff <(echo "$declared") <(echo "$exported") || true
  exit 1
fi
echo "$(echo "$exported" | wc -l) functions, nothing else"
