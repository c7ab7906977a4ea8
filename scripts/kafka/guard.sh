#!/usr/bin/env bash
# Takes a cluster down when a process is gone, however that ended: guard.sh DIR PID
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
while kill -0 "$2" 2>/dev/null; do sleep 1; done
exec "$here/cluster.sh" down "$1" --now
