#!/bin/sh
# Build the image with docker, podman or buildah, whichever is there.
# Usage: sh docker/image.sh [cpu|jupyter|cuda]
#   ENGINE          the engine and its options, to choose another
#   BUILD_OPTIONS   further options of its build command
#   IMAGE           the image's name
#   SOURCE          the address of the repository, if not the one in CITATION.cff
set -eu
cd "$(dirname "$0")/.."
target=${1:-cpu}
image=${IMAGE:-word-saliency-replication}
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' replicate/__init__.py)
epoch=$(sed -n 's/^ARG SOURCE_DATE_EPOCH=//p' Dockerfile)
source=${SOURCE:-$(sed -n 's/^repository-code: *"\{0,1\}\([^"]*\).*/\1/p' CITATION.cff)}
revision=$(git rev-parse HEAD 2>/dev/null || true)
# What was built is not the commit if a file differs from it.
[ -z "$revision" ] || [ -z "$(git status --porcelain 2>/dev/null)" ] || revision=$revision-changed

if [ -z "${ENGINE:-}" ]; then
  # A docker client without its daemon is no engine.
  if docker info >/dev/null 2>&1; then ENGINE=docker
  elif command -v podman >/dev/null; then ENGINE=podman
  elif command -v buildah >/dev/null; then ENGINE=buildah
  else
    echo "no docker, podman or buildah here; install one, or see make image-test" >&2
    exit 2
  fi
fi

# The settings of pip that this host has (a proxy, a mirror, a certificate) hold
# in the build too, as secrets: they leave no trace in the image.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/ca.pem"
printf '[global]\n' >"$work/pip.conf"
if python3 -m pip --version >/dev/null 2>&1; then
  python3 -m pip config list >"$work/pip.list"
  WORK=$work python3 - <<'END' >>"$work/pip.conf"
import ast, os, shutil

wanted = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "cert")
found = {}
lines = open(os.environ["WORK"] + "/pip.list").read().splitlines()
for line in sorted(lines, key=lambda line: line.startswith(":env:")):  # the environment wins
    key, _, value = line.partition("=")
    name = key.rpartition(".")[2]
    # A folder of this host is not there in the build.
    parts = [part for part in ast.literal_eval(value).split() if not part.startswith("file:")]
    if name in wanted and parts:
        found[name] = " ".join(parts)
if "cert" in found:
    shutil.copyfile(found["cert"], os.environ["WORK"] + "/ca.pem")
    found["cert"] = "/run/secrets/ca.pem"
for name, value in found.items():
    print(name, "=", value)
END
fi

suffix=
[ "$target" = cpu ] || suffix=-$target
build=build
# A layer for each step, as docker and podman do, and files of one time; BuildKit takes the
# time from the argument.
times="--timestamp $epoch"
case $ENGINE in
  *buildah*) build=bud times="--layers $times" ;;
  *docker*) times= ;;
esac
label=org.opencontainers.image
export DOCKER_BUILDKIT=1 # secrets need it
# shellcheck disable=SC2086  # options are several words
$ENGINE $build ${BUILD_OPTIONS:-} $times --target "$target" --file Dockerfile \
  --secret "id=pip.conf,src=$work/pip.conf" --secret "id=ca.pem,src=$work/ca.pem" \
  --build-arg "SOURCE_DATE_EPOCH=$epoch" --label "$label.version=$version" \
  ${source:+--label "$label.source=$source"} ${revision:+--label "$label.revision=$revision"} \
  --tag "$image:$version$suffix" --tag "$image:latest$suffix" .
echo "image: $image:$version$suffix"
