/** Runs where sound is heard: hands on what the microphone gives, mono, in blocks. */

const BLOCK = 2048; // samples

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(BLOCK);
    this.filled = 0;
    this.running = true;
    this.port.onmessage = () => {
      this.running = false;
      this.port.postMessage({ block: this.block.slice(0, this.filled), last: true });
    };
  }

  process([channels]) {
    if (!this.running) return false;
    const length = channels.length ? channels[0].length : 0;
    for (let at = 0; at < length; at++) {
      let sum = 0;
      for (const samples of channels) sum += samples[at];
      this.block[this.filled++] = sum / channels.length;
      if (this.filled === BLOCK) {
        this.port.postMessage({ block: this.block.slice(), last: false });
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
