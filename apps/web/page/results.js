// The table of all answers, and its files.
import { at, element, save } from "./elements.js";

/** A row as one line of cells, by name. */
function flat(row) {
  const cells = { file: row.file };
  if ("error" in row) return { ...cells, error: row.error };
  if (row.labels) cells.labels = row.labels.map(({ label }) => label).join(";");
  for (const [name, value] of Object.entries(row)) {
    if (["string", "number"].includes(typeof value)) cells[name] = value;
  }
  if (row.size) [cells.width, cells.height] = row.size;
  return cells;
}

/** A cell of CSV (RFC 4180); what a spreadsheet would take for a formula begins with an apostrophe. */
function cell(value) {
  const text = typeof value === "number" ? String(value) : String(value ?? "").replace(/^[=+\-@\t\r]/, "'$&");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export class Results {
  /** @param {(row: object) => string} said what is said of a row in words. */
  constructor(said) {
    this.said = said;
    this.rows = [];
    at("as-json").addEventListener("click", () =>
      save(new Blob([this.json()], { type: "application/json" }), "answers.json"),
    );
    at("as-csv").addEventListener("click", () => save(new Blob([this.csv()], { type: "text/csv" }), "answers.csv"));
    at("forget").addEventListener("click", () => this.clear());
  }

  /** Add {"file", ...} or {"file", "error"}; `kept` gives a button that saves what was made. */
  add(row, kept = null) {
    this.rows.push(row);
    if (!at("table").tHead.rows.length) {
      const names = ["file", "answer", ...(kept ? ["result"] : [])];
      at("table").tHead.append(
        element(
          "tr",
          {},
          names.map((name) => element("th", { scope: "col", text: name })),
        ),
      );
    }
    const said = "error" in row ? row.error : this.said(row);
    const cells = [element("td", { text: row.file }), element("td", { text: said })];
    if (kept)
      cells.push(
        element("td", {}, [
          element("button", {
            type: "button",
            text: "Save",
            click: kept,
            "aria-label": `Save the result of ${row.file}`,
          }),
        ]),
      );
    at("table").tBodies[0].append(element("tr", { class: "error" in row ? "bad" : null }, cells));
    at("rows").hidden = false;
  }

  clear() {
    this.rows = [];
    at("table").tHead.replaceChildren();
    at("table").tBodies[0].replaceChildren();
    at("rows").hidden = true;
    at("choose").focus();
  }

  json() {
    return `${JSON.stringify(this.rows, null, 1)}\n`;
  }

  csv() {
    const lines = this.rows.map(flat);
    const names = [...new Set(lines.flatMap((line) => Object.keys(line)))];
    return [names, ...lines.map((line) => names.map((name) => line[name]))]
      .map((line) => `${line.map(cell).join(",")}\r\n`)
      .join("");
  }
}
