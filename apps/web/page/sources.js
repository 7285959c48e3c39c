// Where files come from: drop, paste, choose, a folder.
import { at } from "./elements.js";

/**
 * Call `given` with the files that the visitor brings, in the order of their names within a folder.
 * @param {(files: File[]) => void} given
 */
export function listen(given) {
  for (const [button, input] of [
    ["choose", "files"],
    ["choose-folder", "folder"],
  ]) {
    at(button).addEventListener("click", () => at(input).click());
    at(input).addEventListener("change", () => {
      const files = [...at(input).files];
      at(input).value = "";
      if (files.length) given(input === "folder" ? sorted(files) : files);
    });
  }
  const drop = at("drop");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const files = await dropped(event.dataTransfer);
    if (files.length) given(files);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) given(files);
  });
}

/** The name of a file, within its folder where it came with one. */
export function nameOf(file) {
  return file.webkitRelativePath || file.within || file.name;
}

/** Files by name, without hidden ones. */
export function sorted(files) {
  const hidden = (file) =>
    nameOf(file)
      .split("/")
      .some((part) => part.startsWith("."));
  return files.filter((file) => !hidden(file)).sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

/** Files of a drop, those in folders, too. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = [];
  const waiting = entries;
  while (waiting.length) {
    const entry = waiting.shift();
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      file.within = entry.fullPath.replace(/^\//, "");
      found.push(file);
    } else {
      const reader = entry.createReader();
      for (;;) {
        const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!part.length) break;
        waiting.push(...part);
      }
    }
  }
  return sorted(found);
}
