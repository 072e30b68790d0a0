#!/bin/sh
# Makes the images' base without a container registry: Debian trixie with its Python 3.13, and nothing
# that a task does not need. Needs root, mmdebstrap, and a Debian mirror.
#
#   ENGINE    docker or podman; by default the first that can build, see engine.sh
#   IMAGE     what to call it
#   SOURCES   a sources.list to install from; with that of a dated snapshot, the same packages every
#             time. By default mmdebstrap's own choice of mirrors.
set -eu

engine=$(sh "$(dirname "$0")/engine.sh")
IMAGE=${IMAGE:-localhost/kfp-tabular/base:trixie}
SOURCES=${SOURCES:-}

command -v mmdebstrap >/dev/null || {
    echo "mmdebstrap is missing; 'apt-get install mmdebstrap' installs it on Debian and Ubuntu" >&2
    exit 2
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# As in layer.sh: no times, and byte code that does not depend on them.
export SOURCE_DATE_EPOCH=315532800
mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='PYTHONHASHSEED=0 chroot "$1" /usr/bin/python3 -m compileall -q -f \
        --invalidation-mode unchecked-hash /usr/lib/python3 /usr/lib/python3.13 || true' \
    trixie "$work/base.tar" ${SOURCES:+"$SOURCES"}
"$engine" import "$work/base.tar" "$IMAGE" >/dev/null
echo "$IMAGE: $(($(wc -c <"$work/base.tar") / 1000000)) MB"
