#!/bin/sh
# Makes the base of the images where no registry can be reached: Debian trixie with its Python 3.13,
# and nothing that a task does not need. Needs root, mmdebstrap, and a Debian mirror.
#
#   ENGINE    docker or podman; by default the first that can build, see engine.sh
#   IMAGE     what to call it
#   MIRRORS   one or more mirrors; with one of snapshot.debian.org, the same packages every time
set -eu

engine=$(sh "$(dirname "$0")/engine.sh")
IMAGE=${IMAGE:-localhost/kfp-tabular/base:trixie}
MIRRORS=${MIRRORS:-http://deb.debian.org/debian http://deb.debian.org/debian-security}

command -v mmdebstrap >/dev/null || {
    echo "mmdebstrap is missing; 'apt-get install mmdebstrap' installs it on Debian and Ubuntu" >&2
    exit 2
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for mirror in $MIRRORS; do
    case $mirror in
        *security*) echo "deb $mirror trixie-security main" ;;
        *) printf 'deb %s trixie main\ndeb %s trixie-updates main\n' "$mirror" "$mirror" ;;
    esac
done >"$work/sources.list"

# Files later than this get this time, which is after every package of the release's first year.
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1798761600}"
mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    trixie "$work/base.tar" "$work/sources.list"
"$engine" import "$work/base.tar" "$IMAGE" >/dev/null
echo "$IMAGE: $(($(wc -c <"$work/base.tar") / 1000000)) MB"
