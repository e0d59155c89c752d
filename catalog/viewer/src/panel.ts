/** The panel's upper part: which catalog, collection and year, which tiles there are, and what it all is. */

import { button, el, labelled, outward, paragraphs } from "./dom";
import { moveInList } from "./keyboard";
import type { Block, CatalogInfo, CollectionInfo, EmptyCell, TileYear } from "./model";
import { stacBrowser } from "./provenance";

/** What a person does with it. */
export interface PanelEvents {
  open: (address: string) => void;
  collection: (id: string) => void;
  year: (year: number) => void;
  tile: (tile: TileYear) => void;
  cell: (cell: string) => void;
  block: (block: Block) => void;
  streets: (on: boolean) => void;
}

/** Entries of a list that are shown at once; more would take longer to go through than to zoom in. */
const LISTED = 256;
const SEEN = " The map shows all.";

export class Panel {
  private readonly form: HTMLFormElement;
  private readonly address = el("input", { type: "text", inputmode: "url", required: true, placeholder: "https://…/catalog.json", autocomplete: "url" });
  private readonly collections = el("select");
  private readonly years = el("select");
  private readonly fields: HTMLElement;
  private readonly tiles = el("ul", { "aria-label": "Tiles", class: "tiles" });
  private readonly blocks = el("ul", { "aria-label": "Blocks", class: "tiles" });
  private readonly tilesPart: HTMLElement;
  private readonly blocksPart: HTMLDetailsElement;
  private readonly tilesNote = el("p", { class: "note" });
  private readonly blocksNote = el("p", { class: "note" });
  private readonly empty = el("details", { hidden: true });
  /** What `empty` lists. */
  private emptyTold = "";

  constructor(
    browse: HTMLElement,
    private readonly about: HTMLElement,
    private readonly events: PanelEvents,
  ) {
    this.form = this.openForm();
    this.fields = el(
      "div",
      { class: "row", hidden: true },
      labelled("Collection", this.collections, "collection"),
      labelled("Year", this.years, "year"),
    );
    this.collections.addEventListener("change", () => events.collection(this.collections.value));
    this.years.addEventListener("change", () => events.year(Number(this.years.value)));
    this.tilesPart = el(
      "section",
      { "aria-labelledby": "tiles-title", hidden: true },
      el("h2", { id: "tiles-title" }, "Tiles"),
      this.tilesNote,
      this.tiles,
      this.findForm(),
    );
    this.blocksPart = el("details", { hidden: true }, el("summary", {}, "Blocks of 16 x 16 cells"), this.blocksNote, this.blocks);
    for (const list of [this.tiles, this.blocks]) list.addEventListener("keydown", (event) => moveInList(list, event));
    browse.replaceChildren(this.form, this.fields, this.tilesPart, this.blocksPart, this.empty);
  }

  /** Show the form that opens another catalog. */
  askForCatalog(address: string | null, focus: boolean): void {
    this.form.hidden = false;
    if (address !== null) this.address.value = address;
    if (focus) this.address.focus();
  }

  hideForm(): void {
    this.form.hidden = true;
  }

  get asking(): boolean {
    return !this.form.hidden;
  }

  showCatalog(catalog: CatalogInfo, collection: CollectionInfo | null, year: number | null): void {
    options(this.collections, catalog.collections.map(({ id, title }) => [id, title]), collection?.id ?? null);
    options(this.years, (collection?.years ?? []).map((each) => [String(each), String(each)]), year === null ? null : String(year));
    this.fields.hidden = catalog.collections.length === 0;
    this.describe(catalog, collection);
  }

  /** Show tiles that were read and blocks in sight that were not. */
  showPlaces(tiles: readonly TileYear[], blocks: readonly Block[], chosen: string | null, note: string): void {
    const focused = this.tiles.contains(document.activeElement) ? document.activeElement?.textContent : null;
    this.tilesPart.hidden = false;
    this.tilesNote.textContent = note === "" ? cut(tiles.length, "tiles", SEEN) : note;
    this.blocksNote.textContent = cut(blocks.length, "blocks", SEEN);
    this.tiles.replaceChildren(...tiles.slice(0, LISTED).map((tile) => this.tileEntry(tile, chosen)));
    this.blocksPart.hidden = blocks.length === 0;
    this.blocks.replaceChildren(
      ...blocks.slice(0, LISTED).map((block) => el("li", {}, button(block.title, () => this.events.block(block)))),
    );
    if (focused === null || focused === undefined) return;
    [...this.tiles.querySelectorAll("button")].find(({ textContent }) => textContent === focused)?.focus();
  }

  /** List cells that were looked at and have no product, with the reason. */
  showEmpty(cells: readonly EmptyCell[]): void {
    // A list that somebody reads is not built anew for nothing.
    const told = JSON.stringify(cells);
    if (this.emptyTold === told) return;
    this.emptyTold = told;
    this.empty.hidden = cells.length === 0;
    this.empty.replaceChildren(
      el("summary", {}, `Cells without a product: ${cells.length}`),
      el("p", { class: "note" }, cut(cells.length, "cells")),
      el("ul", {}, ...cells.slice(0, LISTED).map(({ cell, reason }) => el("li", {}, `${cell}: ${reason}`))),
    );
  }

  private tileEntry(tile: TileYear, chosen: string | null): HTMLElement {
    const current = tile.id === chosen ? "true" : undefined;
    return el("li", {}, button(tile.cell, () => this.events.tile(tile), { "aria-current": current }));
  }

  private openForm(): HTMLFormElement {
    const form = el(
      "form",
      { "aria-label": "Open a catalog", class: "open", hidden: true },
      labelled("Address of a catalog", this.address, "address"),
      el("button", { type: "submit", class: "primary" }, "Open"),
      el("p", { class: "note" }, "The catalog.json of a betaearth store on the web. Its host must allow other pages to read it (CORS)."),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.events.open(this.address.value.trim());
    });
    return form;
  }

  private findForm(): HTMLFormElement {
    const cell = el("input", { type: "text", pattern: "\\s*\\d+[uUdD]_\\d+[rRlL]\\s*", title: "Such as 433U_1046R", size: 14 });
    const field = labelled("Find a cell", cell, "find");
    const form = el("form", { class: "find", "aria-label": "Find a cell" }, field, el("button", { type: "submit" }, "Go"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (cell.value.trim() !== "") this.events.cell(cell.value.trim().toUpperCase());
    });
    return form;
  }

  private describe(catalog: CatalogInfo, collection: CollectionInfo | null): void {
    const streets = el("input", { type: "checkbox", id: "streets", checked: this.streetsOn });
    streets.addEventListener("change", () => this.events.streets(streets.checked));
    const browser = stacBrowser(collection?.url ?? catalog.url);
    const description = collection?.description ?? catalog.description;
    this.about.replaceChildren(
      el("details", {}, el("summary", {}, "About this collection"), ...paragraphs(description), el("p", {}, outward("The collection's document", collection?.url ?? catalog.url))),
      el("p", { class: "switch" }, streets, el("label", { for: "streets" }, "OpenStreetMap background")),
      el("p", { class: "note" }, "Asks tile.openstreetmap.org for map tiles; everything else is asked of the hosts that the catalog names."),
      browser === null
        ? el("p", { class: "note" }, "STAC Browser shows catalogs that are public over https.")
        : el("p", { class: "note" }, outward("Open in STAC Browser", browser), ", a page of another host."),
    );
  }

  /** The street map is not shown, whatever was switched. */
  switchStreetsOff(): void {
    const streets = this.about.querySelector<HTMLInputElement>("#streets");
    if (streets !== null) streets.checked = false;
  }

  private get streetsOn(): boolean {
    return this.about.querySelector<HTMLInputElement>("#streets")?.checked ?? false;
  }
}

/** Say that a list is not all there is. */
function cut(count: number, what: string, elsewhere = ""): string {
  return count > LISTED ? `The first ${LISTED} of ${count.toLocaleString("en")} ${what} are listed.${elsewhere}` : "";
}

function options(select: HTMLSelectElement, entries: readonly (readonly [string, string])[], chosen: string | null): void {
  select.replaceChildren(...entries.map(([value, label]) => el("option", { value, selected: value === chosen }, label)));
}
