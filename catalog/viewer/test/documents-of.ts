/** Documents of a small catalog, in the form that the package publishes. */

import { golden } from "./golden";
import type { Host } from "./host";
import type { StacItem, TileYear } from "../src/model";

export const COLLECTION = "betaearth-demo-synthetic-2km-v1";
export const SUPERBLOCK = "r1e-c16";
export const BLOCK = "r1e2-c16b";

export interface CellFiles {
  /** By asset: name of a file of the golden data. */
  embeddings: string;
  quality?: string;
}

/** Put an Item with its files on a host. */
export function putItem(host: Host, year: number, cell: string, files: CellFiles, more: object = {}): string {
  const folder = `/${COLLECTION}/${year}/${SUPERBLOCK}/${BLOCK}/${cell.toLowerCase()}`;
  host.file(`${folder}/0123456789ab/embeddings.tif`, files.embeddings);
  if (files.quality) host.file(`${folder}/0123456789ab/quality.tif`, files.quality);
  host.put(`${folder}/made.manifest.json`, { outcome: "product", request: { year }, granules: [], scenes: [] });
  return host.put(`${folder}/${COLLECTION}_${cell.toLowerCase()}_${year}.json`, itemDocument(year, cell, more));
}

/** Put the catalogs above Items on a host; returns the address of the root. */
export function putCatalogs(host: Host, years: Record<number, string[]>): string {
  for (const [year, cells] of Object.entries(years)) {
    const links = cells.map((cell) => ({
      rel: "item",
      href: `./${cell.toLowerCase()}/${COLLECTION}_${cell.toLowerCase()}_${year}.json`,
      title: `${cell} ${year}`,
    }));
    const empty = [{ cell: "2700U_4199L", manifests: [], reason: "the sea alone" }];
    const at = `/${COLLECTION}/${year}`;
    host.put(`${at}/catalog.json`, catalog(`${COLLECTION}_${year}`, [child(SUPERBLOCK, "Super-block")]));
    host.put(`${at}/${SUPERBLOCK}/catalog.json`, catalog(SUPERBLOCK, [child(BLOCK, "Block")]));
    host.put(`${at}/${SUPERBLOCK}/${BLOCK}/catalog.json`, { ...catalog(BLOCK, links), "betaearth:empty": empty });
  }
  const yearLinks = Object.keys(years).map((year) => ({ rel: "child", href: `./${year}/catalog.json`, title: year }));
  host.put(`/${COLLECTION}/collection.json`, {
    ...catalog(COLLECTION, yearLinks),
    type: "Collection",
    title: "Annual embeddings",
    license: "CC-BY-4.0",
    extent: { spatial: { bbox: [[-114.1, 48.5, -114, 48.7]] }, temporal: { interval: [[null, null]] } },
    summaries: { "betaearth:spacing_m": [2000.0] },
  });
  const link = { rel: "child", href: `./${COLLECTION}/collection.json`, title: "Annual embeddings" };
  return host.put("/catalog.json", catalog("betaearth", [{ rel: "root", href: "./catalog.json" }, link]));
}

export function catalog(id: string, links: object[]): object {
  return { type: "Catalog", stac_version: "1.1.0", id, title: `Title of ${id}`, description: "Words.", links };
}

/** An Item that was read, of files at any address. */
export function tileOf(assets: Record<string, string>, more: object = {}): TileYear {
  const item = itemDocument(2021, "2705U_4199L", more) as unknown as StacItem;
  for (const name of Object.keys(item.assets)) {
    if (name in assets) item.assets[name].href = assets[name];
    else delete item.assets[name];
  }
  const url = "http://127.0.0.1/item.json";
  const [cell, collection] = ["2705U_4199L", COLLECTION];
  return { id: item.id, url, cell, year: 2021, collection, box: [0, 0, 1, 1], ring: golden.ring, item };
}

function child(name: string, kind: string): object {
  return { rel: "child", href: `./${name}/catalog.json`, title: `${kind} ${name}` };
}

function itemDocument(year: number, cell: string, more: object): Record<string, unknown> {
  const lons = golden.ring.map(([lon]) => lon);
  const lats = golden.ring.map(([, lat]) => lat);
  return {
    type: "Feature",
    stac_version: "1.1.0",
    id: `${COLLECTION}_${cell.toLowerCase()}_${year}`,
    geometry: { type: "Polygon", coordinates: [golden.ring] },
    bbox: [Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)],
    collection: COLLECTION,
    links: [
      { rel: "parent", href: "../catalog.json" },
      { rel: "via", href: "./made.manifest.json" },
    ],
    assets: {
      embeddings: { href: "./0123456789ab/embeddings.tif", "file:size": 22146 },
      quality: {
        href: "./0123456789ab/quality.tif",
        nodata: 65535,
        bands: [
          { name: "obs_count", description: "Observations in the mean" },
          { name: "dispersion", description: "1 - length of the mean", "raster:scale": 0.0001 },
        ],
      },
    },
    ...more,
    properties: {
      start_datetime: `${year}-01-01T00:00:00Z`,
      "grid:code": `MAJORTOM-2-${cell}`,
      "proj:code": golden.crs,
      "proj:shape": golden.shape,
      "proj:transform": golden.transform,
      ...(more as { properties?: object }).properties,
    },
  };
}
