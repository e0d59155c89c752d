/** What holds for a tile: what the address leaves open, or asks for in vain, is filled in. */

import type { CollectionInfo, Raster, TileYear } from "./model";
import { AXES, type LayerKind, type ViewState } from "./state";

export type Pixel = readonly [column: number, row: number];
export type Axes = readonly [red: number, green: number, blue: number];

/** What is chosen for a tile. */
export interface Choice {
  readonly layer: LayerKind;
  readonly bands: Axes;
  readonly pixel: Pixel;
  /** Year that change is to; null where there is no other. */
  readonly against: number | null;
}

/** What is shown where nothing proposes axes. */
const SOME_AXES: Axes = [1, 16, 9];

/**
 * Choose for a tile.
 *
 * @param years the tile's cell's other years
 */
export function choiceFor(
  tile: TileYear,
  state: ViewState,
  years: readonly number[],
  collection: CollectionInfo | null,
): Choice {
  const { width, height } = shapeOf(tile);
  const [nearest] = [...years].sort((one, other) => Math.abs(one - tile.year) - Math.abs(other - tile.year));
  const { layer, bands, pixel, against } = state;
  const inside = pixel !== null && pixel[0] < width && pixel[1] < height;
  return {
    layer,
    bands: bands ?? proposedAxes(collection),
    pixel: inside ? pixel : [Math.floor(width / 2), Math.floor(height / 2)],
    against: against !== null && years.includes(against) ? against : (nearest ?? null),
  };
}

/** Pixels of a tile at full resolution. */
export function shapeOf(tile: TileYear): Raster["full"] {
  const shape = tile.item.properties["proj:shape"];
  const [height, width] = Array.isArray(shape) ? shape : [];
  return { width: Number(width) || 1, height: Number(height) || 1 };
}

/** Axes that the collection proposes to be seen by: the render extension counts bands from 1. */
function proposedAxes(collection: CollectionInfo | null): Axes {
  const renders = collection?.raw["renders"] as { axes?: { bidx?: unknown } } | undefined;
  const bands = renders?.axes?.bidx;
  const usable =
    Array.isArray(bands) && bands.length === 3 && bands.every((band) => Number.isInteger(band) && band >= 1 && band <= AXES);
  return usable ? [bands[0] - 1, bands[1] - 1, bands[2] - 1] : SOME_AXES;
}
