// The classes: a card for each, with its examples.
import { element } from "../elements.js";
import { dropped, nameOf, sorted } from "../sources.js";
import { capture } from "./capture.js";
import { digest } from "./folds.js";

const SHOWN = 24; // thumbnails of a class
const FIRST = 2; // cards of a new page

/** Examples of each class that its file is tried on. */
export const PROVED = 4;

let last = 0;

/** One class: its name and its examples, {rows, content, again, small: Element}: features, a digest of the content, and
 * what gives the raw example once more, or null. */
export class Card {
  /** @param {object} classes as `Classes`. @param {string} name */
  constructor(classes, name) {
    this.classes = classes;
    this.examples = [];
    this.faults = [];
    last += 1;
    this.input = element("input", { id: `name-${last}`, value: name, maxlength: "80", autocomplete: "off" });
    this.input.addEventListener("input", () => classes.changed());
    this.count = element("p", { class: "note count" });
    this.list = element("ul", { class: "examples" });
    const files = chooser({ accept: document.getElementById("files").accept, multiple: true });
    const folder = chooser({ webkitdirectory: true, multiple: true });
    for (const one of [files, folder]) {
      one.addEventListener("change", () => {
        const chosen = [...one.files];
        one.value = "";
        classes.add(this, one === folder ? sorted(chosen) : chosen);
      });
    }
    const button = (text, click, attributes = {}) => element("button", { type: "button", text, click, ...attributes });
    const source = classes.medium.source(name, (example) => classes.add(this, [example]));
    const device = button(source.device, () => {}, { "aria-pressed": "false" });
    const box = element("div", { class: "capture", hidden: true });
    this.box = element("li", { class: "class drop" }, [
      element("label", { for: this.input.id, text: "Name of the class" }),
      this.input,
      element("p", { class: "note", text: classes.medium.words.drop }),
      element("div", { class: "buttons" }, [
        button("Choose files", () => files.click()),
        button("Choose a folder", () => folder.click()),
        device,
        button("Remove the class", () => classes.remove(this)),
      ]),
      files,
      folder,
      box,
      this.count,
      this.list,
    ]);
    for (const one of this.box.querySelectorAll("button")) this.#described(one);
    this.off = capture(box, device, source, (error) => classes.told(error.message));
    this.#droppable();
    this.show();
  }

  /** The class's name. */
  get name() {
    return this.input.value.trim();
  }

  /** Say of a button which class it belongs to. */
  #described(button) {
    button.setAttribute("aria-describedby", this.input.id);
  }

  #droppable() {
    const { box } = this;
    box.addEventListener("dragover", (event) => {
      event.preventDefault();
      event.stopPropagation();
      box.classList.add("over");
    });
    box.addEventListener("dragleave", (event) => {
      if (!box.contains(event.relatedTarget)) box.classList.remove("over");
    });
    box.addEventListener("drop", async (event) => {
      event.preventDefault();
      event.stopPropagation();
      box.classList.remove("over");
      this.classes.add(this, await dropped(event.dataTransfer));
    });
  }

  /** Show how many examples there are, and the newest of them. */
  show() {
    const { length } = this.examples;
    const faults = this.faults.length ? `; left out: ${this.faults.slice(-3).join("; ")}` : "";
    this.count.textContent = `${length} ${length === 1 ? "example" : "examples"}${faults}`;
    this.list.replaceChildren(
      ...this.examples.slice(-SHOWN).map((one, place) => {
        const number = Math.max(length - SHOWN, 0) + place + 1;
        const remove = () => this.remove(one);
        const words = `Remove example ${number} of ${this.name}`;
        return element("li", {}, [
          element("button", { type: "button", title: words, "aria-label": words, click: remove }, [one.small]),
        ]);
      }),
    );
  }

  remove(example) {
    this.examples = this.examples.filter((one) => one !== example);
    this.show();
    this.classes.changed();
    this.input.focus();
    this.classes.told(`${this.name}: ${this.count.textContent}`);
  }
}

function chooser(attributes) {
  return element("input", { type: "file", hidden: true, tabindex: "-1", "aria-label": "Files", ...attributes });
}

export class Classes {
  /**
   * @param {HTMLElement} list where the cards stand.
   * @param {object} medium as `Pictures` or `Sounds`.
   * @param {(things: object[], one: Function) => Promise<void>} queue does things one after the other.
   * @param {{changed: () => void, told: (words: string) => void}} heard
   */
  constructor(list, medium, queue, { changed, told }) {
    Object.assign(this, { list, medium, queue, changed, told });
    this.cards = [];
    for (let number = 1; number <= FIRST; number++) this.create();
  }

  /** A new card. */
  create(name = `Class ${this.cards.length + 1}`) {
    const card = new Card(this, name);
    this.cards.push(card);
    this.list.append(card.box);
    this.changed();
    return card;
  }

  remove(card) {
    card.off();
    const place = this.cards.indexOf(card);
    this.cards.splice(place, 1);
    card.box.remove();
    this.changed();
    this.told(`${card.name} is removed, ${this.cards.length} classes are left`);
    (this.cards[Math.min(place, this.cards.length - 1)]?.input ?? document.getElementById("create")).focus();
  }

  /**
   * Take examples.
   * @param {Card} card @param {(File|object)[]} given files, or examples as the camera or microphone gives them.
   */
  add(card, given) {
    if (!given.length) return null;
    return this.queue(given, async (one) => {
      if (!this.cards.includes(card)) return;
      const file = one instanceof Blob;
      try {
        const read = () => (file ? this.medium.read(one) : Promise.resolve(one));
        const example = await read();
        const rows = await this.medium.rows(example);
        const small = this.medium.small(example);
        const again = file || card.examples.length < PROVED ? read : null; // frames take memory, files none
        card.examples.push({ rows, content: digest(this.medium.content(example)), again, small });
      } catch (error) {
        card.faults.push(`${file ? nameOf(one) : `a ${this.medium.words.single}`}: ${error.message}`);
      }
      card.show();
      this.changed();
    }).then(() => this.told(`${card.name}: ${card.count.textContent}`));
  }

  /** A card for each folder within a chosen folder, with the files in it. */
  fill(files) {
    const groups = new Map();
    for (const file of files) groups.set(folderOf(file), [...(groups.get(folderOf(file)) ?? []), file]);
    for (const [name, own] of groups) {
      const known = this.cards.find((card) => card.name === name);
      const empty = this.cards.find((card) => !card.examples.length && /^Class \d+$/.test(card.name) && !card.waits);
      const card = known ?? empty ?? this.create(name);
      card.input.value = name;
      card.waits = true;
      this.add(card, own)?.then(() => {
        card.waits = false;
      });
    }
  }
}

/** The name of the folder that a file lies in. */
function folderOf(file) {
  const parts = nameOf(file).split("/");
  return parts.length > 1 ? parts[parts.length - 2] : "Class 1";
}
