import { fileURLToPath } from "node:url";

import { expect, it } from "vitest";

import { Lru } from "../src/cache";
import { decodePixel } from "../src/encoding";
import { notice, packageFolder } from "../licences";

it("the cache drops what was used longest ago, and keeps the newest whatever its weight", () => {
  const cache = new Lru<string>(10);
  cache.set("a", "A", 4);
  cache.set("b", "B", 4);
  cache.get("a");
  cache.set("c", "C", 4);
  expect(["a", "b", "c"].map((key) => cache.get(key))).toEqual(["A", undefined, "C"]);
  cache.set("d", "D", 99);
  expect(["a", "c", "d"].map((key) => cache.get(key))).toEqual([undefined, undefined, "D"]);
});

it("a pixel without a direction is none", () => {
  const into = new Float32Array(64).fill(9);
  expect(decodePixel(new Int8Array(64), 0, -128, into, 0)).toBe(false);
  expect(into).toEqual(new Float32Array(64));
  expect(decodePixel(new Float32Array(64).fill(NaN), 0, NaN, into, 0)).toBe(false);
  expect(decodePixel(new Float32Array(64).fill(2), 0, -9999, into, 0)).toBe(true);
  expect(into[63]).toBeCloseTo(0.125, 7);
});

it("a package that brings no licence text has it nevertheless", () => {
  const text = notice(fileURLToPath(new URL("../node_modules/lerc", import.meta.url)));
  expect(text).toMatch(/^lerc \S+: Apache-2.0\n\nCopyright [-\d]+ Esri\n/);
  expect(text).toContain("TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION");
  expect(() => notice(fileURLToPath(new URL("data/unlicensed", import.meta.url)))).toThrow("nobody 1.0.0");
});

it("a module's package is the innermost", () => {
  expect(packageFolder("/x/node_modules/ol/node_modules/pbf/index.js?v=1")).toBe("/x/node_modules/ol/node_modules/pbf");
  expect(packageFolder("/x/node_modules/@petamoriken/float16/a/b.mjs")).toBe("/x/node_modules/@petamoriken/float16");
  expect(packageFolder("/x/src/main.ts")).toBeNull();
});
