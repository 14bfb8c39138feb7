#!/usr/bin/env bash
# rabbitmqadmin of RabbitMQ 3, which scripts and test containers call.
#
# Prints `ok NAME` for each step that held and `done` at the end.
set -euo pipefail

vhost=interop-admin-$$-$RANDOM
user=interop-admin-$$
work=$(mktemp -d)
current=start
trap '[ "$?" -eq 0 ] || echo "FAILED $current"; rm -rf "$work"' EXIT

ok() { echo "ok $current"; }
begin() { current=$1; }
equal() {
    if [ "$1" != "$2" ]; then
        echo "'$1' is not '$2'" >&2
        return 1
    fi
}

# Which program: the one in Python, unless ADMIN names ours.
raw() { ${ADMIN:-python3 "$TOOLS/usr/bin/rabbitmqadmin"} --host="${MANAGEMENT%:*}" --port="${MANAGEMENT##*:}" "$@"; }
admin() { raw --vhost="$vhost" "$@"; }
tsv() { admin --format=tsv "$@" | tail -n +2; }

begin vhost
equal "$(raw declare vhost name="$vhost")" 'vhost declared'
ok

begin permission
equal "$(raw declare permission vhost="$vhost" user=guest 'configure=.*' 'write=.*' 'read=.*')" 'permission declared'
ok

begin exchange
equal "$(admin declare exchange name=x type=topic)" 'exchange declared'
ok

begin queue
equal "$(admin declare queue name=q durable=true 'arguments={"x-max-length":10}')" 'queue declared'
equal "$(admin declare queue name=other auto_delete=true durable=false)" 'queue declared'
ok

begin binding
equal "$(admin declare binding source=x destination=q 'routing_key=a.#')" 'binding declared'
equal "$(tsv list bindings source destination routing_key | grep '^x')" $'x\tq\ta.#'
ok

begin publish
equal "$(admin publish exchange=x routing_key=a.b payload=hello)" 'Message published'
equal "$(admin publish exchange=x routing_key=nowhere payload=hello)" 'Message published but NOT routed'
ok

begin get
equal "$(tsv get queue=q ackmode=ack_requeue_true | cut -f 1-5)" $'a.b\tx\t0\thello\t5'
equal "$(tsv get queue=q ackmode=ack_requeue_false | cut -f 1-4)" $'a.b\tx\t0\thello'
ok

begin policies
equal "$(admin declare policy name=p pattern='^q' 'definition={"max-length":5}' apply-to=queues)" 'policy declared'
equal "$(admin declare operator_policy name=o pattern='^q' 'definition={"max-length":4}' apply-to=queues)" \
    'operator_policy declared'
equal "$(tsv list policies vhost name pattern definition | grep "^$vhost")" "$vhost"$'\tp\t^q\t{"max-length": 5}'
ok

begin limits
equal "$(raw declare vhost_limit vhost="$vhost" name=max-queues value=50)" 'vhost_limit declared'
raw --format=tsv list vhost_limits >"$work/limits"
grep -q "^$vhost" "$work/limits"
equal "$(raw delete vhost_limit vhost="$vhost" name=max-queues)" 'vhost_limit deleted'
ok

begin lists
for list in users vhosts permissions exchanges queues bindings nodes connections channels consumers policies; do
    raw list "$list" >"$work/$list"
done
grep -q guest "$work/users"
grep -q "$vhost" "$work/vhosts"
raw show overview >"$work/overview"
equal "$(admin purge queue name=q)" 'queue purged'
ok

begin formats
for format in table long kvp tsv bash raw_json pretty_json; do
    admin --format="$format" list queues >"$work/queues"
    grep -q other "$work/queues"
done
ok

begin definitions
raw export "$work/definitions.json" >"$work/said"
grep -q 'Exported definitions' "$work/said"
grep -q "$vhost" "$work/definitions.json"
raw import "$work/definitions.json" >"$work/said"
grep -q 'Uploaded definitions' "$work/said"
ok

begin users
equal "$(raw declare user name="$user" password=secret tags=monitoring)" 'user declared'
raw --username="$user" --password=secret list nodes >"$work/nodes"
equal "$(raw delete user name="$user")" 'user deleted'
ok

begin refusals
if raw --username="$user" --password=secret list queues >"$work/refused" 2>&1; then exit 1; fi
grep -q 'Access refused' "$work/refused"
if admin delete queue name=none >"$work/missing" 2>&1; then exit 1; fi
grep -q 'Not found' "$work/missing"
ok

begin delete
equal "$(admin delete queue name=q)" 'queue deleted'
equal "$(admin delete exchange name=x)" 'exchange deleted'
equal "$(raw delete vhost name="$vhost")" 'vhost deleted'
ok
echo 'done'
