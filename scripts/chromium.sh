#!/usr/bin/env bash
# Prints where Chromium is; installs it when it is missing.
set -euo pipefail
chromium=${CHROMIUM:-$(command -v chromium || true)}
if [ -z "$chromium" ]; then
  command -v apt-get >/dev/null || { echo "missing: chromium (or say where it is in CHROMIUM)" >&2; exit 1; }
  sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq >&2
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >&2
  chromium=$(command -v chromium)
fi
echo "$chromium"
