/** What is being looked at, as the address's hash holds it: a view is shared by its address. */

import { BANDS } from "./encoding";

export const LAYERS = ["pca", "bands", "similarity", "change", "observations", "dispersion"] as const;
export type LayerKind = (typeof LAYERS)[number];

export const LAYER_TITLES: Record<LayerKind, string> = {
  pca: "PCA preview",
  bands: "Bands",
  similarity: "Similarity",
  change: "Change",
  observations: "Observations",
  dispersion: "Dispersion",
};

export interface ViewState {
  /** Address of a catalog; null: the one beside the page. */
  readonly catalog: string | null;
  readonly collection: string | null;
  readonly year: number | null;
  /** Id of an Item. */
  readonly item: string | null;
  readonly layer: LayerKind;
  /** Axes shown as red, green and blue, 0 to 63; null: what the collection proposes. */
  readonly bands: readonly [number, number, number] | null;
  /** Column and row, at full resolution, that similarity is to. */
  readonly pixel: readonly [number, number] | null;
  /** Year that change is to. */
  readonly against: number | null;
}

export const BLANK: ViewState = {
  catalog: null,
  collection: null,
  year: null,
  item: null,
  layer: "pca",
  bands: null,
  pixel: null,
  against: null,
};

/** Read a hash; whatever cannot be meant is left out. */
export function parseState(hash: string): ViewState {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const layer = given.get("layer");
  return {
    catalog: given.get("catalog") || null,
    collection: given.get("collection") || null,
    year: year(given.get("year")),
    item: given.get("item") || null,
    layer: LAYERS.find((kind) => kind === layer) ?? "pca",
    bands: three(whole(given.get("bands"), 3, BANDS - 1)),
    pixel: two(whole(given.get("pixel"), 2, 1e6)),
    against: year(given.get("against")),
  };
}

/** Write a hash, with commas, colons and slashes left readable. */
export function formatState(state: ViewState): string {
  const parts: [string, string | null][] = [
    ["catalog", state.catalog],
    ["collection", state.collection],
    ["year", state.year?.toString() ?? null],
    ["item", state.item],
    ["layer", state.item === null ? null : state.layer],
    ["bands", state.bands?.join(",") ?? null],
    ["pixel", state.pixel?.join(",") ?? null],
    ["against", state.against?.toString() ?? null],
  ];
  const spelled = parts
    .filter((part): part is [string, string] => part[1] !== null)
    .map(([name, value]) => `${name}=${spell(value)}`);
  return spelled.length === 0 ? "" : `#${spelled.join("&")}`;
}

function spell(value: string): string {
  return encodeURIComponent(value).replace(/%2C/g, ",").replace(/%3A/g, ":").replace(/%2F/g, "/");
}

function year(text: string | null): number | null {
  return text !== null && /^\d{4}$/.test(text) ? Number(text) : null;
}

function whole(text: string | null, count: number, largest: number): number[] | null {
  const parts = (text ?? "").split(",");
  if (parts.length !== count || !parts.every((part) => /^\d{1,7}$/.test(part))) return null;
  const numbers = parts.map(Number);
  return numbers.every((number) => number <= largest) ? numbers : null;
}

function two(numbers: number[] | null): [number, number] | null {
  return numbers === null ? null : [numbers[0]!, numbers[1]!];
}

function three(numbers: number[] | null): [number, number, number] | null {
  return numbers === null ? null : [numbers[0]!, numbers[1]!, numbers[2]!];
}
