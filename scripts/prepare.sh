#!/usr/bin/env bash
# Checks for what the build needs, installs Debian packages that are missing, and builds the portal, which goes into the
# binary.
set -euo pipefail
need() { # command, Debian package
  command -v "$1" >/dev/null || install "$1" "$2"
}
install() { # what is missing, Debian package
  command -v apt-get >/dev/null || { echo "missing: $1 (Debian package $2)" >&2; exit 1; }
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "$2" >&2
}
command -v cargo >/dev/null || { echo "missing: cargo (install Rust 1.95 or newer)" >&2; exit 1; }
need cc gcc
need make make
need pkg-config pkg-config
pkg-config --exists openssl || install "the headers of OpenSSL" libssl-dev
command -v npm >/dev/null || { echo "missing: node and npm (install Node 20.19 or newer)" >&2; exit 1; }

cd "$(dirname "$0")/../web"
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --no-audit --no-fund --loglevel=error >&2
fi
if [ ! -e dist/index.html ] || [ -n "$(find . -path ./node_modules -prune -o -path ./dist -prune -o -type f -newer dist/index.html -print -quit)" ]; then
  npm run --silent build >&2
fi
