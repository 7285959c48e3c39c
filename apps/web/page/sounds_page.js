export function soundsPage() {
  throw new Error("no sounds yet");
}
