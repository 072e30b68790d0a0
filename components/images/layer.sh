#!/bin/sh
# Makes one layer of an image, in a build stage that is thrown away:
#
#   layer.sh packages REQUIREMENTS [UNUSED]   what a lock adds to the image's environment
#   layer.sh project SOURCES                  this package itself
#
# All that is new ends up below $LAYER, ready to be copied to /. The same inputs give the same
# bytes: files carry no times, and byte code is compiled in a fixed order, with hashes that Python
# does not check, so that it is valid whatever the times and wherever the root is read-only.
set -eu

PREFIX=/opt/kfp-tabular
LAYER=/layer
TOOLS=/tmp/tools
BEFORE=/tmp/before
LOCKS=components/images

umask 022
# 1980 is the first year that a wheel, a zip file, can hold.
export PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 LC_ALL=C SOURCE_DATE_EPOCH=315532800
export UV_LINK_MODE=copy UV_NO_PROGRESS=1 UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never
export UV_CACHE_DIR=/root/.cache/uv
# Source packages are compiled in a folder with a random name, which debug information would record.
export CFLAGS=-g0 CXXFLAGS=-g0

# Proxies' certificates and package indexes come as build secrets, which no layer holds.
if [ -s /run/secrets/ca ]; then
    export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca
fi
if [ -s /run/secrets/index ]; then
    set -a
    . /run/secrets/index
    set +a
fi

make_tools() {
    python3 -m venv "$TOOLS"
    "$TOOLS/bin/pip" install -q --disable-pip-version-check --no-cache-dir --require-hashes \
        -r "$LOCKS/uv.txt"
    [ -e "$PREFIX" ] || python3 -m venv --without-pip "$PREFIX"
}

uv_pip() {
    command=$1
    shift
    "$TOOLS/bin/uv" pip "$command" -q --python "$PREFIX/bin/python3" "$@"
}

packages() {
    used "$@" >/tmp/requirements.txt
    uv_pip sync --require-hashes --build-constraints "$LOCKS/build.txt" \
        /tmp/requirements.txt
    [ $# -eq 1 ] || for path in $(unused path "$2"); do
        rm -rf "$PREFIX"/lib/python3*/site-packages/"$path"
    done
}

# Prints a lock without the packages that the image leaves out.
used() {
    [ $# -eq 2 ] || { cat "$1"; return; }
    awk -v unused="$(unused package "$2")" '
        BEGIN { for (i = split(unused, names, " "); i; i--) drop[names[i]] }
        /^[^ #]/ { name = $0; sub(/[^A-Za-z0-9._-].*/, "", name); sub(/==.*/, "", name) }
        !(name in drop)' "$1"
}

# Reads a list whose lines are `package NAME` or `path FOLDER` (below site-packages).
unused() { awk -v kind="$1" '$1 == kind { print $2 }' "$2"; }

# From a wheel, since an installation from sources records their path. uv still records the time.
project() {
    "$TOOLS/bin/uv" build -q --wheel --python "$PREFIX/bin/python3" \
        --require-hashes --build-constraints "$LOCKS/build.txt" --out-dir /tmp/wheels "$1"
    uv_pip install --no-deps --no-index --find-links /tmp/wheels --reinstall kfp-tabular
    (cd "$PREFIX"/lib/python3*/site-packages/kfp_tabular-*.dist-info && rm uv_cache.json \
        && sed -i /uv_cache.json/d RECORD)
    mkdir /licenses
    cp "$1/LICENSE" "$1/docs/licenses.md" /licenses/
}

# A process has a fixed list of files, since byte code depends on what its process compiled before.
# Some packages ship templates that are not valid Python; they are not imported either.
compile() {
    find "$PREFIX"/lib/python3*/site-packages -name '*.py' -cnewer "$BEFORE" -print0 | sort -z \
        | xargs -0 -r -n 256 -P "$(nproc)" "$PREFIX/bin/python3" -m compileall -q -f \
            --invalidation-mode unchecked-hash >/tmp/not-compiled.log || true
}

collect() {
    mkdir -p "$LAYER"
    (cd / && find "${PREFIX#/}" $(ls -d licenses 2>/dev/null) ! -type d -cnewer "$1" -print0 | sort -z \
        | xargs -0 -r cp -al --parents -t "$LAYER")
    find "$LAYER" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

what=$1
shift
touch /tmp/start
make_tools
# Times of files are compared with this one's, and have the resolution of the system's clock tick.
sleep 0.1 && touch "$BEFORE" && sleep 0.1
"$what" "$@"
compile
case $what in
    packages) collect /tmp/start ;;
    project) collect "$BEFORE" ;;
esac
