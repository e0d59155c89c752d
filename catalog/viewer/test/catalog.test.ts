import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { blocksOf, emptyCellsOf, openCatalog, tilesOf } from "../src/catalog";
import { fetchDocument, fetchJson, forgetDocuments } from "../src/documents";
import { findTile, siblingsOf } from "../src/find";
import { manifestOf } from "../src/item";
import { type CollectionInfo, ViewerError } from "../src/model";
import { BLOCK, COLLECTION, SUPERBLOCK, catalog, putCatalogs, putItem } from "./documents-of";
import { golden } from "./golden";
import { Host } from "./host";

const CELLS = ["2705U_4198L", "2705U_4199L"];

let host: Host;
beforeAll(async () => {
  host = await Host.start();
});
beforeEach(() => {
  host.clear();
  forgetDocuments();
});
afterAll(() => host.stop());

/** Put a catalog of two cells in two years on the host; returns the collection. */
async function collection(): Promise<CollectionInfo> {
  const root = putCatalogs(host, { 2021: CELLS, 2022: [CELLS[1]] });
  for (const cell of CELLS) putItem(host, 2021, cell, { embeddings: "int8.tif" });
  putItem(host, 2022, CELLS[1], { embeddings: "int8-later.tif" });
  return (await openCatalog(root)).collections[0];
}

async function failure(work: Promise<unknown>): Promise<ViewerError> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ViewerError);
  return error as ViewerError;
}

describe("opening", () => {
  it("says what is there", async () => {
    const root = putCatalogs(host, { 2022: [], 2021: [] });
    const opened = await openCatalog(root);
    expect(opened).toMatchObject({ url: root, title: "Title of betaearth", failed: [] });
    expect(opened.collections).toHaveLength(1);
    expect(opened.collections[0]).toMatchObject({
      id: COLLECTION,
      title: "Annual embeddings",
      years: [2021, 2022],
      box: [-114.1, 48.5, -114, 48.7],
      license: "CC-BY-4.0",
    });
  });

  it("takes the folder, the collection, an Item and any catalog between", async () => {
    await collection();
    const inside = `${host.origin}/${COLLECTION}`;
    const item = host.put("/elsewhere.json", {
      type: "Feature",
      id: "x",
      links: [{ rel: "root", href: "./catalog.json" }],
    });
    const year = host.put("/year.json", catalog("year", [{ rel: "root", href: "./catalog.json" }]));
    for (const address of [host.origin, `${host.origin}/`, inside, `${inside}/collection.json`, item, year]) {
      expect((await openCatalog(address)).collections.map(({ id }) => id), address).toEqual([COLLECTION]);
    }
    expect((await openCatalog(new URL(host.origin).host)).collections).toHaveLength(1);
  });

  it("says what an address below the root is of", async () => {
    const root = await collection().then(() => `${host.origin}/catalog.json`);
    const year = `${host.origin}/${COLLECTION}/2021`;
    const up = (depth: number) => [{ rel: "root", href: `${"../".repeat(depth)}catalog.json` }];
    const below = `/${COLLECTION}/2021/${SUPERBLOCK}/${BLOCK}`;
    const item = { type: "Feature", id: "an-item", links: up(5) };
    const asked = async (address: string) => (await openCatalog(address)).asked;
    host.put(`${below}/cell/an-item.json`, item);
    host.put(`${below}/lone/catalog.json`, catalog("lone", up(5)));
    const copied = { ...item, collection: COLLECTION, links: up(0) };
    const of = { collection: COLLECTION, year: 2021 };
    expect(await asked(`${year}/${SUPERBLOCK}/${BLOCK}/cell/an-item.json`)).toEqual({ ...of, item: "an-item" });
    expect(await asked(`${year}/${SUPERBLOCK}/${BLOCK}/lone/catalog.json`)).toEqual({ ...of, item: null });
    expect(await asked(host.put("/copied.json", copied))).toEqual({ collection: COLLECTION, year: null, item: "an-item" });
    expect(await asked(root)).toEqual({ collection: null, year: null, item: null });
  });

  it("keeps what can be read where a collection cannot", async () => {
    await collection();
    const links = [
      { rel: "child", href: `./${COLLECTION}/collection.json` },
      { rel: "child", href: "./gone/collection.json" },
    ];
    const opened = await openCatalog(host.put("/catalog.json", catalog("two", links)));
    expect(opened.collections).toHaveLength(1);
    expect(opened.failed.map(({ kind, url }) => [kind, url])).toEqual([
      ["missing", `${host.origin}/gone/collection.json`],
    ]);
  });

  it("roots that link each other are not followed for ever", async () => {
    const one = host.put("/one/catalog.json", catalog("one", [{ rel: "root", href: "../two/catalog.json" }]));
    host.put("/two/catalog.json", catalog("two", [{ rel: "root", href: "../one/catalog.json" }]));
    expect((await openCatalog(one)).collections).toEqual([]);
  });

  it.each([
    ["not an address", "http://", /is no address/],
    ["nothing there", "/nothing", /catalog\.json is not there/],
  ])("%s", async (_, address, words) => {
    expect((await failure(openCatalog(address.startsWith("/") ? host.origin + address : address))).message).toMatch(words);
  });
});

describe("going down", () => {
  it("blocks are placed by their names", async () => {
    const blocks = await blocksOf(await collection(), 2021);
    expect(blocks.map(({ id, title }) => [id, title])).toEqual([[BLOCK, `Block ${BLOCK}`]]);
    const known = golden.blocks.find(({ name, spacing }) => name === BLOCK && spacing === 2000);
    blocks[0].box!.forEach((value, place) => expect(value).toBeCloseTo(known!.box[place], 9));
    expect(host.asked.filter(({ path }) => path.includes(BLOCK))).toEqual([]);
  });

  it("super-blocks out of view are not read", async () => {
    const here = await collection();
    const seen = async (within: [number, number, number, number]) => (await blocksOf(here, 2021, { within })).length;
    expect(await seen([0, 0, 10, 10])).toBe(0);
    expect(host.asked.filter(({ path }) => path.includes(SUPERBLOCK))).toEqual([]);
    expect((await blocksOf(here, 2021, { within: [0, 0, 10, 10] })).elsewhere).toHaveLength(1);
    expect(await seen([-114.1, 48.6, -114, 48.7])).toBe(1);
    expect((await blocksOf(here, 2021, { within: [-114.1, 48.6, -114, 48.7] })).elsewhere).toEqual([]);
    expect(await seen([245.9, 48.6, 246, 48.7])).toBe(1);
  });

  it("tiles say cell, year and outline, in order; what is superseded or broken is apart", async () => {
    const here = await collection();
    putItem(host, 2021, CELLS[0], { embeddings: "int8.tif" }, { properties: { deprecated: true } });
    const [block] = await blocksOf(here, 2021);
    const tiles = await tilesOf(here, 2021, block);
    expect(tiles.map(({ cell, year, collection: id }) => [cell, year, id])).toEqual([[CELLS[1], 2021, COLLECTION]]);
    expect(tiles[0].ring).toEqual(golden.ring);
    expect(tiles[0].item.assets.embeddings.href).toBe(
      `${host.origin}/${COLLECTION}/2021/${SUPERBLOCK}/${BLOCK}/2705u_4199l/0123456789ab/embeddings.tif`,
    );
    forgetDocuments();
    host.put(new URL(tiles[0].url).pathname, { status: 403, body: "" });
    const without = await tilesOf(here, 2021, block);
    expect(without).toHaveLength(0);
    expect(without.failed.map(({ kind }) => kind)).toEqual(["refused"]);
    expect(await emptyCellsOf(block)).toEqual([{ cell: "2700U_4199L", reason: "the sea alone" }]);
  });

  it("few requests are open at once", async () => {
    const cells = Array.from({ length: 30 }, (_, place) => `${2700 + place}U_4199L`);
    const here = (await openCatalog(putCatalogs(host, { 2021: cells }))).collections[0];
    for (const cell of cells) putItem(host, 2021, cell, { embeddings: "int8.tif" });
    const [block] = await blocksOf(here, 2021);
    let [open, most] = [0, 0];
    const real = globalThis.fetch;
    globalThis.fetch = async (...given) => {
      most = Math.max(most, ++open);
      try {
        return await real(...given);
      } finally {
        open--;
      }
    };
    try {
      expect(await tilesOf(here, 2021, block)).toHaveLength(30);
    } finally {
      globalThis.fetch = real;
    }
    expect(most).toBeLessThanOrEqual(8);
  });

  it("the other years of a cell are found without asking for what is not there", async () => {
    const here = await collection();
    const tiles = await tilesOf(here, 2021, (await blocksOf(here, 2021))[0]);
    const siblings = await Promise.all(tiles.map((tile) => siblingsOf(tile, here)));
    const found = siblings.map(({ tiles: others }) => others.map(({ cell, year }) => [cell, year]));
    expect(found).toEqual([[], [[CELLS[1], 2022]]]);
    const gone = host.asked.filter(({ path }) => path.endsWith(`/${CELLS[0].toLowerCase()}_2022.json`));
    expect(gone).toEqual([]);
  });

  it("another year that cannot be read is named, and does not hide the rest", async () => {
    const here = await collection();
    const tile = (await findTile(here, 2021, CELLS[1]))!;
    host.put(`/${COLLECTION}/2022/catalog.json`, { status: 503, body: "" });
    const siblings = await siblingsOf(tile, here);
    expect(siblings.tiles).toEqual([]);
    expect(siblings.failed.map(({ year, error }) => [year, error.kind])).toEqual([[2022, "unreachable"]]);
  });

  it("a manifest is found by its link", async () => {
    const here = await collection();
    const [tile] = await tilesOf(here, 2021, (await blocksOf(here, 2021))[0]);
    expect(await manifestOf(tile)).toMatchObject({ outcome: "product", request: { year: 2021 } });
  });

  it.each([[{ a: 1 }], [[]], [{ request: {}, granules: [] }]])("JSON that is no manifest is not taken for one: %j", async (document) => {
    const here = await collection();
    const [tile] = await tilesOf(here, 2021, (await blocksOf(here, 2021))[0]);
    host.put(new URL(tile.item.links.find(({ rel }) => rel === "via")!.href).pathname, document);
    const error = await failure(manifestOf(tile));
    expect(error.kind).toBe("malformed");
    expect(error.message).toMatch(/^made\.manifest\.json is JSON, but no manifest/);
  });

  it("a year that is not there is named with those that are", async () => {
    const error = await failure(blocksOf(await collection(), 2019));
    expect(error.message).toBe("Annual embeddings has no year 2019: it has 2021, 2022.");
  });

  it("a tile across 180 degrees runs on", async () => {
    const here = await collection();
    const { crs, size, transform, ring } = golden.antimeridian;
    putItem(host, 2021, CELLS[1], { embeddings: "int8.tif" }, {
      bbox: [179.9, -17, -179.9, -16.9],
      geometry: { type: "MultiPolygon", coordinates: [] },
      properties: { "proj:code": crs, "proj:shape": [size, size], "proj:transform": transform },
    });
    const tiles = await tilesOf(here, 2021, (await blocksOf(here, 2021))[0]);
    const [west, , east] = tiles.find(({ cell }) => cell === CELLS[1])!.box;
    const lons = ring.map(([lon]) => (lon < 0 ? lon + 360 : lon));
    expect(west).toBeCloseTo(Math.min(...lons), 5);
    expect(east).toBeCloseTo(Math.max(...lons), 5);
    expect(east).toBeGreaterThan(180);
  });
});

describe("documents", () => {
  it("addresses become absolute, from where a redirect led; programs are no addresses", async () => {
    host.put("/deep/catalog.json", {
      ...catalog("x", [
        { rel: "child", href: "./a/catalog.json" },
        { rel: "child", href: "javascript:alert(1)" },
        { rel: "child" },
        [],
      ]),
      assets: { table: { href: "../t.parquet" }, bad: { href: "javascript:alert(1)" }, none: {} },
    });
    const document = await fetchDocument(host.put("/start.json", { body: "", redirect: "/deep/catalog.json" }));
    expect(document.links.map(({ href }) => href)).toEqual([`${host.origin}/deep/a/catalog.json`]);
    expect(Object.entries(document.assets!).map(([name, { href }]) => [name, href])).toEqual([
      ["table", `${host.origin}/t.parquet`],
    ]);
  });

  it.each([
    ["a web page", { body: "<!doctype html><title>Login</title>", type: "text/html" }, /is a web page and no JSON/],
    ["cut off", { body: '{"type": "Cat' }, /no valid JSON/],
    ["other JSON", { body: "[1, 2]" }, /no STAC document/],
  ])("%s is malformed", async (_, answer, words) => {
    const error = await failure(fetchDocument(`${host.put("/catalog.json", answer)}?sig=secret`));
    expect(error.kind).toBe("malformed");
    expect(error.message).toMatch(words);
    expect(error.message + error.url).not.toContain("secret");
  });

  it("of a name that is everywhere is told with its folder", async () => {
    const address = host.put("/deep/r1-c1/catalog.json", { body: "{" });
    expect((await failure(fetchDocument(address))).message).toMatch(/^r1-c1\/catalog\.json is no valid JSON/);
  });

  it("is asked for once", async () => {
    const url = host.put("/catalog.json", catalog("x", []));
    await Promise.all([fetchDocument(url), fetchDocument(url)]);
    await fetchDocument(url);
    expect(host.asked).toHaveLength(1);
  });

  it("neither cookies nor other schemes", async () => {
    expect((await failure(fetchJson("file:///etc/hostname"))).kind).toBe("refused");
  });
});
