#!/usr/bin/env bash
# Installs Debian packages; says which are missing where that is not possible.
set -euo pipefail
command -v apt-get >/dev/null || { echo "missing Debian packages: $*" >&2; exit 1; }
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq >&2
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
