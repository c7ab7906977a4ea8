#!/usr/bin/env bash
# All tests. Installs what they need; ends non-zero when one fails.
set -euo pipefail
cd "$(dirname "$0")/.."

# command or file, Debian package
missing=()
want() { command -v "$1" >/dev/null 2>&1 || [ -e "$1" ] || missing+=("$2"); }
want dpkg-source dpkg-dev
want protoc protobuf-compiler
want g++ g++
want curl curl
want python3 python3
want /usr/include/google/protobuf/message.h libprotobuf-dev
want /usr/include/jsoncpp/json/json.h libjsoncpp-dev
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || { echo "missing Debian packages: ${missing[*]}" >&2; exit 1; }
  sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq >&2
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
fi

cargo fmt --all --check
(cd web && npm run --silent check && npm run --silent test)
scripts/kafka/with_kafka.sh --quick --secure --acl -- scripts/influxdb.sh -- scripts/victoria_metrics.sh -- \
  scripts/prometheus.sh -- scripts/postgres.sh -- scripts/tests_with_kafka.sh
scripts/influxdb.sh -- target/release/examples/beside_influxdb
CODEC_TESTEE=$PWD/target/release/examples/conformance_testee tests/conformance/run.sh
tests/independent/run.sh
tests/oidc/run.sh
tests/kafka/interchange/run.sh
tests/influx/run.sh
scripts/faults.sh kafka-fast
examples/merchant/run.sh --orders 50000 --seconds 3
tests/delivery/run.sh 1 poison,killed,schema-refused
scripts/kafka/with_kafka.sh --quick --secure -- scripts/influxdb.sh -- scripts/victoria_metrics.sh -- scripts/postgres.sh -- \
  scripts/e2e.sh access.spec.ts chart.spec.ts dagger.spec.ts file.spec.ts firehose.spec.ts flow.spec.ts frame.spec.ts \
  kafka.spec.ts postgres.spec.ts preview.spec.ts rest.spec.ts settings.spec.ts sinks.spec.ts topic.spec.ts
