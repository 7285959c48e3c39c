// Learns a head in a thread of its own. Takes {features, truth, labels, folds}, gives {progress} and {found} or {error}.
import { learned } from "./head.js";

self.onmessage = ({ data: { features, truth, labels, folds } }) => {
  try {
    self.postMessage({ found: learned(features, truth, labels, folds, (progress) => self.postMessage({ progress })) });
  } catch (error) {
    self.postMessage({ error: error.message });
  }
};
