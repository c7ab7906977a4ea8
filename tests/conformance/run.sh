#!/usr/bin/env bash
# The binary part of the protobuf conformance suite against the codec.
#
#   tests/conformance/run.sh            builds the runner (once) and the testee, runs the suite
#
# The runner comes from Debian's protobuf source package (3.21.12), built against Debian's libraries; it is kept in
# target/conformance. Known failures are in failures.txt, each with its reason; a failure that is not listed, and a listed
# one that passes, both fail the run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$root/target/conformance
version=3.21.12

hint() { echo "conformance: $1" >&2; exit 1; }
need() { command -v "$1" >/dev/null 2>&1 || hint "$1 is missing: apt-get install $2"; }

fetch_source() {
  [ -d "$cache/protobuf-$version/conformance" ] && return
  need dpkg-source dpkg-dev
  local apt=$cache/apt
  mkdir -p "$apt/lists/partial" "$apt/sources.d"
  # Source entries beside the machine's own, in a configuration of our own: nothing of the machine is changed.
  : > "$apt/sources.list"
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed -n 's/^deb /deb-src /p' >> "$apt/sources.list" || true
  local entry
  for entry in /etc/apt/sources.list.d/*.sources; do
    [ -e "$entry" ] && sed 's/^Types:.*/Types: deb-src/' "$entry" > "$apt/sources.d/$(basename "$entry")"
  done
  local options=(-o "Dir::Etc::sourcelist=$apt/sources.list" -o "Dir::Etc::sourceparts=$apt/sources.d"
    -o "Dir::State::lists=$apt/lists" -o APT::Sandbox::User=root)
  (
    cd "$cache"
    apt-get "${options[@]}" update -qq || hint "the package lists cannot be fetched: is a Debian mirror configured?"
    apt-get "${options[@]}" source -qq "protobuf=$version-*" 2>/dev/null || apt-get "${options[@]}" source -qq protobuf
  ) >&2
  [ -d "$cache/protobuf-$version/conformance" ] || hint "Debian's protobuf source package is not version $version here"
}

build_runner() {
  [ -x "$cache/conformance_test_runner" ] && return
  need protoc protobuf-compiler
  need g++ g++
  [ -e /usr/include/google/protobuf/message.h ] || hint "libprotobuf-dev is missing: apt-get install libprotobuf-dev"
  [ -e /usr/include/jsoncpp/json/json.h ] || hint "libjsoncpp-dev is missing: apt-get install libjsoncpp-dev"
  local source=$cache/protobuf-$version objects=$cache/objects shim=$cache/shim
  mkdir -p "$objects" "$shim/third_party/jsoncpp"
  echo '#include <json/json.h>' > "$shim/third_party/jsoncpp/json.h"
  protoc -I"$source/conformance" -I"$source/src" --cpp_out="$objects" "$source/conformance/conformance.proto" \
    "$source/src/google/protobuf/test_messages_proto2.proto" "$source/src/google/protobuf/test_messages_proto3.proto"
  local files=() name
  for name in conformance_test conformance_test_main conformance_test_runner binary_json_conformance_suite text_format_conformance_suite; do
    files+=("$source/conformance/$name.cc")
  done
  files+=("$objects/conformance.pb.cc" "$objects/google/protobuf/test_messages_proto2.pb.cc" "$objects/google/protobuf/test_messages_proto3.pb.cc")
  printf '%s\n' "${files[@]}" | xargs -P2 -I{} sh -c 'g++ -O1 -std=c++14 -w -I"$1" -I"$2/src" -I"$2/conformance" -I"$2" -I/usr/include/jsoncpp -I"$3" -c "$4" -o "$1/$(basename "$4").o"' _ "$objects" "$source" "$shim" {} >&2
  g++ -o "$cache/conformance_test_runner.new" "$objects"/*.o -lprotobuf -ljsoncpp -lpthread
  mv "$cache/conformance_test_runner.new" "$cache/conformance_test_runner"
}

mkdir -p "$cache"
fetch_source
build_runner
cd "$root"
testee=${CODEC_TESTEE:-}
if [ -z "$testee" ]; then
  cargo build --release --locked -q --workspace --examples
  testee=$root/target/release/examples/conformance_testee
fi
# The runner takes no arguments for the testee: a wrapper gives it the folder of the .proto files.
printf '#!/bin/sh\nexec "%s" "%s/conformance" "%s/src"\n' "$testee" "$cache/protobuf-$version" "$cache/protobuf-$version" > "$cache/testee.sh"
chmod +x "$cache/testee.sh"
sed 's/ *#.*//; /^$/d' "$here/failures.txt" > "$cache/failures.txt"
cd "$cache"
set +e
./conformance_test_runner --enforce_recommended --failure_list "$cache/failures.txt" --output_dir "$cache/" "$cache/testee.sh" > "$cache/output.txt" 2>&1
status=$?
set -e
grep -E 'CONFORMANCE|successes|ERROR' "$cache/output.txt" || cat "$cache/output.txt"
exit $status
