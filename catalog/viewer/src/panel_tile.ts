/** The panel of the chosen tile: its layers and what they need, reading pixels, provenance, files, code. */

import type { Axes, Choice, Pixel } from "./choice";
import { button, el, labelled } from "./dom";
import { factsOf } from "./facts";
import { axis } from "./layers";
import type { CollectionInfo, TileYear } from "./model";
import { fileList, provenanceParts, warnings } from "./provenance";
import { snippetList, snippetsOf } from "./snippets";
import { AXES, LAYERS, LAYER_TITLES, type LayerKind } from "./state";

/** What a person does with it. */
export interface TileEvents {
  layer: (kind: LayerKind) => void;
  bands: (axes: Axes) => void;
  use: (pixel: Pixel) => void;
  read: (pixel: Pixel) => void;
  against: (year: number) => void;
  zoom: () => void;
  close: () => void;
  report: (error: unknown) => void;
}

export class TilePanel {
  private readonly radios = new Map<LayerKind, HTMLInputElement>();
  private readonly axes: HTMLInputElement[];
  private readonly used: HTMLInputElement[];
  private readonly reading: HTMLInputElement[];
  private readonly compare = el("select");
  private readonly bandsPart: HTMLElement;
  private readonly comparePart: HTMLElement;
  private readonly code = el("div");
  private size = { width: 1, height: 1 };
  private shown: { tile: TileYear; collection: CollectionInfo } | null = null;

  constructor(
    private readonly place: HTMLElement,
    private readonly events: TileEvents,
  ) {
    this.axes = ["Red band", "Green band", "Blue band"].map(() => spin(AXES - 1));
    this.used = [spin(0), spin(0)];
    this.reading = [spin(0), spin(0)];
    for (const control of this.axes) control.addEventListener("change", () => this.changedBands());
    for (const control of this.reading) control.addEventListener("input", () => this.changedReading());
    this.compare.addEventListener("change", () => events.against(Number(this.compare.value)));
    this.bandsPart = group("Bands", ...["Red band", "Green band", "Blue band"].map((label, index) =>
      labelled(label, this.axes[index]!, `band-${index}`)));
    this.comparePart = el("div", { class: "row" }, labelled("Compare with", this.compare, "against"));
  }

  /** Build the panel of a tile. */
  show(tile: TileYear, collection: CollectionInfo, size: { width: number; height: number }, years: readonly number[]): void {
    this.size = size;
    for (const [columns, rows] of [this.used, this.reading] as const) {
      columns!.max = String(size.width - 1);
      rows!.max = String(size.height - 1);
    }
    for (const control of this.reading) control.value = "";
    this.compare.replaceChildren(...years.map((year) => el("option", { value: year }, String(year))));
    this.compare.disabled = years.length === 0;
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
      this.layerGroup(years.length > 0), this.bandsPart, this.comparePart, this.usedGroup(), this.readGroup(),
      part("Provenance", ...provenanceParts(tile, this.events.report)),
      el("h3", {}, "Files"), fileList(tile),
      part("Load it", this.code));
    this.place.replaceChildren(region);
    this.shown = { tile, collection };
  }

  /** Show what is chosen. */
  choose({ layer, bands, pixel, against }: Choice): void {
    for (const [kind, radio] of this.radios) radio.checked = kind === layer;
    this.axes.forEach((control, index) => fill(control, bands[index]!));
    this.used.forEach((control, index) => fill(control, pixel[index]!));
    if (against !== null) this.compare.value = String(against);
    this.bandsPart.hidden = layer !== "bands";
    this.comparePart.hidden = layer !== "change";
    if (this.shown !== null) this.showCode({ ...this.shown, axes: bands.map(axis), pixel });
  }

  /** Put the pixel that is read into its fields. */
  showReading(pixel: Pixel): void {
    this.reading.forEach((control, index) => fill(control, pixel[index]!));
  }

  /** Put the pixel that was clicked into its fields. */
  showUsed(pixel: Pixel): void {
    this.used.forEach((control, index) => fill(control, pixel[index]!));
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

  private layerGroup(comparable: boolean): HTMLElement {
    const radios = LAYERS.map((kind, index) => {
      const radio = el("input", { type: "radio", name: "layer", value: kind, id: `layer-${kind}`, disabled: kind === "change" && !comparable });
      radio.addEventListener("change", () => radio.checked && this.events.layer(kind));
      this.radios.set(kind, radio);
      return el("div", { class: "choice" }, radio,
        el("label", { for: radio.id, title: `Key ${index + 1}` }, LAYER_TITLES[kind]));
    });
    return el("div", { role: "radiogroup", "aria-label": "Layer", class: "layers" }, ...radios);
  }

  private usedGroup(): HTMLElement {
    const use = button("Use this pixel", () => this.entered(this.used, this.events.use), { class: "primary" });
    return group("Similarity to a pixel: click it on the map, or",
      labelled("Column", this.used[0]!, "column"), labelled("Row", this.used[1]!, "row"), use);
  }

  private readGroup(): HTMLElement {
    return group("Read the value of a pixel",
      labelled("Read column", this.reading[0]!, "read-column"), labelled("Read row", this.reading[1]!, "read-row"));
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

  private changedBands(): void {
    const numbers = this.axes.map(valueOf);
    if (numbers.every((number) => number !== null)) this.events.bands(numbers as unknown as Axes);
  }

  private changedReading(): void {
    this.entered(this.reading, this.events.read, false);
  }

  private entered(controls: readonly HTMLInputElement[], act: (pixel: Pixel) => void, complain = true): void {
    if (complain && !controls.every((control) => control.reportValidity())) return;
    const [column, row] = controls.map(valueOf);
    if (column === null || row === null || column === undefined || row === undefined) return;
    if (column < this.size.width && row < this.size.height) act([column, row]);
  }
}

function spin(largest: number): HTMLInputElement {
  return el("input", { type: "number", min: 0, max: largest, step: 1, inputmode: "numeric" });
}

function fill(control: HTMLInputElement, value: number): void {
  if (document.activeElement !== control || control.value === "") control.value = String(value);
  else if (Number(control.value) !== value) control.value = String(value);
}

function valueOf(control: HTMLInputElement): number | null {
  return control.value !== "" && control.validity.valid ? Number(control.value) : null;
}

function group(legend: string, ...children: HTMLElement[]): HTMLElement {
  return el("fieldset", {}, el("legend", {}, legend), el("div", { class: "row" }, ...children));
}

function part(title: string, ...children: Node[]): HTMLElement {
  return el("section", { "aria-label": title }, el("h3", {}, title), ...children);
}
