// Pixels of a canvas.

/**
 * What is drawn on a canvas, without alpha.
 * @param {CanvasRenderingContext2D|OffscreenCanvasRenderingContext2D} context
 * @returns {{data: Uint8Array, width: number, height: number, notes: string[]}} RGB.
 */
export function pixelsOf(context) {
  const { width, height } = context.canvas;
  const { data } = context.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4) {
    rgb[to++] = data[from];
    rgb[to++] = data[from + 1];
    rgb[to++] = data[from + 2];
  }
  return { data: rgb, width, height, notes: [] };
}
