#!/usr/bin/env bash
# Prints the folder with the jars of Apache Kafka; fetches them with Maven when they are not there. Installs Debian's
# packages of a Java runtime and Maven if they are missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/kafka.pom.xml")
libs=${XDG_CACHE_HOME:-$HOME/.cache}/millrace/kafka-$version

# The runtime is needed whenever a broker starts, Maven only to fetch.
java_major() { java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p'; }
missing=()
[ "$(java_major)" -ge 17 ] 2>/dev/null || missing+=(openjdk-17-jre-headless)
[ -d "$libs" ] || command -v mvn >/dev/null || missing+=(maven)
if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || { echo "missing Debian packages: ${missing[*]}" >&2; exit 1; }
  sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq >&2
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
fi

if [ ! -d "$libs" ]; then
  mkdir -p "$(dirname "$libs")"
  # Beside its place and then renamed: whoever sees the folder sees all of it.
  beside=$(mktemp -d "$libs.XXXXXX")
  trap 'rm -rf "$beside"' EXIT
  mvn --batch-mode --no-transfer-progress --quiet -f "$here/kafka.pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$beside" >&2
  chmod 755 "$beside"
  # Somebody else may have been faster.
  mv -T "$beside" "$libs" 2>/dev/null || [ -d "$libs" ]
fi
[ -e "$libs/classes.jsa" ] || "$here/archive.sh" "$libs" >&2 || echo "brokers will start more slowly than they could" >&2
echo "$libs"
