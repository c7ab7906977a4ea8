#!/usr/bin/env bash
# Checks for what the build needs and installs Debian packages that are missing.
set -euo pipefail
need() { # command, Debian package
  command -v "$1" >/dev/null && return
  command -v apt-get >/dev/null || { echo "missing: $1 (Debian package $2)" >&2; exit 1; }
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "$2" >&2
}
command -v cargo >/dev/null || { echo "missing: cargo (install Rust 1.95 or newer)" >&2; exit 1; }
need cc gcc
need make make
