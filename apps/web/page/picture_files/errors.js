/** A file that gives no picture; its message is one line for the visitor: what is wrong, and what to do instead. */
export class PictureError extends Error {
  name = "PictureError";
}

/** The error for a file that ends too early or whose content contradicts itself. */
export function damaged(name, reason) {
  return new PictureError(`${name} is cut or damaged (${reason}); replace it with a complete copy`);
}
