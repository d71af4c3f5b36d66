# The experiment as an image.  `make image` builds it with docker, podman or buildah.
#
#   mkdir -p results
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/results:/results" word-saliency-replication
#
# Targets: cpu (the default), jupyter (the notebooks), cuda (add --gpus all).
# At run time nothing is fetched unless `fetch` is called, and nothing is written but
# /data, /results and /tmp: --network none and --read-only --tmpfs /tmp may be added.
#
# The tag tells which release of Python it is; the digest, of the index over all
# architectures, keeps it the same bytes when the tag is moved.  Another base:
#   --build-arg BASE=...
ARG BASE=docker.io/library/python:3.13.15-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285
# The time of every file, so that the same packages are the same bytes.  It is not the
# commit's, which would make all layers new for every commit.
ARG SOURCE_DATE_EPOCH=1767225600

# --- the locked packages, in a virtual environment

FROM ${BASE} AS builder
ARG SOURCE_DATE_EPOCH
ENV PATH=/opt/replicate/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements-build.lock requirements.lock ./
# Chainer has a source distribution only, whose build asks for pkg_resources: it
# must find an old setuptools in the environment, not an isolated new one.
# docker/image.sh hands over the host's settings of pip as secrets; none is needed.
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem \
    --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /opt/replicate \
    && export PIP_CONFIG_FILE=/run/secrets/pip.conf \
    && pip install --no-compile --require-hashes -r requirements-build.lock \
    && pip install --no-compile --no-build-isolation --require-hashes -r requirements.lock

# What all targets share: without installer and test suites.
FROM builder AS packages
ARG SOURCE_DATE_EPOCH
COPY docker/trim.sh docker/finish.sh ./
RUN sh trim.sh /opt/replicate && sh finish.sh /opt/replicate /opt/replicate

# What a target has beside it.
FROM builder AS jupyter-packages
ARG SOURCE_DATE_EPOCH
COPY requirements-jupyter.lock docker/trim.sh docker/finish.sh ./
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem \
    --mount=type=cache,target=/root/.cache/pip \
    PIP_CONFIG_FILE=/run/secrets/pip.conf pip install --no-compile --no-build-isolation \
        --prefix /further --require-hashes -r requirements-jupyter.lock \
    && sh trim.sh /further && sh finish.sh /further /opt/replicate

FROM builder AS cuda-packages
ARG SOURCE_DATE_EPOCH
COPY requirements-cuda.lock docker/trim.sh docker/finish.sh ./
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem \
    --mount=type=cache,target=/root/.cache/pip \
    PIP_CONFIG_FILE=/run/secrets/pip.conf pip install --no-compile --no-build-isolation \
        --prefix /further --require-hashes -r requirements-cuda.lock \
    && sh trim.sh /further && sh finish.sh /further /opt/replicate

# This package alone.
FROM builder AS program
COPY setup.py pyproject.toml MANIFEST.in README.md LICENSE ./
COPY replicate replicate
RUN pip install --no-cache-dir --no-compile --no-index --no-deps --no-build-isolation --prefix /program .

# What lists an environment's packages as CycloneDX.
FROM ${BASE} AS lister
WORKDIR /build
COPY requirements-sbom.lock ./
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem \
    --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /opt/lister \
    && PIP_CONFIG_FILE=/run/secrets/pip.conf \
    /opt/lister/bin/pip install --require-hashes -r requirements-sbom.lock

# --- what the targets share

FROM ${BASE} AS runtime
# The first user of most hosts is 1000 too.  Any other is named with --user: it
# finds /data and /results writable, and its home in /tmp.
RUN echo 'replicate:x:1000:1000::/tmp:/usr/sbin/nologin' >>/etc/passwd \
    && mkdir -m 1777 /data /results
# Compiled loops are kept in /tmp: compiling takes seconds, and a cache in the
# image would have to be writable by everybody.
ENV PATH=/opt/replicate/bin:$PATH \
    HOME=/tmp \
    LANG=C.UTF-8 \
    CUPY_CACHE_DIR=/tmp/cupy \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/tmp/numba \
    PYTHONDONTWRITEBYTECODE=1 \
    REPLICATE_DATA=/data \
    XDG_CACHE_HOME=/tmp/cache
# Version, source and revision are added by docker/image.sh.
LABEL org.opencontainers.image.title="word-saliency-replication" \
      org.opencontainers.image.description="Word-saliency instability in a Kim-style CNN: a replication with verdicts" \
      org.opencontainers.image.licenses="MIT AND ISC" \
      org.opencontainers.image.authors="The developers of the word saliency replication package"
COPY --from=packages /opt/replicate /opt/replicate

# --- cpu.  The program is the last layer of every target, with its list of packages.

FROM runtime AS cpu-program
ARG SOURCE_DATE_EPOCH
COPY --from=lister /opt/lister /opt/lister
COPY --from=program /program /program
COPY docker/program.sh /build/
RUN sh /build/program.sh

FROM runtime AS cpu
COPY --from=cpu-program /program /opt/replicate
USER 1000:1000
WORKDIR /results
ENTRYPOINT ["replicate"]
CMD ["run", "--preset", "sample", "--seeds", "3", "--out", "/results/sample"]

# --- jupyter

FROM runtime AS jupyter-runtime
COPY --from=jupyter-packages /further /opt/replicate

FROM jupyter-runtime AS jupyter-program
ARG SOURCE_DATE_EPOCH
COPY --from=lister /opt/lister /opt/lister
COPY --from=program /program /program
COPY docker/program.sh /build/
RUN sh /build/program.sh

FROM jupyter-runtime AS jupyter
COPY --from=jupyter-program /program /opt/replicate
COPY --chown=1000:1000 notebooks /replication/notebooks
COPY results/calibrated-googlenews-31530/statistics.csv /replication/results/calibrated-googlenews-31530/
COPY results/as-written-googlenews-31530/statistics.csv /replication/results/as-written-googlenews-31530/
USER 1000:1000
WORKDIR /replication/notebooks
EXPOSE 8888
ENTRYPOINT ["jupyter"]
CMD ["lab", "--ip=0.0.0.0", "--port=8888", "--no-browser"]

# --- cuda: CUDA comes in Python wheels, so that the host needs its driver only

FROM runtime AS cuda-runtime
COPY --from=cuda-packages /further /opt/replicate

FROM cuda-runtime AS cuda-program
ARG SOURCE_DATE_EPOCH
COPY --from=lister /opt/lister /opt/lister
COPY --from=program /program /program
COPY docker/program.sh /build/
RUN sh /build/program.sh

FROM cuda-runtime AS cuda
COPY --from=cuda-program /program /opt/replicate
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_VISIBLE_DEVICES=all
USER 1000:1000
WORKDIR /results
ENTRYPOINT ["replicate"]
CMD ["run", "--preset", "sample", "--seeds", "3", "--device", "@cupy:0", "--out", "/results/sample"]

# --- without --target, the last stage is built: the cpu target by another name

FROM cpu AS default
