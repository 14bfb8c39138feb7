// amqplib over TLS: with its password, with a certificate beside it, and by its certificate alone.
//
// Prints `ok NAME` for each step that held and `done` at the end.
'use strict';

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const amqplib = require('amqplib');

const port = Number(process.env.PORT);
const read = (name) => readFileSync(process.env[name]);
const trust = { ca: [read('CA')], servername: 'localhost' };
const certificate = { cert: read('CERTIFICATE'), key: read('KEY') };

async function everydayWork(url, options) {
  const connection = await amqplib.connect(url, options);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue('amqplib-tls', { exclusive: true });
  const body = Buffer.alloc(300000, 'x');
  channel.sendToQueue('amqplib-tls', body);
  await channel.waitForConfirms();
  const got = await channel.get('amqplib-tls', { noAck: true });
  assert.ok(got.content.equals(body));
  await connection.close();
}

async function main() {
  const url = `amqps://guest:guest@127.0.0.1:${port}`;
  await everydayWork(url, trust);
  console.log('ok tls');
  await everydayWork(url, { ...trust, ...certificate });
  console.log('ok mutual_tls');
  const credentials = amqplib.credentials.external();
  await everydayWork(`amqps://127.0.0.1:${port}`, { ...trust, ...certificate, credentials });
  console.log('ok external');
  await assert.rejects(everydayWork(url, { servername: 'localhost' }));
  console.log('ok unknown_authority');
  console.log('done');
}

main();
