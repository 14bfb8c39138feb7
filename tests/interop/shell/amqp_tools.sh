#!/usr/bin/env bash
# amqp-tools: the command line programs of rabbitmq-c, the C client.
#
# Prints `ok NAME` for each step that held and `done` at the end.
set -euo pipefail

queue=interop.tools.$$.$RANDOM
current=start
trap '[ "$?" -eq 0 ] || echo "FAILED $current"' EXIT

ok() { echo "ok $1"; }
begin() { current=$1; }

equal() {
    if [ "$1" != "$2" ]; then
        echo "'$1' is not '$2'" >&2
        return 1
    fi
}

# amqp-publish does not wait for a confirm, but closing its connection is a
# round trip behind the message, so what comes next finds the message there.
publish() { amqp-publish -u "$AMQP_URL" "$@"; }

begin declare
equal "$(amqp-declare-queue -u "$AMQP_URL" -d -q "$queue")" "$queue"
[[ $(amqp-declare-queue -u "$AMQP_URL" -q '') == amq.gen-* ]]
ok declare

begin publish_and_get
publish -r "$queue" -p -C text/plain -H 'name: value' -b 'hello'
equal "$(amqp-get -u "$AMQP_URL" -q "$queue")" hello
ok publish_and_get

begin get_empty
if amqp-get -u "$AMQP_URL" -q "$queue"; then exit 1; fi
ok get_empty

begin consume_and_ack
printf 'one\ntwo\nthree\n' | publish -r "$queue" -l
equal "$(amqp-consume -u "$AMQP_URL" -q "$queue" -c 3 -p 1 cat | tr -d '\n')" onetwothree
ok consume_and_ack

begin large_body
head -c 400000 /dev/zero | tr '\0' x | publish -r "$queue"
equal "$(amqp-get -u "$AMQP_URL" -q "$queue" | wc -c | tr -d ' ')" 400000
ok large_body

begin delete
publish -r "$queue" -b left
equal "$(amqp-delete-queue -u "$AMQP_URL" -q "$queue")" 1
ok delete

begin missing_queue
if complaint=$(amqp-get -u "$AMQP_URL" -q "$queue" 2>&1); then exit 1; fi
[[ $complaint == *"404"*"NOT_FOUND"* ]]
ok missing_queue

begin bad_password
if complaint=$(amqp-get -u "${AMQP_URL/guest:guest/guest:wrong}" -q "$queue" 2>&1); then exit 1; fi
[[ $complaint == *"403"*"ACCESS_REFUSED"* ]]
ok bad_password

current=end
echo 'done'
