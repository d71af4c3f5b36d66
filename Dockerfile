# The experiment as an image.  `make image` builds it with docker, podman or buildah.
#
#   mkdir -p results
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/results:/results" word-saliency-replication
#
# Targets: cpu (the default), jupyter (the notebooks), cuda (add --gpus all).
# At run time nothing is fetched, and nothing is written but /results and /tmp:
# --network none and --read-only --tmpfs /tmp may be added.
#
# The tag tells which release of Python it is; the digest, of the index over all
# architectures, keeps it the same bytes when the tag is moved.  Another base:
#   --build-arg BASE=...
ARG BASE=docker.io/library/python:3.12.12-slim-bookworm@sha256:593bd06efe90efa80dc4eee3948be7c0fde4134606dd40d8dd8dbcade98e669c

# --- what the targets share: the locked packages and this one, in a virtual environment

FROM ${BASE} AS builder
ENV PATH=/opt/replicate/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements-build.lock requirements.lock ./
# Chainer has a source distribution only, whose build asks for pkg_resources: it
# must find an old setuptools in the environment, not an isolated new one.
# docker/image.sh hands over the host's settings of pip as secrets; none is needed.
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem \
    python3 -m venv /opt/replicate \
    && export PIP_CONFIG_FILE=/run/secrets/pip.conf \
    && pip install --require-hashes -r requirements-build.lock \
    && pip install --no-build-isolation --require-hashes -r requirements.lock
COPY setup.py pyproject.toml MANIFEST.in README.md LICENSE ./
COPY replicate replicate
RUN pip install --no-index --no-deps --no-build-isolation .

FROM ${BASE} AS runtime
# The first user of most hosts is 1000 too.  Any other is named with --user: it
# finds /results writable, and its home in /tmp.
RUN useradd --uid 1000 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin replicate \
    && mkdir /data /results \
    && chmod 1777 /results
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
ARG VERSION=unversioned
LABEL org.opencontainers.image.title="word-saliency-replication" \
      org.opencontainers.image.description="Word-saliency instability in a Kim-style CNN: a replication with verdicts" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.authors="The developers of the word saliency replication package"

# --- cpu

FROM builder AS cpu-builder
COPY docker/trim.sh ./
RUN sh trim.sh /opt/replicate

FROM runtime AS cpu
COPY --from=cpu-builder /opt/replicate /opt/replicate
USER 1000:1000
WORKDIR /results
ENTRYPOINT ["replicate"]
CMD ["run", "--preset", "sample", "--seeds", "3", "--out", "/results/sample"]

# --- jupyter

FROM builder AS jupyter-builder
COPY requirements-jupyter.lock ./
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem \
    PIP_CONFIG_FILE=/run/secrets/pip.conf \
    pip install --no-build-isolation --require-hashes -r requirements-jupyter.lock
COPY docker/trim.sh ./
RUN sh trim.sh /opt/replicate

FROM runtime AS jupyter
COPY --from=jupyter-builder /opt/replicate /opt/replicate
USER 1000:1000
WORKDIR /replication/notebooks
EXPOSE 8888
ENTRYPOINT ["jupyter"]
CMD ["lab", "--ip=0.0.0.0", "--port=8888", "--no-browser"]

# --- cuda: CUDA comes in Python wheels, so that the host needs its driver only

FROM builder AS cuda-builder
COPY requirements-cuda.lock ./
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem \
    PIP_CONFIG_FILE=/run/secrets/pip.conf \
    pip install --no-build-isolation --require-hashes -r requirements-cuda.lock
COPY docker/trim.sh ./
RUN sh trim.sh /opt/replicate

FROM runtime AS cuda
COPY --from=cuda-builder /opt/replicate /opt/replicate
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    NVIDIA_VISIBLE_DEVICES=all
USER 1000:1000
WORKDIR /results
ENTRYPOINT ["replicate"]
CMD ["run", "--preset", "sample", "--seeds", "3", "--device", "@cupy:0", "--out", "/results/sample"]

# --- without --target, the last stage is built: the cpu target by another name

FROM cpu AS default
