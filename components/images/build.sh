#!/bin/sh
# Builds the images, with docker or podman. `make images` calls it.
#
#   build.sh [NAME...]   author, launcher, tensorflow, tfdv, serving; all of them by default; or spark, mlflow
#
#   ENGINE     docker or podman; by default the first that can build, see engine.sh
#   BASE       the image to start from, with Python 3.13
#   REGISTRY   what the images' names start with
#   TAG        their tag
#   GPU        1 for the variant with CUDA's libraries; its tag ends with -gpu
#   NO_CACHE   1 to build everything anew
#   CA         a file of certificates that the network here needs; only the build sees it
#   NETWORK    the network of the build: host, or the engine's own by default
set -eu
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^version = //p' setup.cfg)
revision=$(git rev-parse HEAD 2>/dev/null || true)
[ -z "$revision" ] || git diff --quiet HEAD -- 2>/dev/null || revision=$revision-modified
created=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 315532800)}
base=${BASE:-docker.io/library/python:3.13-slim-trixie}
registry=${REGISTRY:-ghcr.io/kfp-tabular}
tag=${TAG:-$version}
lock=requirements.txt
[ -z "${GPU:-}" ] || { lock=requirements-gpu.txt; tag=$tag-gpu; }

secrets=$(mktemp)
trap 'rm -f "$secrets"' EXIT
chmod 600 "$secrets"

# How packages are fetched here, from the environment and from pip's own configuration.
package_index() {
    env | sed -nE "s/^((PIP|UV)_(INDEX_URL|EXTRA_INDEX_URL|DEFAULT_INDEX|INDEX|TRUSTED_HOST|DEFAULT_TIMEOUT|HTTP_TIMEOUT|INSECURE_HOST))=(.*)/\1='\4'/p"
    index=${PIP_INDEX_URL:-$(python3 -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$index" ]; then
        echo "PIP_INDEX_URL='$index'"
        [ -n "${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-}}" ] || echo "UV_DEFAULT_INDEX='$index'"
    fi
}

# The digest of what the images are built on: in a registry, or the image's id where it was made here.
base_digest() {
    case $base in *@sha256:*) echo "${base#*@}"; return ;; esac
    "$engine" image inspect "$base" >/dev/null 2>&1 || "$engine" pull -q "$base" >/dev/null || {
        echo "no image $base is here, and it cannot be pulled; BASE names another, make base-image" \
            "makes one without a registry" >&2
        return 1
    }
    "$engine" image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}{{.Id}}' "$base" \
        | sed 's/.*@//' | head -n 1
}

engine=$(sh components/images/engine.sh)
base_digest=$(base_digest)
package_index >"$secrets"
ca=${CA:-${SSL_CERT_FILE:-}}
options="${NETWORK:+--network=$NETWORK} ${NO_CACHE:+--no-cache} ${ca:+--secret id=ca,src=$ca}"
case $("$engine" --version) in
    # The health check is not part of OCI's format. Times are those that the layers' files have.
    podman*) options="$options --format=docker --timestamp=315532800 --layers" ;;
    *) options="$options --progress=plain" ;;
esac

mkdir -p build/images
for name in ${*:-author launcher tensorflow tfdv serving}; do
    case $name in
        author | launcher | tensorflow | tfdv | serving | spark | mlflow) ;;
        *)
            echo "no image $name; there are author, launcher, tensorflow, tfdv, serving, spark, mlflow" >&2
            exit 2
            ;;
    esac
    image=$registry/$name:$tag
    packages=components/images/$name/requirements.txt
    [ "$name" != tensorflow ] || packages=components/images/tensorflow/$lock
    log=build/images/$name.log
    echo "$image"
    SOURCE_DATE_EPOCH=$created DOCKER_BUILDKIT=1 \
        "$engine" build --file components/images/Containerfile --target "$name" \
        --tag "$image" $options --secret "id=index,src=$secrets" \
        --build-arg "BASE=$base" --build-arg "LOCK=$lock" \
        --label "org.opencontainers.image.version=$version" \
        --label "org.opencontainers.image.revision=$revision" \
        --label "org.opencontainers.image.created=$(date -u -d "@$created" +%Y-%m-%dT%H:%M:%SZ)" \
        --label "org.opencontainers.image.base.name=${base%@*}" \
        --label "org.opencontainers.image.base.digest=$base_digest" \
        --label "io.github.kfp-tabular.lock.sha256=$(sha256sum "$packages" | cut -d' ' -f1)" . >"$log" 2>&1 || {
        tail -n 60 "$log" >&2
        echo "$image could not be built; see $log" >&2
        exit 1
    }
done
