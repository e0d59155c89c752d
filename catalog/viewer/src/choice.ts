/** What holds for a tile: what the address leaves open, or asks for in vain, is filled in. */

import { BANDS } from "./encoding";
import type { CollectionInfo, Raster, TileYear } from "./model";
import { type LayerKind, type ViewState } from "./state";

export type Pixel = readonly [column: number, row: number];
export type Axes = readonly [red: number, green: number, blue: number];

/** What is chosen for a tile. */
export interface Choice {
  readonly layer: LayerKind;
  readonly bands: Axes;
  readonly pixel: Pixel;
  /** Whether somebody asked for that pixel. */
  readonly asked: boolean;
  /** Year that change is to; null where there is no other. */
  readonly against: number | null;
}

/** What is shown where nothing proposes axes. */
const SOME_AXES: Axes = [1, 16, 9];

/** What is known besides the view. */
export interface Known {
  /** The cell's other years, and those that could not be read; null where nobody knows yet. */
  readonly years: { readonly found: readonly number[]; readonly failed: readonly number[] } | null;
  /** Where similarity starts; null: in the middle. */
  readonly start: Pixel | null;
  readonly collection: CollectionInfo | null;
}

/** Choose for a tile. */
export function choiceFor(tile: TileYear, state: ViewState, { years, start, collection }: Known): Choice {
  const { width, height } = shapeOf(tile);
  const { layer, bands, pixel, against } = state;
  const asked = pixel !== null && isOf(tile, pixel);
  return {
    layer,
    bands: bands ?? proposedAxes(collection),
    pixel: asked ? pixel : (start ?? [Math.floor(width / 2), Math.floor(height / 2)]),
    asked,
    against: years === null ? against : yearAgainst(tile, against, years),
  };
}

/** The year that was asked for, else the nearest one that was found, else the nearest one there may be. */
function yearAgainst({ year }: TileYear, asked: number | null, { found, failed }: NonNullable<Known["years"]>): number | null {
  if (asked !== null && [...found, ...failed].includes(asked)) return asked;
  const byDistance = (years: readonly number[]) => [...years].sort((one, other) => Math.abs(one - year) - Math.abs(other - year));
  return byDistance(found)[0] ?? byDistance(failed)[0] ?? null;
}

/** Pixels of a tile at full resolution. */
export function shapeOf(tile: TileYear): Raster["full"] {
  const shape = tile.item.properties["proj:shape"];
  const [height, width] = Array.isArray(shape) ? shape : [];
  return { width: Number(width) || 1, height: Number(height) || 1 };
}

/** Whether a tile has a pixel. */
export function isOf(tile: TileYear, [column, row]: Pixel): boolean {
  const { width, height } = shapeOf(tile);
  return column < width && row < height;
}

/** Axes that the collection proposes to be seen by: the render extension counts bands from 1. */
function proposedAxes(collection: CollectionInfo | null): Axes {
  const renders = collection?.raw["renders"] as { axes?: { bidx?: unknown } } | undefined;
  const bands = renders?.axes?.bidx;
  const usable =
    Array.isArray(bands) && bands.length === 3 && bands.every((band) => Number.isInteger(band) && band >= 1 && band <= BANDS);
  return usable ? [bands[0] - 1, bands[1] - 1, bands[2] - 1] : SOME_AXES;
}
