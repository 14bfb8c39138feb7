// amqplib, the usual Node client: channels, confirm channels, errors.
//
// Prints `ok NAME` for each step that held and `done` at the end.
'use strict';

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { once } = require('node:events');
const amqplib = require('amqplib');

const unique = (kind) => `interop.${kind}.${randomUUID().slice(0, 12)}`;
const EXCHANGE = unique('exchange');
const QUEUE = unique('queue');

async function step(name, action) {
  try {
    await action();
  } catch (error) {
    console.log(`FAILED ${name}`);
    throw error;
  }
  console.log(`ok ${name}`);
}

// Deliveries in their order: `next` waits for one that has not come yet.
class Inbox {
  constructor() {
    this.items = [];
    this.waiting = [];
    this.push = (item) => {
      const waiting = this.waiting.shift();
      if (waiting) waiting(item);
      else this.items.push(item);
    };
  }

  next() {
    if (this.items.length > 0) return Promise.resolve(this.items.shift());
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}

async function deliverySteps(channel) {
  const inbox = new Inbox();
  let consumerTag;

  await step('declare', async () => {
    await channel.assertExchange(EXCHANGE, 'headers', { durable: false, autoDelete: true });
    const declared = await channel.assertQueue(QUEUE, { durable: true, arguments: { 'x-expires': 600000 } });
    assert.deepEqual({ ...declared }, { queue: QUEUE, messageCount: 0, consumerCount: 0 });
    await channel.bindQueue(QUEUE, EXCHANGE, '', { 'x-match': 'all', kind: 'wanted' });
  });
  await step('consume_and_ack', async () => {
    await channel.prefetch(1);
    ({ consumerTag } = await channel.consume(QUEUE, inbox.push));
    channel.publish(EXCHANGE, 'a', Buffer.from('unwanted'), { headers: { kind: 'other' } });
    channel.publish(EXCHANGE, 'b', Buffer.from('one'), { headers: { kind: 'wanted' }, persistent: true });
    channel.sendToQueue(QUEUE, Buffer.from('two'));
    const one = await inbox.next();
    assert.equal(one.content.toString(), 'one');
    assert.deepEqual(
      [one.fields.exchange, one.fields.routingKey, one.fields.redelivered, one.properties.deliveryMode],
      [EXCHANGE, 'b', false, 2],
    );
    channel.ack(one);
  });
  await step('nack_requeue', async () => {
    const two = await inbox.next();
    channel.nack(two, false, true);
    const again = await inbox.next();
    assert.deepEqual([again.content.toString(), again.fields.redelivered], ['two', true]);
    channel.reject(again, false);
  });
  await step('cancel', async () => {
    await channel.cancel(consumerTag);
    assert.equal((await channel.checkQueue(QUEUE)).consumerCount, 0);
  });
}

async function confirmSteps(connection) {
  const channel = await connection.createConfirmChannel();
  await step('confirms', async () => {
    for (let n = 0; n < 100; n += 1) channel.sendToQueue(QUEUE, Buffer.from(`${n}`), { persistent: true });
    await channel.waitForConfirms();
    assert.equal((await channel.checkQueue(QUEUE)).messageCount, 100);
  });
  await step('get', async () => {
    const got = await channel.get(QUEUE);
    assert.deepEqual([got.content.toString(), got.fields.messageCount], ['0', 99]);
    channel.ack(got);
    assert.equal((await channel.purgeQueue(QUEUE)).messageCount, 99);
    assert.equal(await channel.get(QUEUE), false);
  });
  await step('mandatory_return', async () => {
    const returned = once(channel, 'return');
    channel.publish('', unique('nowhere'), Buffer.from('lost'), { mandatory: true });
    await channel.waitForConfirms();
    const [message] = await returned;
    assert.deepEqual([message.fields.replyCode, message.content.toString()], [312, 'lost']);
  });
  await step('large_body', async () => {
    const body = Buffer.alloc(1000003, 'x');
    channel.sendToQueue(QUEUE, body);
    await channel.waitForConfirms();
    assert.ok((await channel.get(QUEUE, { noAck: true })).content.equals(body));
  });
}

async function errorSteps(connection) {
  await step('missing_queue', async () => {
    const channel = await connection.createChannel();
    const closed = once(channel, 'error');
    await assert.rejects(channel.checkQueue(unique('missing')), /404 \(NOT-FOUND\)/);
    assert.equal((await closed)[0].code, 404);
    const works = await connection.createChannel();
    await works.close();
  });
  await step('unknown_delivery_tag', async () => {
    const channel = await connection.createChannel();
    const closed = once(channel, 'error');
    channel.ack({ fields: { deliveryTag: 77 } });
    const [error] = await closed;
    assert.equal(error.code, 406);
    assert.match(error.message, /unknown delivery tag 77/);
  });
}

async function main() {
  const connection = await amqplib.connect(process.env.AMQP_URL);
  const channel = await connection.createChannel();
  await deliverySteps(channel);
  await confirmSteps(connection);
  await errorSteps(connection);
  await step('delete', async () => {
    assert.equal((await channel.deleteQueue(QUEUE)).messageCount, 0);
  });
  await step('close', () => connection.close());
  console.log('done');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
