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
# What lists the packages of an image.
printf 'cyclonedx-bom\n' > "$work/sbom.in"
compile "$work/sbom.in" -o requirements-sbom.lock
# What else results are compared with, on top of what .venv has: PyTorch, which brings a newer
# setuptools.  PyPI's build for Linux is one with CUDA, of several GB, and has a lock of its own;
# where an index or a folder of wheels has the build for the CPU, that is enough.
UV_CUSTOM_COMPILE_COMMAND="make lock"
export UV_CUSTOM_COMPILE_COMMAND
sed -n '/^setuptools==/d; s/^\([a-zA-Z0-9._-]*==[^ ]*\( ;[^\\]*\)\{0,1\}\).*/\1/p' requirements-dev.lock > "$work/shared"
printf 'captum==0.9.0\nstatsmodels==0.15.0\ntorch==2.13.0\n' > "$work/parity.in"
"$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --constraints "$work/shared" "$work/parity.in" -o "$work/parity"
awk -v cuda=requirements-torch.lock -v rest=requirements-parity.lock '
  BEGIN { printf "" > cuda; printf "" > rest }
  /^#/ { print > cuda; print > rest; next }
  /^[a-z]/ { place = /^(nvidia-|cuda-|torch=|triton)/ ? cuda : rest }
  { print > place }
' "$work/parity"
# For Python 3.11 on x86-64, as PyTorch publishes it.
printf 'torch==2.13.0+cpu \\\n    --hash=sha256:%s\n' \
  6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b > requirements-torch-cpu.lock
# The site of the documentation, on top of what .venv has.
compile setup.py --extra docs --constraints requirements-dev.lock -o requirements-docs.lock
# What makes the article from its text: pandoc, Typst and a Japanese font.
printf 'matplotlib-fontja\npypandoc-binary\ntypst\n' > "$work/article.in"
compile "$work/article.in" --constraints requirements-dev.lock -o requirements-article.lock
