/** From several channels to one: their mean, after those that run against the others are turned over.
 *
 * Where one channel is the other one with its sign changed (a wire the wrong way round, a balanced signal as stereo),
 * the mean is silence. Channels that agree or have nothing to do with each other are averaged as they are.
 */

/** A correlation below this means that a channel runs against another: their mean would lose 7 dB or more. */
const OPPOSED = -0.6;

/** Of less sound nothing is concluded. */
const LEAST_SECONDS = 0.1;

/** Which channels are turned over.
 *
 * @param {Float32Array[]} channels samples of each, of one length.
 * @param {number} rate Hz.
 * @returns {number[]} -1 for those to be turned over, else 1. From the loudest channel down, each is compared with the
 *   one before it that it is most like.
 */
export function signs(channels, rate) {
  const found = channels.map(() => 1);
  const number = channels[0].length;
  if (channels.length === 1 || number < LEAST_SECONDS * rate) return found;
  const sums = channels.map((samples) => samples.reduce((sum, value) => sum + value, 0));
  const covariance = channels.map(() => []);
  channels.forEach((one, row) => {
    for (let column = 0; column <= row; column++) {
      const value = product(one, channels[column]) - (sums[row] * sums[column]) / number;
      covariance[row][column] = value;
      covariance[column][row] = value;
    }
  });
  const deviation = covariance.map((row, place) => Math.sqrt(Math.max(row[place], 0)));
  const greatest = Math.max(...deviation) ** 2;
  const likeness = (one, other) => {
    const scale = deviation[one] * deviation[other];
    return scale > 1e-9 * greatest ? covariance[one][other] / scale : 0;
  };
  const order = channels.map((_, place) => place);
  order.sort((one, other) => deviation[other] - deviation[one] || one - other);
  order.slice(1).forEach((channel, before) => {
    let most = 0;
    for (const other of order.slice(0, before + 1)) {
      const like = likeness(channel, other) * found[other];
      if (Math.abs(like) > Math.abs(most)) most = like;
    }
    found[channel] = most < OPPOSED ? -1 : 1;
  });
  return found;
}

/** The mean of channels, each with its sign, in float32 arithmetic.
 *
 * @param {Float32Array[]} channels samples of each, of one length.
 * @param {number[]} signs as of the function of this name.
 * @returns {Float32Array}
 */
export function mixed(channels, signs) {
  if (channels.length === 1) return channels[0];
  const mono = new Float32Array(channels[0].length);
  channels.forEach((samples, channel) => {
    for (let at = 0; at < mono.length; at++) mono[at] += signs[channel] * samples[at];
  });
  for (let at = 0; at < mono.length; at++) mono[at] /= channels.length;
  return mono;
}

/** What is said of a sound some of whose channels are turned over; null where none is. */
export function opposed(signs) {
  const numbers = signs.flatMap((sign, channel) => (sign < 0 ? [channel + 1] : []));
  if (!numbers.length) return null;
  const which = `channel ${numbers.join(", ")} of ${signs.length}`;
  return `${which} has the opposite sign of another; it is turned over before averaging`;
}

function product(one, other) {
  let sum = 0;
  for (let at = 0; at < one.length; at++) sum += one[at] * other[at];
  return sum;
}
