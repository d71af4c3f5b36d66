#!/bin/sh
# From nothing, on a machine without an engine: build the images, twice, and run the
# sample in one of them, as another user, with no network and with a read-only root.
# Usage: sh docker/test.sh [TARGET…]    (Debian, as root; packages are installed if missing)
#   TARGET          what is built beside cpu: jupyter (if none is named), cuda (7 GB more)
#   WORK            where images are kept while it runs; removed at the end
#   DEBIAN_MIRROR   mirror for debootstrap, if not its default
#
# The base image is a stand-in that debootstrap makes, of the Debian release and with the
# minor version of Python that the Dockerfile's base has, under that tag without its digest.
# It is for this test only: images for use are built on the real one, by `make image`.
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "image-test: must be root, for chroot and debootstrap" >&2; exit 2; }
if [ -n "${WORK:-}" ]; then mkdir -p "$WORK"; else WORK=$(mktemp -d /var/tmp/image-test.XXXXXX); fi
work=$WORK
finish() {
  $buildah umount --all >/dev/null 2>&1 || true
  # A container that was removed while it was mounted keeps its folder.
  for place in $(sed -n "s|^[^ ]* \($work/[^ ]*\) .*|\1|p" /proc/mounts | sort -r); do
    umount "$place" 2>/dev/null || true
  done
  rm -rf --one-file-system "$work"
}
# A layer that several images have is kept once, where the kernel can do so.
driver=overlay
grep -qw overlay /proc/filesystems || driver=vfs
buildah="buildah --root $work/storage --runroot $work/run --storage-driver $driver"
trap finish EXIT
trap 'exit 130' INT TERM
began=$(date +%s)
seconds() { echo $(($(date +%s) - began)); }
megabytes() { du -s --block-size=1000000 --one-file-system "$1" | cut -f1; }
fail() { echo "image-test: $*" >&2; exit 1; }

# --- the engine's parts

if ! command -v buildah >/dev/null || ! command -v debootstrap >/dev/null; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends buildah debootstrap
fi

# --- the stand-in for the base image

base=$(sed -n 's/^ARG BASE=\([^@]*\).*/\1/p' Dockerfile)
release=${base##*-}
debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
  "$release" "$work/base" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$work/debootstrap.log" 2>&1 ||
  { tail -20 "$work/debootstrap.log" >&2; fail "debootstrap failed"; }
python=$(chroot "$work/base" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
case ${base##*/} in "python:$python."*) ;; *) fail "the stand-in has Python $python, not $base" ;; esac
rm -rf "$work"/base/var/cache/apt/* "$work"/base/var/lib/apt/lists/*
base_size=$(megabytes "$work/base")
container=$($buildah from scratch)
$buildah add --quiet "$container" "$work/base" / >/dev/null
$buildah commit --quiet --rm "$container" "$base" >/dev/null
rm -rf --one-file-system "$work/base"
base_time=$(seconds)
echo "base: a stand-in for $base, $base_size MB, ${base_time} s"

# --- the image

image=word-saliency-replication
build() {
  ENGINE=$buildah IMAGE=$image BUILD_OPTIONS="--isolation chroot --pull-never --build-arg BASE=$base $2" \
    sh docker/image.sh "$1" >"$work/build.log" 2>&1 ||
    { tail -40 "$work/build.log" >&2; fail "the build of $1 failed"; }
}
# Digest and bytes of every layer, base first.
layers() {
  $buildah inspect --type image --format '{{.Manifest}}' "$1" | python3 -c '
import json, sys
for layer in json.load(sys.stdin)["layers"]:
    print(layer["digest"][7:19], layer["size"])'
}
build cpu ""
tail -1 "$work/build.log"
layers "$image:latest" >"$work/layers"
sed 's/^/layer: /' "$work/layers"

# A changed line of the program is a layer that is small when it is compressed.
$buildah push --quiet "$image:latest" "oci:$work/oci:cpu"
program=$(python3 - "$work/oci" <<'END'
import json, pathlib, sys
place = pathlib.Path(sys.argv[1])
def blob(digest):
    return json.loads((place / "blobs" / "sha256" / digest[7:]).read_text())
index = json.loads((place / "index.json").read_text())
print(blob(index["manifests"][0]["digest"])["layers"][-1]["size"])
END
)
rm -rf "$work/oci"
echo "program: $program bytes, compressed"
[ "$program" -lt 1000000 ] || fail "the program's layer has $program bytes; less than 1 MB is wanted"

# From nothing again: the same bytes.
build cpu --no-cache
layers "$image:latest" >"$work/layers.again"
cmp "$work/layers" "$work/layers.again" || fail "a second build made other layers"
echo "a second build, without what the first left: the same layers"
container=$($buildah from --pull-never "$image:latest")
root=$($buildah mount "$container")
size=$(megabytes "$root")
build_time=$(($(seconds) - base_time))
echo "size: $size MB, of which base $base_size MB; built in $build_time s"
[ "$size" -lt 850 ] || fail "the image has $size MB; less than 850 are wanted"

show() { $buildah inspect --type image --format "$1" "$image:latest"; }
user=$(show '{{.OCIv1.Config.User}}')
entry=$(show '{{join .OCIv1.Config.Entrypoint " "}}' 2>/dev/null || show '{{index .OCIv1.Config.Entrypoint 0}}')
command=$(show '{{range .OCIv1.Config.Cmd}}{{.}} {{end}}')
echo "user: $user; command: $entry $command"
case $user in '' | 0* | root*) fail "the image's user is root" ;; esac
for name in version revision; do
  label=$(show "{{index .OCIv1.Config.Labels \"org.opencontainers.image.$name\"}}")
  echo "$name: $label"
  [ -n "$label" ] || [ ! -d .git ] || fail "no label $name"
done

# --- the default command, as the image's user, with no network

mkdir "$work/results"
chown "$user" "$work/results"
# shellcheck disable=SC2086  # several words
alone() { unshare --net $buildah run --isolation chroot "$@"; }
alone "$container" -- python3 - <<'END' || fail "the container has a network"
import socket
names = [name for _, name in socket.if_nameindex()]
assert names == ["lo"], names
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    probe.connect(("192.0.2.1", 9))  # a route is asked for; nothing is sent
except OSError as error:
    print("no network:", error.strerror)
else:
    raise SystemExit("there is a route")
END
before=$(seconds)
# shellcheck disable=SC2086  # several words
alone --volume "$work/results:/results" "$container" -- $entry $command || fail "the sample failed"
sample_time=$(($(seconds) - before))
report() {
  [ -s "$1/report.html" ] || fail "no report in $1"
  bytes=$(wc -c <"$1/report.html")
  [ "$bytes" -gt 10000 ] || fail "a report of $bytes bytes"
  owner=$(stat -c %u:%g "$1/report.html")
  [ "$owner" = "$2" ] || fail "the report belongs to $owner, not $2"
  echo "report: $bytes bytes, of $owner"
}
report "$work/results/sample" "$user"
echo "sample: $sample_time s"

# --- any user, read-only root, /tmp in memory: --user --read-only --tmpfs /tmp
# buildah has no such options; these mounts are what they mean.

other=12345:12345
mkdir "$work/others"
chown "$other" "$work/others"
environment=$(show '{{range .OCIv1.Config.Env}}{{.}} {{end}}')
before=$(seconds)
# shellcheck disable=SC2016,SC2086
unshare --net --mount --pid --fork sh -euc '
  root=$1 results=$2 user=$3
  shift 3
  mount --make-rprivate /
  mount --bind "$root" "$root"
  mount --bind "$results" "$root/results"
  mount -t tmpfs tmpfs "$root/tmp"
  mount -t proc proc "$root/proc"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for device in null zero random urandom; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  mount -o remount,bind,ro "$root"
  if touch "$root/touched" 2>/dev/null; then echo "the root is not read-only" >&2; exit 1; fi
  exec chroot --userspec="$user" "$root" env -i "$@"
' sh "$root" "$work/others" "$other" $environment \
  sh -c 'cd /results && exec "$@"' sh $entry run --preset sample --seeds 1 --quiet --out /results/sample ||
  fail "the sample failed with a read-only root"
report "$work/others/sample" "$other"
echo "read-only root, user $other: $(($(seconds) - before)) s"

# --- what the image tells of itself

alone "$container" -- replicate --version
alone "$container" -- replicate doctor
# The list of packages: every distribution that Python finds, and no other.
alone "$container" -- python3 - <<'END' || fail "the list of packages is wrong"
import json, pathlib, sys
from importlib.metadata import distributions
listed = json.loads(pathlib.Path(sys.prefix, "share/replicate/sbom.cdx.json").read_text())
found = {(c["name"].lower(), c["version"]) for c in listed["components"]}
wanted = {(d.name.lower(), d.version) for d in distributions()}
assert found == wanted, found ^ wanted
print(f"{listed['bomFormat']} {listed['specVersion']}: {len(found)} packages")
END
# `fetch` writes into /data as any user, and `run` finds there what it wrote.
mkdir "$work/data"
chmod "$(stat -c %a "$root/data")" "$work/data" # as an engine makes a new volume
# shellcheck disable=SC2016  # the container's shell expands it
alone --volume "$work/data:/data" --user 54321:54321 "$container" -- sh -c '
  cp "$(python3 -c "from replicate.io.data import sample_path; print(sample_path()[0])")" /data/corpus.cor &&
  replicate doctor >/dev/null && ls -l /data' || fail "/data is not writable"

# --- the other targets

[ $# -gt 0 ] || set -- jupyter
for target in "$@"; do
  before=$(seconds)
  build "$target" ""
  layers "$image:latest-$target" >"$work/layers.$target"
  # Packages that all targets need are one layer, which a machine keeps once.
  [ "$(sed -n 3p "$work/layers.$target")" = "$(sed -n 3p "$work/layers")" ] ||
    fail "$target does not have the layer of packages that cpu has"
  sed "s/^/$target layer: /" "$work/layers.$target"
  other=$($buildah from --pull-never "$image:latest-$target")
  echo "$target: $(megabytes "$($buildah mount "$other")") MB, built in $(($(seconds) - before)) s"
  case $target in
    jupyter)
      # The notebooks are there, and one runs as the image's user; its kernel is reached over
      # the loopback interface, which `alone` has not.
      $buildah run --isolation chroot "$other" -- sh -c '
        ls /replication/notebooks && jupyter lab --version &&
        jupyter execute 01_word_saliency.ipynb --output=/tmp/done.ipynb' ||
        fail "the notebook does not run"
      ;;
    cuda)
      # There is no device here, and it says so.
      alone "$other" -- replicate doctor >"$work/doctor" || fail "doctor failed"
      cat "$work/doctor"
      grep -q "@cupy:0: not available" "$work/doctor" || fail "doctor does not say that no device is there"
      ;;
  esac
  $buildah umount "$other" >/dev/null
  $buildah rm "$other" >/dev/null
done
echo "image-test: passed in $(seconds) s; image $size MB, base $base_time s, build $build_time s, sample $sample_time s"
