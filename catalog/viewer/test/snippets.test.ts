import { describe, expect, it } from "vitest";

import type { CollectionInfo, StacItem, TileYear } from "../src/model";
import { shell, snippetsOf } from "../src/snippets";

const FOLDER = "https://example.org/c/2021/cell";

function tileOf(properties: Record<string, unknown>): TileYear {
  const item = { assets: { embeddings: { href: `${FOLDER}/embeddings.tif` } }, properties } as unknown as StacItem;
  const box: TileYear["box"] = [13.1, 48.7, 13.2, 48.8];
  return { id: "x", url: `${FOLDER}/x.json`, cell: "1U_1R", year: 2021, collection: "c", box, ring: [], item };
}

function codeFor(tool: string, properties: Record<string, unknown>, assets: Record<string, unknown> = {}): string {
  const collection = { raw: { assets } } as unknown as CollectionInfo;
  const looked = { tile: tileOf(properties), collection, axes: ["A01", "A16", "A09"], pixel: [12, 34] as const };
  return snippetsOf(looked).find((snippet) => snippet.tool === tool)?.code ?? "";
}

describe("snippets", () => {
  it("decode codes, and leave vectors as they are", () => {
    const int8 = { "emb:quantization": { method: "aef-signed-square" } };
    for (const tool of ["Python odc-stac", "rioxarray"]) {
      expect(codeFor(tool, int8)).toContain("127.5");
      expect(codeFor(tool, int8)).toContain("-128");
      expect(codeFor(tool, {})).not.toContain("127.5");
      expect(codeFor(tool, {})).toContain("-9999");
    }
  });

  it("count GDAL's bands from 1, and rows before columns in Python", () => {
    expect(codeFor("GDAL", {})).toContain("-b 2 -b 17 -b 10");
    expect(codeFor("betaearth", {})).toContain("vectors[:, 34, 12]");
  });

  it("leave pixels without an embedding without a cosine", () => {
    expect(codeFor("betaearth", {})).toContain('.sum("band", skipna=False)');
  });

  it("search the parts of the mirror that can hold the tile", () => {
    const part = (name: string, year: number, bbox: number[]) => ({
      href: `https://example.org/items/year=${year}/${name}.parquet`,
      roles: ["collection-mirror"],
      "betaearth:bbox": bbox,
    });
    const code = codeFor("DuckDB", {}, {
      near: part("near", 2021, [13, 48, 14, 49]),
      far: part("far", 2021, [50, 48, 51, 49]),
      older: part("older", 2020, [13, 48, 14, 49]),
    });
    expect(code).toContain("near.parquet");
    expect(code).not.toMatch(/far\.parquet|older\.parquet/);
    expect(codeFor("DuckDB", {})).toBe("");
  });
});

it("quotes words for a shell", () => {
  expect(shell("https://example.org/x.json")).toBe("https://example.org/x.json");
  expect(shell("it's $HOME")).toBe(`'it'\\''s $HOME'`);
});

it("says that DuckDB has to fetch something to read over HTTP", () => {
  const assets = { part: { href: "https://example.org/items/year=2021/a.parquet", roles: ["collection-mirror"] } };
  const collection = { raw: { assets } } as unknown as CollectionInfo;
  const looked = { tile: tileOf({}), collection, axes: ["A01", "A16", "A09"], pixel: [12, 34] as const };
  expect(snippetsOf(looked).find(({ tool }) => tool === "DuckDB")?.note).toContain("httpfs");
});
