// What is in the broker before the first page is looked at: users of every kind, and names of every kind.

// Shown as they are, and do nothing.
export const NAMES = [
  'orders.eu',
  '<img src=x onerror=alert(1)>',
  '"><script>alert(1)</script>',
  "' onmouseover='alert(1)",
  'שלום עולם',
  'a\u202ebc',
  '🐇 hare',
  '  two blanks  ',
  '{{page}} ${1}',
  'x'.repeat(255),
];

export const USERS = {
  monitoring: 'page-monitoring',
  management: 'page-management',
  policymaker: 'page-policymaker',
  plain: 'page-plain',
};

// Somebody with rights to some names, and to nothing in another vhost that monitoring sees.
export const ORDERS = 'page-orders';
export const FOREIGN = 'page-foreign';

export async function prepare(api) {
  for (const [tag, name] of Object.entries(USERS)) {
    const tags = tag === 'plain' ? '' : tag;
    await api.put(`users/${name}`, {password: name, tags});
    await api.put(`permissions/%2F/${name}`, {configure: '.*', write: '.*', read: '.*'});
  }
  await api.put(`users/${ORDERS}`, {password: ORDERS, tags: 'management'});
  await api.put(`permissions/%2F/${ORDERS}`, {configure: '', write: '^orders\\.', read: '(?i)^(ORDERS\\.|page orders\\.)'});
  await api.put(`vhosts/${FOREIGN}`);
  await api.put(`permissions/${FOREIGN}/guest`, {configure: '.*', write: '.*', read: '.*'});
  await api.put(`queues/${FOREIGN}/foreign`, {durable: true});
  for (const name of NAMES) {
    await api.put(`queues/%2F/${encodeURIComponent(name)}`, {durable: true});
    const exchange = `page ${name}`.slice(0, 255);
    await api.put(`exchanges/%2F/${encodeURIComponent(exchange)}`, {type: 'topic', durable: true});
    await api.post(`bindings/%2F/e/${encodeURIComponent(exchange)}/q/${encodeURIComponent(name)}`, {
      routing_key: name.slice(0, 200),
    });
  }
  const message = {
    properties: {delivery_mode: 2, headers: {markup: '<b>bold</b>'}},
    routing_key: 'orders.eu',
    payload: '<i>text</i>',
    payload_encoding: 'string',
  };
  for (let n = 0; n < 5; n += 1) await api.post('exchanges/%2F/amq.default/publish', message);
}
