import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";

import { forgetRasters } from "../src/cog";
import { type Picture, type Wish, paint } from "../src/layers";
import type { ReadOptions, TileYear } from "../src/model";
import { forgetTiffs } from "../src/tiff";
import { tileOf } from "./documents-of";
import { golden } from "./golden";
import { Host, data } from "./host";

// Files of the size from which a page takes overviews would be large: a page of little memory is looked at.
vi.mock(import("../src/cog"), async (original) => {
  const cog = await original();
  const little = <O extends ReadOptions>(options?: O) => ({ ...options, maxPixels: golden.odd[2].width * golden.odd[2].height });
  return {
    ...cog,
    readEmbeddings: (tile, options) => cog.readEmbeddings(tile, little(options)),
    readBands: (tile, bands, options) => cog.readBands(tile, bands, little(options)),
  };
});

const [ODD, , COARSE] = golden.odd;
/** The pixel that the golden cosines are to. */
const { column: COLUMN, row: ROW } = ODD.pixels[1];

let host: Host;
beforeAll(async () => {
  host = await Host.start();
});
beforeEach(() => {
  host.clear();
  forgetRasters();
  forgetTiffs();
  // Nothing is painted here: there is no page.
  vi.stubGlobal("document", { createElement: () => ({ getContext: () => null }) });
});
afterEach(() => vi.unstubAllGlobals());
afterAll(() => host.stop());

function tile(embeddings: string): TileYear {
  const made = tileOf({ embeddings }, { properties: { "proj:shape": [ODD.height, ODD.width] } });
  made.item.assets["thumbnail"] = { href: host.put("/preview.png", { body: "a picture", type: "image/png" }) };
  return made;
}

function painted(more: Partial<Wish> = {}): Promise<Picture> {
  const { signal } = new AbortController();
  const odd = tile(host.file("/odd.tif", "odd.tif"));
  return paint({ tile: odd, kind: "similarity", bands: [0, 1, 2], pixel: [COLUMN, ROW], other: odd, signal, ...more });
}

it("a pixel of full resolution is read from the coarse one above it", async () => {
  const { read, raster } = await painted();
  expect(raster).toMatchObject({ width: COARSE.width, height: COARSE.height, metres: 40, level: 2 });
  ODD.pixels.forEach(({ column, row }, place) => {
    const { similarity } = COARSE.pixels[place];
    const value = read(column, row)?.value;
    if (similarity === null) expect(value).toBe("");
    else expect(Number(value)).toBeCloseTo(similarity, 6);
  });
  expect(read(ODD.width, 0)).toBeNull();
});

it.each(["bands", "similarity", "change"] as const)("%s of an overview says so", async (kind) => {
  const { legend } = await painted({ kind });
  expect(legend.lines).toContain("Drawn at 40 m, the mean of the file's pixels of 10 m.");
});

it("a preview that was averaged says so", async () => {
  vi.stubGlobal("createImageBitmap", () => ({ width: 259, height: 5, close: () => undefined }));
  const { legend } = await painted({ kind: "pca" });
  expect(legend.lines).toContain("Drawn at 20 m, the mean of the file's pixels of 10 m.");
});

it("what similarity is to is one pixel of the file", async () => {
  const { legend, read } = await painted();
  expect(legend.lines[0]).toContain("a single one of 10 m: where it lies, a mean is drawn, which may read less than 1");
  expect(Number(read(COLUMN, ROW)?.value)).toBeLessThan(1);
});

it("a pixel that is waited for in vain is given up", async () => {
  const address = host.put("/silent.tif", { body: data("odd.tif"), silentFrom: 0 });
  const [going, silent] = [new AbortController(), tile(address)];
  const work = painted({ tile: silent, signal: going.signal });
  setTimeout(() => going.abort(), 50);
  await expect(work).rejects.toMatchObject({ name: "AbortError" });
});

it("of two years the one whose file is broken is named", async () => {
  const broken = { ...tile(host.put("/broken.tif", { body: "no picture".repeat(100) })), year: 2019 };
  const words = /^2705U_4199L of 2019 cannot be compared\. broken\.tif is no GeoTIFF/;
  await expect(painted({ kind: "change", other: broken })).rejects.toThrow(words);
});
