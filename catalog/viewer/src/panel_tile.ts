/** The panel of the chosen tile: its layers and what they need, reading pixels, provenance, files, code. */

import type { Axes, Choice, Pixel } from "./choice";
import { button, el, labelled } from "./dom";
import { BANDS } from "./encoding";
import { factsOf } from "./facts";
import { axis } from "./layers";
import type { CollectionInfo, Siblings, TileYear } from "./model";
import { Numbers } from "./numbers";
import { fileList, provenanceParts, warnings } from "./provenance";
import { snippetList, snippetsOf } from "./snippets";
import { LAYERS, LAYER_TITLES, type LayerKind } from "./state";

/** What a person does with it. */
export interface TileEvents {
  layer: (kind: LayerKind) => void;
  bands: (axes: Axes) => void;
  use: (pixel: Pixel) => void;
  /** Null: no pixel is named. */
  read: (pixel: Pixel | null) => void;
  against: (year: number) => void;
  zoom: () => void;
  close: () => void;
  /** Something of the panel of a tile could not be had. */
  failed: (tile: TileYear, words: string) => void;
}

export class TilePanel {
  private readonly radios = new Map<LayerKind, HTMLInputElement>();
  private readonly axes = new Numbers("Bands", ["Red", "Green", "Blue"].map((colour, place) => (
    { label: `${colour} band`, id: `band-${place}`, what: "band" })));
  private readonly used: Numbers;
  private readonly reading = new Numbers("Read the value of a pixel", [
    { label: "Read column", id: "read-column", what: "column" },
    { label: "Read row", id: "read-row", what: "row" },
  ]);
  private readonly compare = el("select");
  private readonly comparePart: HTMLElement;
  private readonly compareNote = el("p", { class: "note", id: "compare-note", hidden: true });
  private readonly code = el("div");
  private shown: { tile: TileYear; collection: CollectionInfo } | null = null;

  constructor(
    private readonly place: HTMLElement,
    private readonly events: TileEvents,
  ) {
    this.used = new Numbers("Similarity to a pixel: click it on the map, or", [
      { label: "Column", id: "column", what: "column" },
      { label: "Row", id: "row", what: "row" },
    ], button("Use this pixel", () => this.enteredPixel(), { class: "primary" }));
    this.axes.on("change", () => this.changedBands());
    this.reading.on("input", () => events.read(pixelOf(this.reading.given({ unfinished: true }))));
    this.compare.addEventListener("change", () => events.against(Number(this.compare.value)));
    this.comparePart = el("div", { class: "row" }, labelled("Compare with", this.compare, "against"));
  }

  /** Build the panel of a tile. */
  show(tile: TileYear, collection: CollectionInfo, size: { width: number; height: number }): void {
    this.axes.limit([BANDS - 1, BANDS - 1, BANDS - 1]);
    for (const pixel of [this.used, this.reading]) pixel.limit([size.width - 1, size.height - 1]);
    this.compare.replaceChildren();
    this.compareNote.hidden = true;
    this.code.replaceChildren();
    const facts = factsOf(tile);
    const badges = warnings(facts).map((warning) => el("li", {}, warning.split(":")[0]!));
    const head = el("div", { class: "head" },
      el("h2", { id: "tile-title", tabindex: -1 }, tile.cell),
      el("span", {}, String(tile.year)),
      button("Zoom to it", this.events.zoom, { class: "quiet" }),
      button("Close", this.events.close, { class: "quiet", "aria-label": "Close the tile" }));
    const region = el("section", { "aria-label": "Tile", class: "tile" }, head,
      badges.length === 0 ? null : el("ul", { class: "badges", "aria-label": "Caveats" }, ...badges),
      this.layerGroup(), this.compareNote, this.axes.element, this.comparePart, this.used.element, this.reading.element,
      part("Provenance", ...provenanceParts(tile, (words) => this.events.failed(tile, words))),
      el("h3", {}, "Files"), fileList(tile),
      part("Load it", this.code));
    this.place.replaceChildren(region);
    this.shown = { tile, collection };
  }

  /** Show what is chosen. */
  choose({ layer, bands, pixel, against }: Choice): void {
    for (const [kind, radio] of this.radios) radio.checked = kind === layer;
    this.axes.show(bands);
    this.used.show(pixel);
    if (against !== null) this.compare.value = String(against);
    this.axes.element.hidden = layer !== "bands";
    this.comparePart.hidden = layer !== "change";
    if (this.shown !== null) this.showCode({ ...this.shown, axes: bands.map(axis), pixel });
  }

  /** Put the pixel that is read into its fields. */
  showReading(pixel: Pixel): void {
    this.reading.show(pixel);
  }

  /** Offer the years that change can be to, or say why there are none. */
  showYears({ tiles, failed }: Siblings): void {
    const found = tiles.map(({ year }) => [year, String(year)] as const);
    const lost = failed.map(({ year }) => [year, `${year} (could not be read)`] as const);
    const years = [...found, ...lost].sort(([one], [other]) => one - other);
    this.compare.replaceChildren(...years.map(([year, words]) => el("option", { value: year }, words)));
    const radio = this.radios.get("change")!;
    radio.disabled = years.length === 0;
    this.compareNote.hidden = found.length > 0;
    this.compareNote.textContent = lost.length === 0
      ? "Change: there is no other year of this cell."
      : `Change: ${lost.map(([year]) => year).join(", ")} could not be read; choose it to try again.`;
  }

  clear(): void {
    this.shown = null;
    this.place.replaceChildren();
  }

  /** Bring the panel into sight where the screen is too small for it and the lists. */
  reveal(): void {
    if (!window.matchMedia("(max-width: 760px)").matches) return;
    this.place.querySelector("section")?.scrollIntoView({ block: "start" });
  }

  private layerGroup(): HTMLElement {
    const radios = LAYERS.map((kind, index) => {
      const radio = el("input", { type: "radio", name: "layer", value: kind, id: `layer-${kind}` });
      if (kind === "change") radio.setAttribute("aria-describedby", this.compareNote.id);
      radio.addEventListener("change", () => radio.checked && this.events.layer(kind));
      this.radios.set(kind, radio);
      return el("div", { class: "choice" }, radio,
        el("label", { for: radio.id, title: `Key ${index + 1}` }, LAYER_TITLES[kind]));
    });
    return el("div", { role: "radiogroup", "aria-label": "Layer", class: "layers" }, ...radios);
  }

  /** Folds that are open stay open, so that a change of pixel does not take the code away under the reader. */
  private showCode(looked: Parameters<typeof snippetsOf>[0]): void {
    const open = new Set([...this.code.querySelectorAll("details[open] > summary")].map(({ textContent }) => textContent));
    const list = snippetList(snippetsOf(looked));
    for (const details of list) {
      if (open.has(details.querySelector("summary")?.textContent ?? "")) details.setAttribute("open", "");
    }
    this.code.replaceChildren(...list);
  }

  /** Bands that there are not do not stay beside a picture of others. */
  private changedBands(): void {
    const given = this.axes.given();
    if (given === null) this.axes.restore();
    else this.events.bands(given as unknown as Axes);
  }

  private enteredPixel(): void {
    const pixel = pixelOf(this.used.given());
    if (pixel !== null) this.events.use(pixel);
  }
}

function pixelOf(numbers: number[] | null): Pixel | null {
  return numbers === null ? null : [numbers[0]!, numbers[1]!];
}

function part(title: string, ...children: Node[]): HTMLElement {
  return el("section", { "aria-label": title }, el("h3", {}, title), ...children);
}
