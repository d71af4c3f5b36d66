#!/bin/sh
# Run the tests that need a GPU, with no network: `make gpu-test` makes the folder
# that this script is copied to, and that has all it needs.
# Usage: sh gpu-test.sh [options of pytest]
#   PYTHON   a Python 3.12; what it has (CuPy, NumPy) is used; default python3.12,
#            or else python3
#   REPLICATE_REQUIRE   gpu by default: without a device the tests fail.  Set and
#            empty, they are left out and the exit code is 5.
set -eu
cd "$(dirname "$0")"
tests="tests/test_compat.py tests/test_device.py tests/test_convolution.py tests/test_kernels.py tests/test_model.py tests/test_saliency.py tests/test_training.py"
fail() { echo "gpu-test: $*" >&2; exit 2; }
if [ -z "${PYTHON:-}" ]; then
  PYTHON=python3
  ! command -v python3.12 >/dev/null || PYTHON=python3.12
fi
version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
  fail "$PYTHON does not start; name a Python 3.12: PYTHON=..."
[ "$version" = 3.12 ] || fail "$PYTHON is Python $version; the wheels are for 3.12: PYTHON=..."
[ -d wheels ] || fail "no folder of wheels here; make gpu-test makes one"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$PYTHON" -m venv --system-site-packages --without-pip "$work/venv"
python=$work/venv/bin/python
"$python" "$(echo wheels/pip-*.whl)/pip" --disable-pip-version-check install -q \
  --no-index --no-cache-dir --find-links wheels 'word-saliency-replication[test]' chainer
# Beside CuPy, where the folder has it and the machine has not.
if ls wheels/cupy_cuda12x-*.whl >/dev/null 2>&1 && ! "$python" -c 'import cupy' 2>/dev/null; then
  "$python" "$(echo wheels/pip-*.whl)/pip" --disable-pip-version-check install -q \
    --no-index --no-cache-dir --find-links wheels 'cupy-cuda12x[ctk]'
fi
export REPLICATE_REQUIRE="${REPLICATE_REQUIRE-gpu}"
export NUMBA_CACHE_DIR="$work/numba" PYTHONDONTWRITEBYTECODE=1
"$work/venv/bin/replicate" doctor
code=0
# What needs no device first: without it, what follows says little.
"$python" -m pytest -q -p no:cacheprovider -m "not gpu" tests/test_compat.py tests/test_kernels.py || code=$?
# shellcheck disable=SC2086  # several names
"$python" -m pytest -q -p no:cacheprovider -m gpu "$@" $tests || code=$?
exit "$code"
