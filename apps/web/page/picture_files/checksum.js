/**
 * Checksum of a part of a PNG (CRC-32, ISO 3309).
 *
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {number} end
 * @returns {number} 0..2^32 - 1.
 */
export function checksum(bytes, start, end) {
  let value = ~0;
  for (let at = start; at < end; at++) value = TABLE[(value ^ bytes[at]) & 255] ^ (value >>> 8);
  return ~value >>> 0;
}

const TABLE = Int32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});
