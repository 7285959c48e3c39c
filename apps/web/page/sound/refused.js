/** A sound that cannot be used; the message is one line that follows the sound's name: "is empty (0 bytes); ...". */
export class Refused extends Error {}
