#!/bin/sh
# Make a folder for a machine with a GPU and no network: wheels of this package, of
# Chainer and of all that their tests need, the tests, and the script that runs them.
# Usage: sh tools/gpu-wheels.sh FOLDER    (as `make gpu-test` does)
#   PYTHON312   a Python 3.12 of Linux, as the other machine has; default python3.12
#   CUPY        not empty: wheels of CuPy and of CUDA's libraries too (some 2 GB),
#               for a machine that has only the driver
set -eu
cd "$(dirname "$0")/.."
folder=$1
python=${PYTHON312:-python3.12}
fail() { echo "gpu-wheels: $*" >&2; exit 2; }
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
  fail "$python does not start; name a Python 3.12: PYTHON312=..."
[ "$version" = 3.12 ] || fail "$python is Python $version; name a Python 3.12: PYTHON312=..."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder"
rm -rf "$folder/wheels" "$folder/tests"
mkdir "$folder/wheels" "$folder/tests"

"$python" -m venv "$work/venv"
pip="$work/venv/bin/python -m pip --disable-pip-version-check"
$pip install -q --require-hashes -r requirements-build.lock
# Chainer is built here; all else is fetched, and both are checked by hash.
set -- requirements-dev.lock
[ -z "${CUPY:-}" ] || set -- "$@" requirements-cuda.lock
for lock in "$@"; do
  $pip wheel -q --no-build-isolation --require-hashes -r "$lock" -w "$folder/wheels"
done
# From a copy, so that this folder is left as it is.
cp -R setup.py pyproject.toml MANIFEST.in README.md LICENSE replicate "$work/"
find "$work/replicate" -name __pycache__ -prune -exec rm -r {} +
$pip wheel -q --no-build-isolation --no-deps --no-index "$work" -w "$folder/wheels"
# The other machine's Python may have no pip.
"$python" - "$folder/wheels" <<'END'
import ensurepip, glob, os, shutil, sys
(wheel,) = glob.glob(os.path.join(os.path.dirname(ensurepip.__file__), "_bundled", "pip-*.whl"))
shutil.copy(wheel, sys.argv[1])
END

cp conftest.py pyproject.toml noxfile.py tools/gpu-test.sh "$folder/"
cp tests/conftest.py "$folder/tests/"
# shellcheck disable=SC2013  # names without spaces
for test in $(sed -n 's/^tests="\(.*\)"$/\1/p' tools/gpu-test.sh); do
  cp "$test" "$folder/tests/"
done
echo "$folder: $(find "$folder/wheels" -name '*.whl' | wc -l) wheels, $(du -sm "$folder" | cut -f1) MB"
echo "on the machine with the GPU: sh gpu-test.sh"
