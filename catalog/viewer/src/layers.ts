/** What a tile can be looked at as: each layer becomes a picture on a grid, with a legend and a reading. */

import { readBands, readEmbeddings, readQuality, readVector } from "./cog";
import {
  BLUES, BROWNS, INFERNO, VIRIDIS, paintBands, paintRamp, quantiles,
  type Ramp, type Range,
} from "./colours";
import { ViewerError, type Embeddings, type Raster, type TileYear } from "./model";
import { previewOf } from "./preview";
import { fullGrid, indexAt, isCoarser } from "./resolution";
import { changeBetween, similarityTo } from "./similarity";
import { LAYER_TITLES, type LayerKind } from "./state";

/** What a picture says of one pixel. */
export interface Reading {
  /** Empty where there is no number. */
  readonly value: string;
  readonly words: string;
}

/** How a picture's colours are read. */
export interface Legend {
  readonly title: string;
  /** A ramp over a range, or one line for each of red, green and blue. */
  readonly scale: { readonly ramp: Ramp; readonly range: Range; readonly digits: number } | null;
  readonly lines: readonly string[];
}

/** A layer of a tile, painted. */
export interface Picture {
  readonly kind: LayerKind;
  readonly tile: TileYear;
  readonly canvas: HTMLCanvasElement;
  /** Where the canvas lies. */
  readonly raster: Raster;
  readonly legend: Legend;
  /** Read a pixel by column and row of full resolution; null outside. */
  readonly read: (column: number, row: number) => Reading | null;
}

/** What a picture is asked for. */
export interface Wish {
  readonly tile: TileYear;
  readonly kind: LayerKind;
  readonly bands: readonly [number, number, number];
  readonly pixel: readonly [number, number];
  /** The same cell in the year that change is to; null where there is none. */
  readonly other: TileYear | null;
  readonly signal: AbortSignal;
}

/**
 * Read what a layer needs and paint it.
 *
 * @throws ViewerError where a file cannot be used, or the wish cannot be met
 */
export async function paint(wish: Wish): Promise<Picture> {
  switch (wish.kind) {
    case "pca":
      return pca(wish);
    case "bands":
      return bands(wish);
    case "similarity":
      return similarity(wish);
    case "change":
      return change(wish);
    case "observations":
      return quality(wish, "obs_count", BLUES, 0);
    case "dispersion":
      return quality(wish, "dispersion", BROWNS, 4);
  }
}

async function pca({ tile, signal }: Wish): Promise<Picture> {
  const { canvas, raster } = await previewOf(tile, signal);
  const lines = ["First three principal components of this tile as red, green and blue: not comparable between tiles.", ...resolution(raster)];
  const read = at(raster, (_, column, row) => ({ value: "", words: place(column, row) }));
  return { kind: "pca", tile, canvas, raster, legend: { title: LAYER_TITLES.pca, scale: null, lines }, read };
}

async function bands({ tile, bands: axes, signal }: Wish): Promise<Picture> {
  const raster = await readBands(tile, [...axes], { signal });
  const ranges = raster.values.map((values) => stretch(values, 0.02, 0.98));
  const canvas = canvasOf(raster, paintBands(raster.values, ranges, raster.valid));
  const lines = ranges.map(
    ([low, high], channel) => `${CHANNELS[channel]} ${axis(axes[channel]!)}: ${low.toFixed(3)} to ${high.toFixed(3)}`,
  );
  lines.push("2nd to 98th percentile of this tile; components of vectors of length 1.", ...resolution(raster));
  const read = at(raster, (index, column, row) => {
    if (!raster.valid[index]) return nothing("no embedding", column, row);
    const numbers = raster.values.map((values) => values[index]!);
    const words = numbers.map((number, channel) => `${axis(axes[channel]!)} ${number.toFixed(4)}`).join(", ");
    return { value: numbers.join(","), words: `${words} at ${place(column, row)}` };
  });
  return { kind: "bands", tile, canvas, raster, legend: { title: LAYER_TITLES.bands, scale: null, lines }, read };
}

async function similarity({ tile, pixel, signal }: Wish): Promise<Picture> {
  const vector = await readVector(tile, pixel[0], pixel[1], { signal });
  if (vector === null) {
    throw new ViewerError(
      `There is no embedding at ${place(...pixel)} of ${tile.cell}: choose another pixel.`,
      tile.url,
      "missing",
    );
  }
  const embeddings = await readEmbeddings(tile, { signal });
  const values = similarityTo(embeddings, vector);
  const range: Range = [stretch(values, 0.02, 1)[0], 1];
  const note = `Cosine with the pixel at ${place(...pixel)}; 1 is the same.${single(embeddings)}`;
  return scalar({ kind: "similarity", tile, raster: embeddings, values, range, ramp: VIRIDIS, digits: 4, note });
}

async function change({ tile, other, signal }: Wish): Promise<Picture> {
  if (other === null) {
    throw new ViewerError(`${tile.cell} has no other year to compare ${tile.year} with.`, tile.url, "missing");
  }
  const [a, b] = await Promise.all([embeddingsOfYear(tile, signal), embeddingsOfYear(other, signal)]);
  const values = changeBetween(a, b);
  const range: Range = [0, stretch(values, 0, 0.98)[1]];
  const note = `Cosine distance of ${tile.year} and ${other.year}; 0 is no change.`;
  return scalar({ kind: "change", tile, raster: a, values, range, ramp: INFERNO, digits: 4, note });
}

/** Read one of several years: what is wrong with it names the year. */
async function embeddingsOfYear(tile: TileYear, signal: AbortSignal): Promise<Embeddings> {
  try {
    return await readEmbeddings(tile, { signal });
  } catch (error) {
    if (!(error instanceof ViewerError)) throw error;
    throw new ViewerError(`${tile.cell} of ${tile.year} cannot be compared. ${error.message}`, error.url, error.kind);
  }
}

async function quality(
  { tile, kind, signal }: Wish,
  name: string,
  ramp: Ramp,
  digits: number,
): Promise<Picture> {
  const raster = await readQuality(tile, { signal });
  const band = raster.bands.find((candidate) => candidate.name === name);
  if (band === undefined) {
    throw new ViewerError(`The quality file of ${tile.id} has no band ${name}.`, tile.url, "malformed");
  }
  const { values } = band;
  const range = kind === "observations" ? stretch(values, 0, 1) : ([0, stretch(values, 0, 0.98)[1]] as const);
  return scalar({ kind, tile, raster, values, range, ramp, digits, note: NOTES[name] ?? band.title });
}

interface Scalar {
  kind: LayerKind;
  tile: TileYear;
  raster: Raster;
  values: Float32Array;
  range: Range;
  ramp: Ramp;
  digits: number;
  note: string;
}

function scalar({ kind, tile, raster, values, range, ramp, digits, note }: Scalar): Picture {
  const title = LAYER_TITLES[kind];
  return {
    kind,
    tile,
    canvas: canvasOf(raster, paintRamp(values, range, ramp)),
    raster,
    legend: { title, scale: { ramp, range, digits: kind === "observations" ? 0 : needed(range) }, lines: [note, ...resolution(raster)] },
    read: at(raster, (index, column, row) => {
      const value = values[index]!;
      if (!Number.isFinite(value)) return nothing(`no ${kind}`, column, row);
      return { value: String(value), words: `${kind} ${value.toFixed(digits)} at ${place(column, row)}` };
    }),
  };
}

/** Wrap a reading by index into one by column and row of full resolution. */
function at(raster: Raster, read: (index: number, column: number, row: number) => Reading): Picture["read"] {
  return (column, row) => {
    const index = indexAt(raster, column, row);
    return index === null ? null : read(index, column, row);
  };
}

/** Say that a picture is coarser than its file. */
function resolution(raster: Raster): string[] {
  if (!isCoarser(raster)) return [];
  return [`Drawn at ${metresOf(raster)}, the mean of the file's pixels of ${metresOf(fullGrid(raster))}.`];
}

/** Say why the pixel that others are compared with may not read 1 itself. */
function single(raster: Raster): string {
  if (!isCoarser(raster)) return "";
  return ` It is a single one of ${metresOf(fullGrid(raster))}: where it lies, a mean is drawn, which may read less than 1.`;
}

function metresOf({ metres }: Raster): string {
  return `${Number(metres.toPrecision(3))} m`;
}

/** Decimals that tell a range's ends and middle apart. */
function needed([low, high]: Range): number {
  return high > low ? Math.min(6, Math.max(2, Math.ceil(1 - Math.log10(high - low)))) : 2;
}

function stretch(values: Float32Array, low: number, high: number): Range {
  const found = quantiles(values, [low, high]);
  return found === null ? [0, 1] : [found[0]!, found[1]!];
}

function canvasOf(raster: Raster, pixels: Uint8ClampedArray<ArrayBuffer>): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = raster.width;
  canvas.height = raster.height;
  canvas.getContext("2d")?.putImageData(new ImageData(pixels, raster.width, raster.height), 0, 0);
  return canvas;
}

const NOTES: Record<string, string> = {
  obs_count: "How many observations each pixel is the mean of.",
  dispersion: "1 minus the length of the mean of a pixel's observations: 0 where all agree.",
};
const CHANNELS = ["Red", "Green", "Blue"] as const;

function nothing(what: string, column: number, row: number): Reading {
  return { value: "", words: `${what} at ${place(column, row)}` };
}

function place(column: number, row: number): string {
  return `column ${column}, row ${row}`;
}

/** Name of an axis, as files spell it: `A07`. */
export function axis(band: number): string {
  return `A${String(band).padStart(2, "0")}`;
}
