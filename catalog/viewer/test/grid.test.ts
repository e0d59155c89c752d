import { describe, expect, it } from "vitest";

import { blockBox, blockOf, spacingOf, superblockBox, superblockOf } from "../src/grid";
import { golden } from "./golden";

describe("the package's own blocks", () => {
  it.each(golden.blocks)("$name at $spacing m", ({ name, superblock, spacing, box }) => {
    const found = blockBox(name, spacing)!;
    found.forEach((value, place) => expect(value).toBeCloseTo(box[place], 9));
    expect(superblockOf(name)).toBe(superblock);
    const around = superblockBox(superblock, spacing)!;
    expect(around[0]).toBeLessThanOrEqual(found[0]);
    expect(around[1]).toBeLessThanOrEqual(found[1]);
    expect(around[2]).toBeGreaterThanOrEqual(found[2]);
    expect(around[3]).toBeGreaterThanOrEqual(found[3]);
  });

  it.each(golden.cells)("$cell at $spacing m", ({ cell, spacing, block }) => {
    expect(blockOf(cell, spacing)).toBe(block);
    expect(blockOf(cell.toLowerCase(), spacing)).toBe(block);
  });
});

it("what is no name has no place", () => {
  for (const name of ["", "r1-c1", "2021", "rzz-c01", "r1e2c16b", "r7ff-c7ff"]) expect(blockBox(name, 10_000), name).toBeNull();
  expect(blockOf("betaearth", 10_000)).toBeNull();
  expect(superblockOf("r1e-c16")).toBeNull();
});

it("the spacing is what the collection says, else what its id does, else Major TOM's", () => {
  const id = "betaearth-robust-2km-v1";
  expect(spacingOf({ id, raw: { summaries: { "betaearth:spacing_m": [500] } } })).toBe(500);
  expect(spacingOf({ id, raw: {} })).toBe(2000);
  expect(spacingOf({ id: "betaearth-robust-v1", raw: {} })).toBe(10_000);
});
