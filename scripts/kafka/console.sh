#!/usr/bin/env bash
# Runs one of Kafka's own tools by the name of its class: console.sh TopicCommand --bootstrap-server HOST:PORT --list
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || { echo "usage: console.sh TOOL ARGUMENTS...; TOOL as TopicCommand, ConsoleConsumer, ConsumerGroupCommand" >&2; exit 2; }
libs=${MILLRACE_KAFKA_LIBS:-$("$here/fetch.sh")}
case $1 in
  *.*) class=$1 ;;
  ConsoleConsumer | ConsoleShareConsumer) class=org.apache.kafka.tools.consumer.$1 ;;
  ConfigCommand) class=kafka.admin.ConfigCommand ;;
  StorageTool) class=kafka.tools.StorageTool ;;
  *) class=org.apache.kafka.tools.$1 ;;
esac

shared=()
[ ! -e "$libs/classes.jsa" ] || shared=("-XX:SharedArchiveFile=$libs/classes.jsa")
exec java -Xmx256m ${shared[@]+"${shared[@]}"} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC \
  -Dlog4j2.configurationFile="$here/log4j2.console.yaml" -cp "$libs/*" "$class" "${@:2}"
