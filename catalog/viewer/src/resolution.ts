/** Between the full resolution of a file and the coarser one that was read of it. */

import type { Raster } from "./model";

type Size = Raster["full"];

/**
 * How many pixels of the full resolution are one of a level: across and down.
 *
 * An overview by a whole factor is rounded up where the size is no multiple of it; its pixels still are
 * that many wide, the last one reaching beyond the image. The longer edge tells the factor, which the rounding
 * of a short one may hide.
 */
export function factorsOf(full: Size, reduced: Size): [across: number, down: number] {
  const edge = full.width >= full.height ? "width" : "height";
  const factor = Math.round(full[edge] / reduced[edge]);
  const whole = Math.ceil(full.width / factor) === reduced.width && Math.ceil(full.height / factor) === reduced.height;
  return whole ? [factor, factor] : [full.width / reduced.width, full.height / reduced.height];
}

/** Place in a level's values of the pixel that a pixel of full resolution is part of; null outside. */
export function indexAt(raster: Raster, column: number, row: number): number | null {
  const { width, height, full } = raster;
  if (column < 0 || row < 0 || column >= full.width || row >= full.height) return null;
  const [across, down] = factorsOf(full, raster);
  // Factors that are not whole may end beyond the last pixel by a rounding.
  return Math.min(height - 1, Math.floor(row / down)) * width + Math.min(width - 1, Math.floor(column / across));
}

/** The grid of full resolution below a level. */
export function fullGrid(raster: Raster): Raster {
  const [a, b, c, d, e, f] = raster.transform;
  const [across, down] = factorsOf(raster.full, raster);
  const transform: Raster["transform"] = [a / across, b / down, c, d / across, e / down, f];
  return { ...raster, ...raster.full, transform, level: 0, metres: raster.metres / across };
}

/** Whether a pixel of a level is more than one of full resolution. */
export function isCoarser({ width, height, full }: Raster): boolean {
  return width < full.width || height < full.height;
}
