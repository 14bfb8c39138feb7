// Pictures of the page for its manual: a small shop that is open for business, looked at in both themes.
//
// By hand, beside a fresh broker: see broker/page/README.md. Not a test: what it shows, others test.

import {mkdirSync} from 'node:fs';
import {join} from 'node:path';

import {connect} from './clients.mjs';
import {Browser, LOOKS, WIDE} from './harness.mjs';

const OUT = process.env.LEVERET_SHOTS ?? join(import.meta.dirname, '../../../docs/src/shots');
const USER = 'ada';
/** So long the shop is open before it is looked at: what is stuck has to be stuck for a minute. */
const OPEN_MS = Number(process.env.LEVERET_SHOP_MS ?? 100_000);

const EXCHANGES = [
  ['shop', 'topic', {'alternate-exchange': 'unrouted'}],
  ['audit', 'fanout', {}],
  ['dead', 'direct', {}],
  ['unrouted', 'fanout', {}],
];
const DEAD = {'x-dead-letter-exchange': 'dead', 'x-dead-letter-routing-key': 'letters'};
const QUORUM = {'x-queue-type': 'quorum'};
const QUEUES = [
  ['orders.eu', {...QUORUM, ...DEAD}, ['shop', 'order.eu.*']],
  ['orders.us', {...QUORUM, ...DEAD}, ['shop', 'order.us.*']],
  ['orders.asia', QUORUM, ['shop', 'order.asia.*']],
  ['invoices', {...QUORUM, ...DEAD}, ['shop', 'order.*.paid']],
  ['invoices.archive', {'x-message-ttl': 604_800_000}, ['shop', 'invoice.#']],
  ['mails.outgoing', {'x-max-priority': 5}, ['shop', 'mail.#']],
  ['stock.updates', {}, ['shop', 'stock.*']],
  ['thumbnails', {}, ['shop', 'image.uploaded']],
  ['imports', {'x-max-publish-rate': 40}, ['shop', 'import.*']],
  ['audit.log', {'x-max-length': 50_000}, ['audit', '']],
  ['dead.letters', {}, ['dead', 'letters']],
  ['unrouted', {}, ['unrouted', '']],
];
const POLICIES = [
  ['orders-limits', {pattern: '^orders\\.', 'apply-to': 'queues', priority: 10, definition: {'max-length': 100_000, overflow: 'reject-publish'}}],
  ['mails-expire', {pattern: '^mails\\.', 'apply-to': 'classic_queues', priority: 5, definition: {'message-ttl': 3_600_000}}],
  ['stock-latest', {pattern: '^stock\\.', 'apply-to': 'queues', priority: 5, definition: {'max-length': 10_000}}],
];

async function build(api) {
  await api.put('users/shop', {password: 'shop', tags: ''});
  await api.put('permissions/%2F/shop', {configure: '', write: '.*', read: '.*'});
  process.env.LEVERET_AMQP = process.env.LEVERET_AMQP.replace('guest:guest', 'shop:shop');
  await api.put(`users/${USER}`, {password: USER, tags: 'administrator'});
  await api.put(`permissions/%2F/${USER}`, {configure: '.*', write: '.*', read: '.*'});
  await api.put('cluster-name', {name: 'shop.example'});
  for (const [name, type, args] of EXCHANGES) await api.put(`exchanges/%2F/${name}`, {type, durable: true, arguments: args});
  await api.post('bindings/%2F/e/shop/e/audit', {routing_key: 'order.#'});
  for (const [name, args, [exchange, key]] of QUEUES) {
    await api.put(`queues/%2F/${name}`, {durable: true, arguments: args});
    await api.post(`bindings/%2F/e/${exchange}/q/${name}`, {routing_key: key});
  }
  for (const [name, policy] of POLICIES) await api.put(`policies/%2F/${name}`, policy);
  await api.put('operator-policies/%2F/no-endless-queues', {pattern: '.*', 'apply-to': 'queues', priority: 0, definition: {'max-length': 1_000_000}});
}

const pause = (ms) => new Promise((later) => setTimeout(later, ms));
const wave = (from, to, seconds, phase) => from + (to - from) * (0.5 + 0.5 * Math.sin((Date.now() / 1000 / seconds) * 2 * Math.PI + phase));

let number = 48_200;
function order(region) {
  number += 1;
  const lines = [{sku: 'BAG-TOTE-NAT', quantity: 1 + (number % 3), price: '24.00'}, {sku: 'MUG-HARE-BLUE', quantity: 1, price: '12.50'}];
  return {order: number, region, customer: `c-${10_000 + ((number * 7919) % 9000)}`, lines, total: '60.50', currency: region === 'us' ? 'USD' : 'EUR'};
}

// Publishes messages of these kinds, so many a second, as long as the shop is open.
async function publisher(shop, name, kinds) {
  const connection = await connect(name);
  shop.clients.push(connection);
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => {});
  let owed = 0;
  while (shop.isOpen) {
    for (const [key, speed, body] of kinds) {
      owed = speed() / 10 + Math.random() - 0.5;
      for (let n = 0; n < owed; n += 1) {
        const content = body();
        const options = {persistent: true, contentType: 'application/json', messageId: `m-${number}`, headers: {tenant: key.split('.')[1] ?? 'all', 'trace-id': `4bf92f35${number}`}};
        channel.publish('shop', key, Buffer.from(JSON.stringify(content)), options);
      }
    }
    await pause(100);
  }
}

// Consumes, takes so long for each, and rejects some of them.
async function worker(shop, name, queue, {prefetch, takes, rejects = 0, never = false, tag}) {
  const connection = await connect(name);
  shop.clients.push(connection);
  const channel = await connection.createChannel();
  channel.on('error', () => {});
  await channel.prefetch(prefetch);
  await channel.consume(queue, async (message) => {
    if (message === null || never) return;
    await pause(takes * (0.5 + Math.random()));
    if (!shop.isOpen) return;
    if (Math.random() < rejects) channel.reject(message, false);
    else channel.ack(message);
  }, {consumerTag: tag});
}

async function open(shop) {
  const small = () => ({id: number, at: new Date().toISOString()});
  await Promise.all([
    worker(shop, 'fulfilment-eu 3.2.0 @ worker-1', 'orders.eu', {prefetch: 50, takes: 40, tag: 'fulfilment-eu.1'}),
    worker(shop, 'fulfilment-eu 3.2.0 @ worker-2', 'orders.eu', {prefetch: 50, takes: 60, tag: 'fulfilment-eu.2'}),
    worker(shop, 'fulfilment-us 3.2.0 @ worker-3', 'orders.us', {prefetch: 30, takes: 80, tag: 'fulfilment-us.1'}),
    worker(shop, 'billing 1.9.4 @ worker-4', 'invoices', {prefetch: 10, takes: 150, rejects: 0.06, tag: 'billing.1'}),
    worker(shop, 'mailer 5.0.1 @ worker-2', 'mails.outgoing', {prefetch: 20, takes: 200, tag: 'mailer.1'}),
    worker(shop, 'stock-sync 0.8.0 @ worker-5', 'stock.updates', {prefetch: 100, takes: 5, tag: 'stock-sync.1'}),
    worker(shop, 'image-resizer 2.1.0 @ gpu-1', 'thumbnails', {prefetch: 20, takes: 0, never: true, tag: 'image-resizer.1'}),
    worker(shop, 'auditor 1.0.3 @ worker-5', 'audit.log', {prefetch: 200, takes: 10, tag: 'auditor.1'}),
  ]);
  shop.work = [
    publisher(shop, 'checkout 4.11.2 @ web-1', [
      ['order.eu.created', () => wave(60, 140, 37, 0), () => order('eu')],
      ['order.eu.paid', () => wave(20, 45, 37, 0.6), () => order('eu')],
      ['mail.confirmation', () => wave(30, 80, 37, 0.8), () => ({to: `customer-${number}@shop.example`, template: 'confirmation'})],
    ]),
    publisher(shop, 'checkout 4.11.2 @ web-2', [
      ['order.us.created', () => wave(20, 70, 53, 2), () => order('us')],
      ['order.us.paid', () => wave(5, 20, 53, 2.4), () => order('us')],
      ['order.africa.created', () => 0.6, () => order('africa')],
    ]),
    publisher(shop, 'warehouse 7.3.0 @ stock-1', [['stock.changed', () => wave(100, 260, 29, 1), small]]),
    publisher(shop, 'catalogue 2.6.0 @ web-3', [['image.uploaded', () => 9, () => ({image: `products/${number}.jpg`, sizes: [160, 320, 640]})]]),
    publisher(shop, 'importer 1.1.0 @ batch-1', [['import.products', () => 90, small]]),
  ];
}

// Eight pages: the name of the picture, the address, and what is done before it is taken.
const PAGES = [
  ['overview', '/overview?range=1m'],
  ['queues', '/queues?sort=-standing'],
  ['stuck', '/queues/%2F/thumbnails?range=1m'],
  ['messages', '/queues/%2F/dead.letters?part=messages'],
  ['route', '/exchanges/%2F/shop?part=route&key=order.eu.paid'],
  ['connections', '/connections?sort=state'],
  ['consumers', '/consumers?sort=-unacknowledged_for_ms'],
  ['policies', '/policies', async (page) => {
    await page.getByRole('button', {name: 'Add a policy…'}).click();
    await page.locator('#y-name').fill('orders-dead-letters');
    await page.locator('#y-pattern').fill('^(orders|invoices)');
    await page.locator('#y-definition').fill('{\n  "dead-letter-exchange": "dead",\n  "delivery-limit": 5\n}');
    await page.locator('dialog .preview strong').first().waitFor();
  }],
];

const browser = await Browser.start(process.env.LEVERET_URL);
const shop = {isOpen: true, clients: [], work: []};
try {
  mkdirSync(OUT, {recursive: true});
  await build(browser.api);
  await open(shop);
  await pause(OPEN_MS);
  for (const look of LOOKS.filter(({size}) => size === WIDE)) {
    const {scheme} = look;
    browser.look = look;
    const window = await browser.open({user: USER});
    await window.goto('/overview');
    for (const [name, path, act] of PAGES) {
      await window.follow(path);
      // Charts have what they show, and rates are told.
      await pause(2500);
      await act?.(window.page);
      await window.page.screenshot({path: join(OUT, `${name}-${scheme}.png`)});
      console.log(`${name}-${scheme}`);
      await window.page.keyboard.press('Escape');
    }
    console.log(window.wrong);
  }
} finally {
  shop.isOpen = false;
  await Promise.allSettled(shop.clients.map((client) => client.close()));
  await browser.close();
}
