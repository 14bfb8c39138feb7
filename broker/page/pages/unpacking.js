/**
 * Bodies that were packed before they were published, unpacked to be looked at: as far as they were told, and
 * never more than so much. Knows no DOM.
 *
 * @module
 */

/** What is unpacked at most: a few octets can stand for a gigabyte. */
const UNPACKED_MAX = 262_144;

/** @typedef {{bytes: Uint8Array, isWhole: boolean}} Unpacked */

/**
 * @param {{properties: any}} message
 * @param {Uint8Array} bytes
 * @returns {'gzip' | 'deflate' | null} How it is packed, as far as a browser can tell and unpack.
 */
export function packing({properties}, bytes) {
  const said = String(properties?.content_encoding ?? '').toLowerCase();
  if (said === 'deflate') return 'deflate';
  const looks = bytes.length > 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
  return looks ? 'gzip' : null;
}

/**
 * @param {Uint8Array} bytes
 * @param {'gzip' | 'deflate'} how
 * @returns {Promise<Unpacked | null>} Null if nothing comes of it: it is not packed so.
 */
export async function unpacked(bytes, how) {
  const stream = new Blob([/** @type {BlobPart} */ (bytes)]).stream().pipeThrough(new DecompressionStream(how));
  const reader = stream.getReader();
  const kept = new Uint8Array(UNPACKED_MAX);
  let length = 0;
  let isWhole = false;
  try {
    for (;;) {
      const {done, value} = await reader.read();
      if (done) {
        isWhole = true;
        break;
      }
      const part = value.subarray(0, UNPACKED_MAX - length);
      kept.set(part, length);
      length += part.length;
      if (part.length < value.length) break;
    }
  } catch {
    // It was cut, or is damaged further on: what came before that counts.
  }
  await reader.cancel().catch(() => {});
  return length === 0 && !isWhole ? null : {bytes: kept.subarray(0, length), isWhole};
}
