#!/usr/bin/env bash
# Debian's nagios-plugins-rabbitmq, which monitoring of many years runs.
#
# Prints `ok NAME` for each step that held and `done` at the end.
set -euo pipefail

current=start
trap '[ "$?" -eq 0 ] || echo "FAILED $current"' EXIT
queue=interop-nagios-$$

check() { perl "$TOOLS/usr/bin/check_rabbitmq_$1" -H "${MANAGEMENT%:*}" --port "${MANAGEMENT##*:}" "${@:2}"; }
says() {
    local said
    said=$(check "${@:2}") || true
    if [[ $said != *"$1"* ]]; then
        echo "'$said' does not say '$1'" >&2
        return 1
    fi
}

current=aliveness
says 'RABBITMQ_ALIVENESS OK - vhost: /' aliveness
echo "ok $current"

current=overview
says 'RABBITMQ_OVERVIEW OK' overview
echo "ok $current"

current=objects
says 'RABBITMQ_OBJECTS OK - Gathered Object Counts' objects
echo "ok $current"

current=connections
says 'RABBITMQ_CONNECTIONS OK' connections
echo "ok $current"

current=queue
url=${AMQP_URL%/*}/%2F
amqp-declare-queue -u "$url" -q "$queue" >/dev/null
for _ in 1 2 3; do amqp-publish -u "$url" -r "$queue" -b hello; done
says "messages=3;;" queue --queue "$queue"
echo "ok $current"

current=thresholds
says 'RABBITMQ_QUEUE CRITICAL' queue --queue "$queue" -w 1 -c 2
says 'RABBITMQ_QUEUE CRITICAL' queue --queue "$queue-none"
amqp-delete-queue -u "$url" -q "$queue" >/dev/null
echo "ok $current"
# The plugin takes no sockets at all for a broken answer, so somebody is connected; RabbitMQ 4.3 counts none.
# It writes rabbit@ before every name.
current=node
amqp-declare-queue -u "$url" -q "$queue" >/dev/null
amqp-consume -u "$url" -q "$queue" cat &
consumer=$!
trap '[ "$?" -eq 0 ] || echo "FAILED $current"; kill "$consumer" 2>/dev/null || true' EXIT
node=$(curl -s -u guest:guest "http://$MANAGEMENT/api/nodes" | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["name"])')
node=${node#rabbit@}
for _ in $(seq 100); do
    if says 'RABBITMQ_SERVER OK - Memory OK' server -n "$node" 2>/dev/null; then break; fi
    sleep 0.2
done
says 'RABBITMQ_SERVER OK - Memory OK' server -n "$node"
says 'RABBITMQ_WATERMARK OK' watermark -n "$node"
says 'RABBITMQ_PARTITION OK' partition -n "$node"
kill "$consumer"
wait "$consumer" 2>/dev/null || true
amqp-delete-queue -u "$url" -q "$queue" >/dev/null
echo "ok $current"

echo 'done'
