#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# exported_symbols.sh LIBRARY OPERATORS: the library exports exactly what gatefuse.h declares, that of
# the operators what ONNX Runtime looks for; and the latter asks the former for nothing else.
set -euo pipefail
export LC_ALL=C

header=$(dirname "$0")/../include/gatefuse.h
declared=$(sed -nE 's/^GF_API .*\b(gf_[a-z_]+)\(.*/\1/p' "$header" | sort)
exported() {
  nm --dynamic --defined-only "$1" | awk '{ print $3 }' | sort
}
expect() { # LIBRARY WHAT NAMES
  if [ -z "$3" ] || [ "$3" != "$(exported "$1")" ]; then
    echo "$1: expected $2 (<), got (>)"
    diff <(echo "$3") <(exported "$1") || true
    exit 1
  fi
  echo "$(basename "$1"): $(echo "$3" | wc -l) functions, nothing else"
}

expect "$1" "the functions of gatefuse.h" "$declared"
expect "$2" "what ONNX Runtime calls" RegisterCustomOps
used=$(nm --dynamic --undefined-only "$2" | awk '$2 ~ /^(_ZN8gatefuse|gf_|Ort)/ { print $2 }' | sort)
foreign=$(comm -23 <(echo "$used") <(echo "$declared"))
if [ -n "$foreign" ]; then
  echo "$2: expected to use functions of gatefuse.h, uses" $foreign
  exit 1
fi
