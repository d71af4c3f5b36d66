#!/bin/sh
# Resolve setup.py into the lock files, for Python 3.11 and later, with hashes.
# Usage: sh requirements.sh UV
set -eu
uv=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Chainer's build asks for pkg_resources, which left setuptools in 82.
printf 'setuptools<74\n' > "$work/old"
printf 'setuptools<74\nwheel\n' > "$work/build.in"
compile() {
  UV_CUSTOM_COMPILE_COMMAND="make lock" "$uv" pip compile --quiet --universal --python-version 3.11 \
    --generate-hashes --no-emit-index-url --no-annotate \
    --constraints "$work/old" --build-constraints "$work/old" "$@"
}
compile "$work/build.in" -o requirements-build.lock
compile setup.py --extra test --extra notebooks --extra lint -o requirements-dev.lock
compile setup.py --constraints requirements-dev.lock -o requirements.lock
# The image's other targets: CUDA from its own wheels, and JupyterLab.
printf 'cupy-cuda12x[ctk]>=14,<15\n' > "$work/cuda.in"
printf 'jupyterlab\n' > "$work/jupyter.in"
compile setup.py "$work/cuda.in" --constraints requirements.lock -o requirements-cuda.lock
compile setup.py "$work/jupyter.in" --extra notebooks --constraints requirements-dev.lock -o requirements-jupyter.lock
# The site of the documentation, on top of what .venv has.
compile setup.py --extra docs --constraints requirements-dev.lock -o requirements-docs.lock
# What makes the article from its text: pandoc, Typst and a Japanese font.
printf 'matplotlib-fontja\npypandoc-binary\ntypst\n' > "$work/article.in"
compile "$work/article.in" --constraints requirements-dev.lock -o requirements-article.lock
