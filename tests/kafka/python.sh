#!/usr/bin/env bash
# Runs Python with confluent-kafka and what else stands in requirements.txt; installs them beside the jars of Kafka first.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if ! python3 -c 'import ensurepip' 2>/dev/null; then "$here/../../scripts/kafka/install.sh" python3 python3-venv; fi
# One environment for each list of packages.
packages=$(sha256sum "$here/requirements.txt" | cut -c1-12)
environment=${XDG_CACHE_HOME:-$HOME/.cache}/millrace/python-$packages
if [ ! -e "$environment/done" ]; then
  mkdir -p "$environment"
  # Whoever comes meanwhile waits for it.
  exec 9>"$environment/lock"
  flock 9
  if [ ! -e "$environment/done" ]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --requirement "$here/requirements.txt" >&2
    touch "$environment/done"
  fi
  exec 9>&-
fi
exec "$environment/bin/python" -B "$@"
