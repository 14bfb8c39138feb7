// A client that sends octets as they are: what libraries of clients would not let through.

import {connect} from 'node:net';

const u8 = (value) => Buffer.from([value]);
const u16 = (value) => Buffer.from([value >> 8, value & 255]);
const u32 = (value) => Buffer.concat([u16(value >>> 16), u16(value & 0xffff)]);
const u64 = (value) => Buffer.concat([u32(0), u32(value)]);
const short = (bytes) => Buffer.concat([u8(Buffer.from(bytes).length), Buffer.from(bytes)]);
const long = (bytes) => Buffer.concat([u32(Buffer.from(bytes).length), Buffer.from(bytes)]);
const table = (fields) => long(Buffer.concat(fields.map(([name, value]) => Buffer.concat([short(name), Buffer.from('S'), long(value)]))));

function frame(type, channel, payload) {
  return Buffer.concat([u8(type), u16(channel), u32(payload.length), payload, u8(0xce)]);
}

const method = (channel, type, id, ...rest) => frame(1, channel, Buffer.concat([u16(type), u16(id), ...rest]));

// A connection with a channel. Names and properties are octets.
export class RawClient {
  static async open(url, {name}) {
    const client = new RawClient(new URL(url));
    await client.begin(name);
    return client;
  }

  constructor({hostname, port}) {
    this.socket = connect(Number(port), hostname);
    this.socket.on('error', () => {});
    // A test that has failed does not wait for it.
    this.socket.unref();
    this.socket.setTimeout(10_000, () => this.socket.destroy());
    this.read = Buffer.alloc(0);
    this.waiting = null;
    this.socket.on('data', (data) => {
      this.read = Buffer.concat([this.read, data]);
      this.waiting?.();
    });
    this.socket.on('close', () => this.waiting?.());
  }

  // The class and method of the next method that comes, and what is in it; null at the end.
  async next() {
    for (;;) {
      if (this.read.length >= 7 && this.read.length >= this.read.readUInt32BE(3) + 8) {
        const size = this.read.readUInt32BE(3);
        const [type, payload] = [this.read[0], this.read.subarray(7, 7 + size)];
        this.read = this.read.subarray(size + 8);
        if (type === 1) return {id: `${payload.readUInt16BE(0)}.${payload.readUInt16BE(2)}`, rest: payload.subarray(4)};
        continue;
      }
      if (this.socket.closed) return null;
      await new Promise((told) => {
        this.waiting = told;
      });
    }
  }

  async ask(...frames) {
    this.socket.write(Buffer.concat(frames));
    return this.next();
  }

  async begin(name) {
    await this.ask(Buffer.from('AMQP\0\0\x09\x01', 'latin1'));
    const plain = long('\0guest\0guest');
    await this.ask(method(0, 10, 11, table([['connection_name', name], ['product', Buffer.from([0xff, 60, 98, 62])]]), short('PLAIN'), plain, short('en_US')));
    this.socket.write(method(0, 10, 31, u16(2047), u32(131_072), u16(0)));
    await this.ask(method(0, 10, 40, short('/'), short(''), u8(0)));
    await this.ask(method(1, 20, 10, short('')));
  }

  // Headers and the type, 0x2020, as bits of properties.
  publish({exchange = '', key, headers, type, body}) {
    const properties = Buffer.concat([u16(0x2020), table(headers), short(type)]);
    this.socket.write(Buffer.concat([
      method(1, 60, 40, u16(0), short(exchange), short(key), u8(0)),
      frame(2, 1, Buffer.concat([u16(60), u16(0), u64(body.length), properties])),
      frame(3, 1, Buffer.from(body)),
    ]));
  }

  declare(queue) {
    return this.ask(method(1, 50, 10, u16(0), short(queue), u8(0), u32(0)));
  }

  consume(queue, tag) {
    return this.ask(method(1, 60, 20, u16(0), short(queue), short(tag), u8(0), u32(0)));
  }

  // Waits until all that was sent was read.
  settled() {
    return this.ask(method(1, 60, 10, u32(0), u16(0), u8(0)));
  }

  close() {
    this.socket.destroy();
  }
}
