// Parts of the page.

/** The element of an id. */
export const at = (id) => document.getElementById(id);

/**
 * A new element.
 * @param {string} name of its tag.
 * @param {object} attributes "text" is its text, functions are called on events, other values are attributes.
 * @param {Node[]} children
 */
export function element(name, attributes = {}, children = []) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") made.textContent = value;
    else if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/**
 * Scores as bars, the best first.
 * @param {{label: string, score: number}[]} scores 0..1.
 */
export function bars(scores) {
  return element(
    "ol",
    { class: "bars" },
    scores.map(({ label, score }) => {
      const fill = element("div", { class: "fill" });
      fill.style.width = `${100 * score}%`;
      return element("li", {}, [
        element("span", { text: label }),
        element("span", { text: `${(100 * score).toFixed(1)} %` }),
        element("div", { class: "track", "aria-hidden": "true" }, [fill]),
      ]);
    }),
  );
}

/** A canvas or another element with words under it. */
export function figure(content, words, kind = "") {
  return element("figure", { class: kind }, [content, element("figcaption", { text: words })]);
}

/** Let the visitor keep a file. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Seconds for people: "12 s", "3 min". */
export function clock(seconds) {
  return seconds < 90 ? `${Math.max(1, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`;
}
