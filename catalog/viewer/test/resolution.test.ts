import { describe, expect, it } from "vitest";

import { pixelAt, lonLatOf } from "../src/projection";
import { factorsOf, fullGrid, indexAt, isCoarser } from "../src/resolution";
import type { Raster } from "../src/model";
import { golden } from "./golden";

it("the pixels of an overview are whole multiples, also where it is rounded up", () => {
  expect(factorsOf({ width: 1068, height: 1068 }, { width: 134, height: 134 })).toEqual([8, 8]);
  expect(factorsOf({ width: 300, height: 270 }, { width: 150, height: 135 })).toEqual([2, 2]);
  expect(factorsOf({ width: 9, height: 517 }, { width: 3, height: 130 })).toEqual([4, 4]);
  expect(factorsOf({ width: 1000, height: 900 }, { width: 300, height: 270 })[0]).toBeCloseTo(3.333, 3);
});

/** What is read of a file: 10 m, reduced by 4. */
function reduced(width: number, height: number): Raster {
  const [a, , c, , e, f] = golden.transform;
  const transform: Raster["transform"] = [4 * a, 0, c, 0, 4 * e, f];
  const full = { width, height };
  return { width: Math.ceil(width / 4), height: Math.ceil(height / 4), crs: golden.crs, transform, level: 2, metres: 40, full };
}

describe.each([
  [2070, 2070],
  [517, 9],
  [1068, 1068],
])("%i x %i pixels by 4", (width, height) => {
  const raster = reduced(width, height);

  it("every pixel is part of the coarse one above it", () => {
    for (let column = 0; column < width; column++) expect(indexAt(raster, column, 0)).toBe(column >> 2);
    for (let row = 0; row < height; row++) expect(indexAt(raster, 0, row)).toBe((row >> 2) * raster.width);
    for (const [column, row] of [[-1, 0], [0, -1], [width, 0], [0, height]]) {
      expect(indexAt(raster, column!, row!)).toBeNull();
    }
  });

  it("the full grid is the file's", () => {
    const grid = fullGrid(raster);
    expect(grid).toMatchObject({ width, height, transform: golden.transform, metres: 10, level: 0 });
    const last: [number, number] = [width - 1, height - 1];
    expect(pixelAt(grid, ...lonLatOf({ ...raster, transform: golden.transform }, ...last))).toEqual(last);
  });

  it("what is coarser says so", () => {
    expect(isCoarser(raster)).toBe(true);
    expect(isCoarser(fullGrid(raster))).toBe(false);
  });
});
