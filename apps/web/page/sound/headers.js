/** What the headers of compressed sounds say of their sample rate, which browsers do not tell. */

/** Opus decodes at this rate, Hz, whatever was recorded (RFC 7845, section 5.1). */
const OPUS_RATE = 48_000;

/** MPEG audio: Hz by version (2.5, -, 2, 1) and index (ISO/IEC 11172-3, 13818-3). */
const MPEG_RATES = [[11_025, 12_000, 8_000], null, [22_050, 24_000, 16_000], [44_100, 48_000, 32_000]];

/** ADTS of AAC: Hz by index (ISO/IEC 14496-3, table 1.16). */
const AAC_RATES = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
];

const UNKNOWN = { format: "", rate: 0, decode: OPUS_RATE, complete: true, samples: null, bits: null, vorbis: false };

/** A compressed sound's format, rate and completeness.
 *
 * @param {Uint8Array} bytes of the whole file.
 * @returns {{format: string, rate: number, decode: number, complete: boolean, samples: ?number, bits: ?number, vorbis:
 *   boolean}}
 *   "FLAC", "Ogg", "MP3", "AAC", "MP4", "WebM" or "" where it is none of these; Hz that the header says, 0 where it
 *   says none; Hz to decode at; whether its end is there, as far as can be seen; how many samples a channel has and how
 *   many bits a sample, where the header says so; whether it is Vorbis.
 */
export function header(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = afterTags(bytes);
  for (const [format, look] of LOOKS) {
    const found = look(bytes, view, start);
    if (found) {
      const rate = found.rate || 0;
      return { ...UNKNOWN, decode: rate || OPUS_RATE, ...found, format, rate };
    }
  }
  return UNKNOWN;
}

/** Where what comes after ID3 tags begins. */
function afterTags(bytes) {
  let at = 0;
  while (is(bytes, at, "ID3") && at + 10 <= bytes.length) {
    at += 10 + bytes.slice(at + 6, at + 10).reduce((sum, value) => sum * 128 + (value & 0x7f), 0);
  }
  return at;
}

/** STREAMINFO comes first (RFC 9639, section 8.2). */
function flac(bytes, view, at) {
  if (!is(bytes, at, "fLaC") || at + 42 > bytes.length) return null;
  const info = at + 8;
  const high = view.getUint32(info + 10);
  const samples = (bytes[info + 13] & 0x0f) * 2 ** 32 + view.getUint32(info + 14);
  return { rate: high >>> 12, bits: ((high >>> 4) & 0x1f) + 1, samples: samples || null };
}

/** Whether the check sums of a FLAC file's frames hold (RFC 9639, section 9.3), which browsers pass over.
 *
 * @param {Uint8Array} bytes of the whole file.
 */
export function intact(bytes) {
  let at = afterTags(bytes) + 4;
  let last = false;
  while (!last && at + 4 <= bytes.length) {
    last = bytes[at] >= 0x80;
    at += 4 + bytes[at + 1] * 2 ** 16 + bytes[at + 2] * 2 ** 8 + bytes[at + 3];
  }
  const end = is(bytes, bytes.length - 128, "TAG") ? bytes.length - 128 : bytes.length;
  let sum = 0;
  for (; at < end; at++) {
    sum = ((sum << 8) & 0xffff) ^ CRC_16[(sum >> 8) ^ bytes[at]]; // 0 after a frame with its own sum
  }
  return sum === 0;
}

/** Of x^16 + x^15 + x^2 + 1. */
const CRC_16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let sum = byte << 8;
  for (let bit = 0; bit < 8; bit++) sum = (sum << 1) ^ (sum & 0x8000 ? 0x18005 : 0);
  return sum;
});

/** The first page holds the codec's header, the last one has a flag (RFC 3533, section 6). */
function ogg(bytes, view) {
  if (!is(bytes, 0, "OggS") || bytes.length < 28) return null;
  const packet = 27 + bytes[26];
  const last = lastPage(bytes);
  const complete = last >= 0 && Boolean(bytes[last + 5] & 4);
  if (is(bytes, packet, "\x01vorbis") && packet + 16 <= bytes.length) {
    return { rate: view.getUint32(packet + 12, true), complete, vorbis: true };
  }
  if (is(bytes, packet, "OpusHead") && packet + 16 <= bytes.length) {
    const told = view.getUint32(packet + 12, true); // of what was recorded; libsndfile names one of Opus's own
    const rate = [8_000, 12_000, 16_000, 24_000].find((one) => told > 0 && told <= one) ?? OPUS_RATE;
    return { rate, decode: OPUS_RATE, complete };
  }
  const stream = is(bytes, packet, "\x7fFLAC") ? flac(bytes, view, packet + 9) : null;
  return { ...stream, samples: null, complete };
}

/** A whole Ogg Vorbis file whose end is not marked as such, and the samples that its end leaves of what is decoded:
 * Chromium 150 leaves out the whole last block where only a part of it belongs to the sound.
 *
 * @param {Uint8Array} bytes of a complete file.
 * @returns {{bytes: Uint8Array, samples: number}}
 */
export function openEnded(bytes) {
  const at = lastPage(bytes);
  const open = bytes.slice();
  const page = new DataView(open.buffer, at);
  open[at + 5] &= ~4;
  page.setUint32(22, 0);
  let sum = 0;
  for (const byte of open.subarray(at)) {
    sum ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) sum = (sum << 1) ^ (sum < 0 ? 0x04c11db7 : 0);
  }
  page.setInt32(22, sum, true);
  return { bytes: open, samples: Number(page.getBigInt64(6, true)) };
}

/** Where the last page begins, whose header has 27 bytes; -1 where there is none. */
function lastPage(bytes) {
  for (let at = bytes.length - 27; at >= Math.max(bytes.length - 65_307, 0); at--) {
    if (is(bytes, at, "OggS")) return at;
  }
  return -1;
}

/** The rate of an MP4's first track of sound: the time scale of its mdhd, or the mp4a sample entry. */
function mp4(bytes, view) {
  if (!is(bytes, 4, "ftyp")) return null;
  const moov = boxes(bytes, view, 0, bytes.length).find((box) => box.name === "moov");
  for (const track of boxes(bytes, view, moov?.start, moov?.end).filter((box) => box.name === "trak")) {
    const media = boxes(bytes, view, track.start, track.end).find((box) => box.name === "mdia");
    const inside = boxes(bytes, view, media?.start, media?.end);
    const handler = inside.find((box) => box.name === "hdlr");
    const head = inside.find((box) => box.name === "mdhd");
    if (!handler || !head || !is(bytes, handler.start + 8, "soun")) continue;
    const at = head.start + (bytes[head.start] === 1 ? 20 : 12);
    if (at + 4 <= bytes.length) return { rate: view.getUint32(at) };
  }
  return { complete: Boolean(moov) };
}

function boxes(bytes, view, start = 0, end = 0) {
  const found = [];
  for (let at = start; at + 8 <= end;) {
    let [length, front] = [view.getUint32(at), 8];
    if (length === 1 && at + 16 <= end) [length, front] = [Number(view.getBigUint64(at + 8)), 16];
    if (length === 0) length = end - at;
    if (length < front || at + length > end) break;
    found.push({ name: String.fromCharCode(...bytes.slice(at + 4, at + 8)), start: at + front, end: at + length });
    at += length;
  }
  return found;
}

/** The SamplingFrequency element (0xB5), a float of 4 or 8 bytes; Opus decodes at its own rate. */
function webm(bytes, view) {
  if (bytes.length < 4 || view.getUint32(0) !== 0x1a45dfa3) return null;
  const head = Math.min(bytes.length - 10, 4_096);
  for (let at = 0; at < head; at++) {
    if (bytes[at] !== 0xb5 || ![0x84, 0x88].includes(bytes[at + 1])) continue;
    const rate = bytes[at + 1] === 0x84 ? view.getFloat32(at + 2) : view.getFloat64(at + 2);
    if (Number.isInteger(rate) && rate >= 1_000 && rate <= 1_000_000) return { rate };
  }
  return {};
}

function aac(bytes, view, at) {
  if (at + 7 > bytes.length || (view.getUint16(at) & 0xfff6) !== 0xfff0) return null;
  return { rate: AAC_RATES[(bytes[at + 2] >> 2) & 0x0f] };
}

/** The first two frames that follow each other. */
function mp3(bytes, view, start) {
  const end = Math.min(bytes.length - 4, start + 65_536);
  for (let at = start; at <= end; at++) {
    const first = frame(view, at);
    if (!first) continue;
    const next = at + first.length;
    if (next + 4 > bytes.length || frame(view, next)?.rate === first.rate) {
      return { rate: first.rate, samples: told(bytes, view, at, first) };
    }
  }
  return null;
}

/** A frame's header: {rate, length in bytes, samples, side: bytes of side information}, null where there is none. */
function frame(view, at) {
  const head = view.getUint32(at);
  const [version, layer] = [(head >>> 19) & 3, (head >>> 17) & 3];
  const [bitrate, index] = [(head >>> 12) & 15, (head >>> 10) & 3];
  if (head >>> 21 !== 0x7ff || version === 1 || layer !== 1) return null;
  if (bitrate === 0 || bitrate === 15 || index === 3) return null;
  const rate = MPEG_RATES[version][index];
  const kilobits = version === 3 ? KILOBITS_1[bitrate] : KILOBITS_2[bitrate];
  const length = Math.floor(((version === 3 ? 144_000 : 72_000) * kilobits) / rate) + ((head >>> 9) & 1);
  const side = SIDE_BYTES[Number(version === 3)][Number(((head >>> 6) & 3) === 3)];
  return { rate, length, samples: version === 3 ? 1_152 : 576, side };
}

/** How many samples the first frame says that there are, if it is one of Xing's or LAME's; an estimate. */
function told(bytes, view, at, first) {
  const tag = at + 4 + first.side;
  if (!(is(bytes, tag, "Xing") || is(bytes, tag, "Info")) || tag + 12 > bytes.length) return null;
  return bytes[tag + 7] & 1 ? Math.max(view.getUint32(tag + 8) * first.samples - MP3_LEEWAY, 0) : null;
}

/** Of a frame's side information in MPEG 2 and 1: with two channels, with one. */
const SIDE_BYTES = [
  [17, 9],
  [32, 17],
];

/** Samples that an MP3 may be shorter than its first frame says. */
const MP3_LEEWAY = 8_192;

const KILOBITS_1 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const KILOBITS_2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

const LOOKS = [
  ["FLAC", flac],
  ["Ogg", ogg],
  ["MP4", mp4],
  ["WebM", webm],
  ["AAC", aac],
  ["MP3", mp3],
];

function is(bytes, at, text) {
  for (let place = 0; place < text.length; place++) {
    if (bytes[at + place] !== text.charCodeAt(place)) return false;
  }
  return true;
}
