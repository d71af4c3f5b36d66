#!/bin/sh
# Remove from a virtual environment what no run reads: the installer, and the
# test suites of four packages.  gensim's stays: it holds the sample corpus.
# Usage: sh trim.sh VENV
set -eu
venv=$1
"$venv/bin/pip" uninstall --quiet --yes wheel pip
for package in matplotlib numba numpy scipy; do
  find "$venv"/lib/python3*/site-packages/"$package" -depth -type d -name tests -exec rm -r {} +
done
