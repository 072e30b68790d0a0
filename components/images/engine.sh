#!/bin/sh
# Prints the program that builds images here: $ENGINE, else docker or podman.
set -eu

# BuildKit is in docker's command line up to version 22, a plug-in called buildx from 23 on.
can_build() {
    case $("$1" --version 2>/dev/null) in
        podman*) "$1" info >/dev/null 2>&1 ;;
        *' version '1?.* | *' version '2[0-2].*) "$1" info >/dev/null 2>&1 ;;
        *' version '*) "$1" buildx version >/dev/null 2>&1 && "$1" info >/dev/null 2>&1 ;;
        *) false ;;
    esac
}

# A newer docker without buildx may stand before the distribution's on PATH.
for engine in ${ENGINE:-docker /usr/bin/docker podman}; do
    if can_build "$engine"; then
        echo "$engine"
        exit
    fi
done
echo "no engine can build images here (tried: ${ENGINE:-docker, podman}). Install docker, from" \
    "version 23 on with buildx, or podman, and start its service." >&2
exit 2
