#!/bin/sh
# Remove from a folder of packages what no run reads: the installers, the test suites of
# five packages, and gensim's, but for the two files of the sample corpus and what its import reads.
# Usage: sh trim.sh FOLDER
set -eu
site=$(echo "$1"/lib/python3*/site-packages)
for package in cupy cupyx matplotlib numba numpy scipy; do
  [ ! -d "$site/$package" ] ||
    find "$site/$package" -depth -type d -name tests -exec rm -r {} +
done
[ ! -d "$site/gensim" ] ||
  find "$site/gensim/test" -type f ! -name '*.py' ! -name 'pang_lee_polarity*' \
    ! -name lee_background.cor -delete # read when gensim.test.utils is imported
[ ! -d "$site/gensim" ] ||
  find "$site/gensim/test" -type f -name 'test_*.py' -delete
[ ! -x "$1/bin/pip" ] || "$1/bin/pip" uninstall --quiet --yes setuptools wheel pip
