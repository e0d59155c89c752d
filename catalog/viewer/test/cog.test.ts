import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";

import { forgetRasters, readBands, readEmbeddings, readQuality, readVector } from "../src/cog";
import { type Embeddings, type TileYear, ViewerError } from "../src/model";
import { changeBetween, similarityTo } from "../src/similarity";
import { forgetTiffs } from "../src/tiff";
import { tileOf } from "./documents-of";
import { golden } from "./golden";
import { Host, data } from "./host";

const FULL = { maxPixels: 1e6 };

let host: Host;
beforeAll(async () => {
  host = await Host.start();
});
beforeEach(() => {
  host.clear();
  forgetRasters();
  forgetTiffs();
});
afterAll(() => host.stop());

function tile(name: string): TileYear {
  return tileOf({ embeddings: host.file(`/${name}`, name) });
}

describe.each(["int8", "float32"] as const)("%s", (name) => {
  it.each([
    [0, 1e6],
    [1, 50_000],
  ])("level %i is decoded as by numpy", async (level, maxPixels) => {
    const read = await readEmbeddings(tile(`${name}.tif`), { maxPixels });
    const known = golden.files[name][level];
    expect(read).toMatchObject({ width: known.width, height: known.height, level, encoding: name });
    expect(read.valid.reduce((sum, is) => sum + is, 0)).toBe(known.valid);
    expect(read.vectors.reduce((sum, value) => sum + value, 0)).toBeCloseTo(known.sum, 1);
    for (const { column, row, vector } of known.pixels) expectVector(read, column, row, vector);
  });

  it("similarity is numpy's", async () => {
    const [column, row] = [12, 34];
    const vector = await readVector(tile(`${name}.tif`), column, row);
    for (const [level, known] of golden.files[name].entries()) {
      const read = await readEmbeddings(tile(`${name}.tif`), { maxPixels: known.width * known.height });
      const cosines = similarityTo(read, vector!);
      for (const each of known.pixels) {
        const found = cosines[each.row * read.width + each.column];
        if (each.similarity === null) expect(found, `level ${level}`).toBeNaN();
        else expect(found).toBeCloseTo(each.similarity, 6);
      }
      const sum = cosines.reduce((total, value) => total + (Number.isNaN(value) ? 0 : value), 0);
      expect(sum).toBeCloseTo(known.similarity_sum, 2);
    }
  });

  it("a pixel is read from its own block", async () => {
    const one = tile(`${name}.tif`);
    const { pixels } = golden.files[name][0];
    for (const { column, row, vector } of pixels) {
      const found = await readVector(one, column, row);
      if (vector === null) expect(found).toBeNull();
      else vector.forEach((value, band) => expect(found![band]).toBeCloseTo(value, 6));
    }
  });
});

it("bands that lie apart are decoded the same", async () => {
  const apart = await readEmbeddings(tile("bands.tif"), FULL);
  const together = await readEmbeddings(tile("int8.tif"), FULL);
  // A matcher would look at five million numbers one by one.
  expect(Buffer.compare(Buffer.from(apart.vectors.buffer), Buffer.from(together.vectors.buffer))).toBe(0);
  expect(Buffer.compare(apart.valid, together.valid)).toBe(0);
  expect(await readVector(tile("bands.tif"), 257, 3)).toEqual(await readVector(tile("int8.tif"), 257, 3));
});

it("change is numpy's", async () => {
  const [before, after] = [await readEmbeddings(tile("int8.tif"), FULL), await readEmbeddings(tile("int8-later.tif"), FULL)];
  const change = changeBetween(before, after);
  golden.files.int8[0].pixels.forEach(({ column, row }, place) => {
    const known = golden.change.pixels[place];
    const found = change[row * before.width + column];
    if (known === null) expect(found).toBeNaN();
    else expect(found).toBeCloseTo(known, 6);
  });
  expect(change.reduce((sum, value) => sum + (Number.isNaN(value) ? 0 : value), 0)).toBeCloseTo(golden.change.sum, 1);
  expect(changeBetween(before, before).every((value) => Number.isNaN(value) || value < 1e-6)).toBe(true);
});

it("other pixels are not compared", async () => {
  const full = await readEmbeddings(tile("int8.tif"), FULL);
  const half = await readEmbeddings(tile("int8.tif"), { maxPixels: 50_000 });
  expect(() => changeBetween(full, half)).toThrow(/300 x 270 in EPSG:32633, 150 x 135/);
  expect(() => changeBetween(full, { ...full, crs: "EPSG:32634" })).toThrow(ViewerError);
  const moved: Embeddings = { ...full, transform: [10, 0, golden.transform[2] + 10, 0, -10, golden.transform[5]] };
  expect(() => changeBetween(full, moved)).toThrow(ViewerError);
});

it("the pixels lie where the file says", async () => {
  const full = await readEmbeddings(tile("int8.tif"), FULL);
  expect(full).toMatchObject({ crs: golden.crs, transform: golden.transform, metres: 10 });
  const half = await readEmbeddings(tile("int8.tif"), { maxPixels: 50_000 });
  const [a, , c, , e, f] = golden.transform;
  expect(half).toMatchObject({ transform: [2 * a, 0, c, 0, 2 * e, f], metres: 20, full: { width: 300, height: 270 } });
});

it("three bands are components of the unit vectors", async () => {
  const bands = await readBands(tile("int8.tif"), [0, 63, 7], FULL);
  const full = await readEmbeddings(tile("int8.tif"), FULL);
  [0, 63, 7].forEach((band, place) => {
    const pixel = 34 * 300 + 12;
    expect(bands.values[place][pixel]).toBe(full.vectors[pixel * 64 + band]);
    expect(bands.values[place][0]).toBeNaN();
  });
  await expect(readBands(tile("int8.tif"), [0, 64, 7], FULL)).rejects.toThrow("There is no band 64");
});

it("quality is scaled, and has names for people", async () => {
  const quality = await readQuality(tileOf({ quality: host.file("/quality.tif", "quality.tif") }));
  expect(quality.bands.map(({ name, title }) => [name, title])).toEqual([
    ["obs_count", "Observations"],
    ["dispersion", "Dispersion"],
  ]);
  quality.bands.forEach(({ name, values }, band) => {
    const known = golden.quality[band];
    expect(name).toBe(known.name);
    golden.files.int8[0].pixels.forEach(({ column, row }, place) => {
      const value = values[row * quality.width + column];
      if (known.pixels[place] === null) expect(value).toBeNaN();
      else expect(value).toBeCloseTo(known.pixels[place], 6);
    });
    expect(values.reduce((sum, value) => sum + (Number.isNaN(value) ? 0 : value), 0)).toBeCloseTo(known.sum, 1);
  });
});

it("a pixel takes the head of its file and its own block", async () => {
  await readVector(tile("int8.tif"), 257, 3);
  const { offset, length } = golden.block;
  expect(host.asked.map(({ range }) => range)).toEqual(["bytes=0-65535", `bytes=${offset}-${offset + length - 1}`]);
});

it("a pixel takes few bytes, and what is decoded is not read again", async () => {
  const one = tile("bands.tif");
  await readVector(one, 3, 3);
  const size = data("bands.tif").length;
  expect(host.asked.every(({ range }) => range !== undefined)).toBe(true);
  expect(host.asked.length).toBeLessThan(6);
  await readEmbeddings(one, FULL);
  const asked = host.asked.length;
  await Promise.all([readEmbeddings(one, FULL), readBands(one, [1, 2, 3], FULL), readVector(one, 3, 3)]);
  expect(host.asked.length).toBe(asked);
  expect(size).toBeGreaterThan(0);
});

it("who asks at the same time waits for the same", async () => {
  const one = tile("int8.tif");
  const [first, second] = await Promise.all([readEmbeddings(one, FULL), readEmbeddings(one, FULL)]);
  expect(first).toBe(second);
});

it("progress ends with all bytes", async () => {
  const seen: [number, number][] = [];
  await readEmbeddings(tile("float32.tif"), { ...FULL, progress: (bytes, of) => seen.push([bytes, of]) });
  const [bytes, of] = seen[seen.length - 1];
  expect(bytes).toBe(of);
  expect(of).toBeLessThan(data("float32.tif").length);
});

it("work is given up by its signal, and who else asked gets it nevertheless", async () => {
  const one = tile("int8.tif");
  const [giver, aborter] = [new AbortController(), new AbortController()];
  const given = readEmbeddings(one, { ...FULL, signal: giver.signal });
  const wanted = readEmbeddings(one, FULL);
  giver.abort();
  aborter.abort();
  await expect(given).rejects.toMatchObject({ name: "AbortError" });
  expect((await wanted).width).toBe(300);
  forgetRasters();
  await expect(readEmbeddings(one, { ...FULL, signal: aborter.signal })).rejects.toMatchObject({ name: "AbortError" });
});

it("a file that is larger than a page's memory is not decoded whole, but pixel by pixel", async () => {
  const large = tileOf({ embeddings: host.file("/large.tif", "large.tif"), quality: host.file("/quality.tif", "large.tif") });
  for (const read of [readEmbeddings, readQuality]) {
    const error: unknown = await read(large).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ViewerError);
    expect((error as ViewerError).message).toContain("its coarsest resolution has 4000 x 4000 pixels in 64 bands");
  }
  expect(await readVector(large, 3999, 3999)).toBeNull();
});

it.each([
  ["width", 0x100, 0xffff_fff0, "lie in"],
  ["width of a block", 0x142, 0xffff_fff0, "its blocks have"],
  ["bands", 0x115, 65_535, "65535 bands"],
])("a header that lies about its %s takes no memory", async (_, tag, value, words) => {
  const body = Uint8Array.from(data("int8.tif"));
  lie(body, tag, value);
  const address = host.put("/lies.tif", { body });
  const lying = tileOf({ embeddings: address, quality: address });
  const error: unknown = await readQuality(lying, { maxPixels: 1e6 }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ViewerError);
  expect((error as ViewerError).message).toContain(words);
  expect((error as ViewerError).message).not.toContain("typed array");
});

it("a browser that has no memory for a file says so", async () => {
  const one = tile("int8.tif");
  const whole = 300 * 270 * 64;
  const none = class extends Float32Array {
    constructor(length: number) {
      if (length === whole) throw new RangeError("Array buffer allocation failed");
      super(length);
    }
  };
  vi.stubGlobal("Float32Array", none);
  await expect(readEmbeddings(one, FULL)).rejects.toMatchObject({
    name: "ViewerError",
    message: "This browser has no memory for the 300 x 270 pixels of int8.tif.",
  });
  vi.unstubAllGlobals();
});

describe("in words", () => {
  async function failure(work: Promise<unknown>): Promise<ViewerError> {
    const error = await work.then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ViewerError);
    return error as ViewerError;
  }

  function broken(answer: Parameters<Host["put"]>[1]): TileYear {
    return tileOf({ embeddings: `${host.put("/embeddings.tif", answer)}?X-Signature=secret` });
  }

  it.each([
    [404, "missing", "embeddings.tif is not there"],
    [403, "refused", "refuses to give"],
    [503, "unreachable", "cannot give embeddings.tif now (503)"],
    [418, "refused", "answered 418"],
  ])("status %i", async (status, kind, words) => {
    const error = await failure(readEmbeddings(broken({ status, body: "<Error/>" })));
    expect(error.kind).toBe(kind);
    expect(error.message).toContain(words);
    expect(error.message + error.url).not.toContain("secret");
  });

  it("a host that ignores ranges", async () => {
    const body = new Uint8Array(2 * 1024 * 1024);
    const error = await failure(readEmbeddings(broken({ body, ranges: false })));
    expect(error).toMatchObject({ kind: "unranged" });
    expect(error.message).toContain("has to answer to ranges");
  });

  it("a short file that is sent whole is read nevertheless", async () => {
    const read = await readEmbeddings(broken({ body: data("int8.tif"), ranges: false }), FULL);
    expect(read.width).toBe(300);
  });

  it.each([300, 9_000, 15_000, 22_000])("a file cut off after %i bytes", async (bytes) => {
    const error = await failure(readEmbeddings(broken({ body: data("int8.tif").slice(0, bytes) }), FULL));
    expect(error).toMatchObject({ kind: "malformed" });
    expect(error.message).toMatch(/cut off|shorter|no GeoTIFF/);
  });

  it("damaged pixels", async () => {
    const body = Uint8Array.from(data("int8.tif"));
    body.fill(0x55, 14_000, 21_000);
    const error = await failure(readEmbeddings(broken({ body }), FULL));
    expect(error.message).toContain("embeddings.tif is no GeoTIFF that can be read here");
  });

  it("something else than a TIFF", async () => {
    const error = await failure(readEmbeddings(broken({ body: "<!doctype html>".repeat(99), type: "text/html" })));
    expect(error).toMatchObject({ kind: "malformed" });
    expect(error.message).toContain("is no GeoTIFF");
  });

  it("another number of bands, another type", async () => {
    const quality = tileOf({ embeddings: host.file("/other.tif", "quality.tif") });
    expect((await failure(readEmbeddings(quality))).message).toBe("other.tif has 2 bands: an embedding has 64.");
  });

  it("no such pixel, no such file in the Item, no address for a browser", async () => {
    const one = tile("int8.tif");
    expect((await failure(readVector(one, 300, 0))).message).toContain("columns go from 0 to 299, rows from 0 to 269");
    expect((await failure(readVector(one, 0.5, 0))).kind).toBe("malformed");
    expect((await failure(readQuality(one))).message).toContain('lists no file "quality"');
    const bucket = tileOf({ embeddings: "s3://bucket/embeddings.tif" });
    expect((await failure(readEmbeddings(bucket))).kind).toBe("refused");
  });

  it("nobody there", async () => {
    const gone = await Host.start();
    const address = `${gone.origin}/embeddings.tif`;
    await gone.stop();
    const error = await failure(readEmbeddings(tileOf({ embeddings: address })));
    expect(error.kind).toBe("unreachable");
    expect(error.message).toContain("CORS");
  });

  it("what failed is tried again", async () => {
    const one = broken({ status: 503, body: "" });
    await failure(readEmbeddings(one));
    host.file("/embeddings.tif", "int8.tif");
    expect((await readEmbeddings(one)).width).toBe(300);
  });
});

function expectVector(read: Embeddings, column: number, row: number, vector: number[] | null): void {
  const pixel = row * read.width + column;
  expect(read.valid[pixel]).toBe(Number(vector !== null));
  for (let band = 0; band < 64; band++) {
    expect(read.vectors[pixel * 64 + band]).toBeCloseTo(vector?.[band] ?? 0, 6);
  }
}

/** Write another number into the first directory of a little-endian file. */
function lie(file: Uint8Array, tag: number, value: number): void {
  const view = new DataView(file.buffer);
  const directory = view.getUint32(4, true);
  for (let entry = 0; entry < view.getUint16(directory, true); entry++) {
    const at = directory + 2 + entry * 12;
    if (view.getUint16(at, true) !== tag) continue;
    if (view.getUint16(at + 2, true) === 3 && value > 65_535) view.setUint16(at + 2, 4, true);
    view.setUint32(at + 8, value, true);
  }
}
