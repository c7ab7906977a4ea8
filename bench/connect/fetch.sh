#!/usr/bin/env bash
# Prints the folder with Debezium's JDBC sink for Kafka Connect; fetches it with Maven when it is not there.
set -euo pipefail
version=3.2.0.Final
plugins=${XDG_CACHE_HOME:-$HOME/.cache}/millrace/debezium-jdbc-$version
if [ ! -d "$plugins" ]; then
  mkdir -p "$(dirname "$plugins")"
  beside=$(mktemp -d "$plugins.XXXXXX")
  trap 'rm -rf "$beside"' EXIT
  mvn --batch-mode --no-transfer-progress --quiet org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
    -Dartifact=io.debezium:debezium-connector-jdbc:$version:tar.gz:plugin -DoutputDirectory="$beside" >&2
  tar -xzf "$beside"/*.tar.gz -C "$beside"
  rm "$beside"/*.tar.gz
  chmod 755 "$beside"
  mv -T "$beside" "$plugins" 2>/dev/null || [ -d "$plugins" ]
fi
echo "$plugins"
