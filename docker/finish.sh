#!/bin/sh
# Compile a folder of packages, and give all its files the time SOURCE_DATE_EPOCH, so that
# the same packages are the same bytes.
# Usage: sh finish.sh FOLDER PLACE    (PLACE is where the folder will be)
set -eu
# No file is compared with its source any more: none changes in an image.
PYTHONHASHSEED=0 python3 -m compileall -qq --invalidation-mode unchecked-hash \
  -s "$1" -p "$2" "$1"/lib
find "$1" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
