// Exif orientation: where it stands in a JPEG, PNG or WebP, and what it asks for.

const ORIENTATION = 0x0112;
const BYTES = { 1: 1, 3: 2, 4: 4 }; // of the types BYTE, SHORT and LONG
const READ = { 1: "getUint8", 2: "getUint16", 4: "getUint32" };

/**
 * The orientation in an Exif block, a TIFF structure (Exif 2.3, 4.6.4).
 *
 * @param {Uint8Array} bytes the file.
 * @param {number} start where the block begins, with or without its prefix "Exif\0\0".
 * @param {number} end where it ends.
 * @returns {{turn: number, clear: function(): void} | null} turn is 1..8, and `clear` sets it to 1 in the file; null
 *   where none is given, or where the block is broken, which says nothing of the pixels.
 */
export function orientation(bytes, start, end) {
  const from = isExif(bytes, start) ? start + 6 : start;
  const view = new DataView(bytes.buffer, bytes.byteOffset + from, Math.max(0, Math.min(end, bytes.length) - from));
  try {
    const little = view.getUint16(0) === 0x4949;
    if (!little && view.getUint16(0) !== 0x4d4d) return null;
    const directory = view.getUint32(4, little);
    for (let entry = 0; entry < view.getUint16(directory, little); entry++) {
      const at = directory + 2 + 12 * entry;
      if (view.getUint16(at, little) !== ORIENTATION) continue;
      const size = BYTES[view.getUint16(at + 2, little)];
      if (!size || view.getUint32(at + 4, little) !== 1) return null;
      const place = little ? at + 8 : at + 8 + size - 1; // of the lowest byte
      const turn = view[READ[size]](at + 8, little);
      if (turn < 1 || turn > 8) return null;
      return { turn, clear: () => view.setUint8(place, 1) };
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return null;
}

/**
 * The orientation in a block of XMP, which counts where there is none in Exif; browsers do not look there.
 *
 * @param {Uint8Array} bytes the file. @param {number} start @param {number} end of the block.
 * @returns {{turn: number, clear: function(): void} | null} as `orientation`.
 */
export function orientationInXmp(bytes, start, end) {
  const text = new TextDecoder("latin1").decode(bytes.subarray(start, end));
  const found = /tiff:Orientation(?:="|>)([1-8])/.exec(text);
  if (!found) return null;
  const place = start + found.index + found[0].length - 1;
  return { turn: Number(found[1]), clear: () => (bytes[place] = 0x31) };
}

/** Whether an Exif block of a JPEG begins at a place of the file. */
export function isExif(bytes, start) {
  return [0x45, 0x78, 0x69, 0x66, 0, 0].every((value, place) => bytes[start + place] === value);
}

/**
 * Undo an orientation: 5 to 8 exchange rows and columns before they mirror.
 *
 * @param {{data: Uint8Array, width: number, height: number}} picture RGB.
 * @param {number} turn 1..8.
 * @returns {{data: Uint8Array, width: number, height: number}} the picture itself where turn is 1.
 */
export function upright(picture, turn) {
  if (turn === 1) return picture;
  const exchanged = turn >= 5;
  const width = exchanged ? picture.height : picture.width;
  const height = exchanged ? picture.width : picture.height;
  const data = new Uint8Array(picture.data.length);
  const upsideDown = [3, 4, 7, 8].includes(turn);
  const mirrored = [2, 3, 6, 7].includes(turn);
  let to = 0;
  for (let row = 0; row < height; row++) {
    const y = upsideDown ? height - 1 - row : row;
    for (let column = 0; column < width; column++, to += 3) {
      const x = mirrored ? width - 1 - column : column;
      const from = 3 * (exchanged ? x * picture.width + y : y * picture.width + x);
      data[to] = picture.data[from];
      data[to + 1] = picture.data[from + 1];
      data[to + 2] = picture.data[from + 2];
    }
  }
  return { data, width, height };
}
