#!/bin/sh
# Unpacks January, which is in the repository, for `millrace dagger run`.
#
#   examples/flights/unpack_january.sh [OUT_FOLDER]     default: target/flights/january
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out="${1:-$here/../../target/flights/january}"
mkdir -p "$out"
for packed in "$here"/january/*.pb.gz; do
    gzip -dc "$packed" > "$out/$(basename "$packed" .gz)"
done
echo "in $out"
