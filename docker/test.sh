#!/bin/sh
# From nothing, on a machine without an engine: build the image and run the
# sample in it, as another user, with no network and with a read-only root.
# Usage: sh docker/test.sh    (Debian, as root; packages are installed if missing)
#   WORK            where images are kept while it runs; removed at the end
#   DEBIAN_MIRROR   mirror for debootstrap, if not its default
#
# The base image is a stand-in that debootstrap makes, with Debian's own Python,
# under the tag that the Dockerfile asks for, without its digest.  It is for this
# test only: images for use are built on the real one, by `make image`.
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "image-test: must be root, for chroot and debootstrap" >&2; exit 2; }
if [ -n "${WORK:-}" ]; then mkdir -p "$WORK"; else WORK=$(mktemp -d /var/tmp/image-test.XXXXXX); fi
work=$WORK
finish() {
  $buildah umount --all >/dev/null 2>&1 || true
  rm -rf --one-file-system "$work"
}
buildah="buildah --root $work/storage --runroot $work/run --storage-driver vfs"
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
debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
  bookworm "$work/base" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >"$work/debootstrap.log" 2>&1 ||
  { tail -20 "$work/debootstrap.log" >&2; fail "debootstrap failed"; }
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
ENGINE=$buildah IMAGE=$image BUILD_OPTIONS="--isolation chroot --pull-never --build-arg BASE=$base" \
  sh docker/image.sh cpu >"$work/build.log" 2>&1 ||
  { tail -40 "$work/build.log" >&2; fail "the build failed"; }
tail -1 "$work/build.log"
container=$($buildah from --pull-never "$image:latest")
root=$($buildah mount "$container")
size=$(megabytes "$root")
build_time=$(($(seconds) - base_time))
echo "size: $size MB, of which base $base_size MB; built in $build_time s"
[ "$size" -lt 900 ] || fail "the image has $size MB; less than 900 are wanted"

show() { $buildah inspect --type image --format "$1" "$image:latest"; }
user=$(show '{{.OCIv1.Config.User}}')
entry=$(show '{{join .OCIv1.Config.Entrypoint " "}}' 2>/dev/null || show '{{index .OCIv1.Config.Entrypoint 0}}')
command=$(show '{{range .OCIv1.Config.Cmd}}{{.}} {{end}}')
echo "user: $user; command: $entry $command"
case $user in '' | 0* | root*) fail "the image's user is root" ;; esac

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
echo "image-test: passed in $(seconds) s; image $size MB, base $base_time s, build $build_time s, sample $sample_time s"
