/** A static catalog, read downwards as far as it is looked at: collections, years, blocks, Items. */

import { fetchDocument, fetchJson, forgetDocuments, isObject } from "./documents";
import { blockBox, spacingOf, superblockBox, superblockOf, blockOf } from "./grid";
import type { Block, Blocks, Box, CatalogInfo, CollectionInfo, StacDocument, StacItem, StacLink, TileYear, Tiles } from "./model";
import { ViewerError } from "./model";
import { ringOf, unwrapped } from "./projection";
import { fileName, forEach, parted, shown, trouble } from "./requests";

/**
 * Open a catalog or a single collection.
 *
 * @param url of a catalog.json or collection.json, or of the folder that one is in; of an Item or a catalog further
 *     down, too: the root that it links is opened
 * @throws ViewerError: there is none, or none of its collections can be read
 */
export async function openCatalog(url: string, signal?: AbortSignal): Promise<CatalogInfo> {
  // Who opens a catalog again wants to see what has become of it.
  forgetDocuments();
  return openedAt(completed(url), true, signal);
}

/** Open what is at an address, or once the root that it links: roots that link each other are none. */
async function openedAt(url: string, follow: boolean, signal?: AbortSignal): Promise<CatalogInfo> {
  const [document, address] = await entryAt(url, signal);
  if (document.type === "Collection") {
    const collection = collectionOf(document, address);
    const { title, description } = collection;
    return { url: address, title, description, collections: [collection], failed: [] };
  }
  const below = children(document).filter(({ href }) => !isCatalog(href));
  const root = document.links.find(({ rel }) => rel === "root");
  if (follow && below.length === 0 && root !== undefined && shown(root.href) !== shown(address)) {
    return openedAt(root.href, false, signal);
  }
  if (document.type !== "Catalog") throw unsuited(document, address);
  const read = async ({ href }: StacLink) => collectionOf(await fetchDocument(href, signal), href);
  const { values, failed } = parted(await forEach(below, read));
  if (values.length === 0 && failed.length > 0) throw failed[0];
  return {
    url: address,
    title: document.title ?? document.id,
    description: document.description ?? "",
    collections: values,
    failed,
  };
}

/**
 * List the blocks of a year: its catalog and those of its super-blocks are read, no Item.
 *
 * @param within only super-blocks that share an area with this box are read
 * @throws ViewerError: the year is not there, or cannot be read
 */
export async function blocksOf(
  collection: CollectionInfo,
  year: number,
  { within, signal }: { within?: Box; signal?: AbortSignal } = {},
): Promise<Blocks> {
  const spacing = spacingOf(collection);
  const superblocks = children(await fetchDocument(yearUrl(collection, year), signal)).filter(({ href }) => {
    const box = within === undefined ? null : superblockBox(folderName(href), spacing);
    return box === null || within === undefined || overlap(box, within);
  });
  const read = async ({ href }: StacLink) => children(await fetchDocument(href, signal)).map((link) => blockAt(link, spacing));
  const { values, failed } = parted(await forEach(superblocks, read));
  if (values.length === 0 && failed.length > 0) throw failed[0];
  return Object.assign(values.flat(), { failed });
}

/**
 * Read the Items of a block, a few at a time; superseded versions are left out.
 *
 * @returns tiles by cell, with the Items that could not be read in `failed`
 * @throws ViewerError: the block cannot be read
 */
export async function tilesOf(
  collection: CollectionInfo,
  year: number,
  block: Block,
  { signal }: { signal?: AbortSignal } = {},
): Promise<Tiles> {
  const links = itemLinks(await fetchDocument(block.url, signal));
  const outcomes = await forEach(links, ({ href }) => readTile(href, collection.id, year, signal));
  const { values, failed } = parted(outcomes);
  return Object.assign(values.filter(isCurrent), { failed });
}

/**
 * Find the same cell in the collection's other years, by the links of their catalogs.
 *
 * @returns tiles by year; what could not be read is in `failed`
 */
export async function siblingsOf(
  tile: TileYear,
  collection: CollectionInfo,
  { signal }: { signal?: AbortSignal } = {},
): Promise<Tiles> {
  const years = collection.years.filter((year) => year !== tile.year);
  const find = async (year: number) => {
    const href = await itemOf(collection, year, tile.cell, signal);
    return href === null ? null : readTile(href, collection.id, year, signal);
  };
  const { values, failed } = parted(await forEach(years, find));
  const found = values.filter((each): each is TileYear => each !== null && isCurrent(each));
  return Object.assign(found, { failed });
}

/**
 * Read the manifest of a tile-year: everything that is known of how it was made.
 *
 * @throws ViewerError: the Item links none, or it cannot be read
 */
export async function manifestOf(tile: TileYear, signal?: AbortSignal): Promise<unknown> {
  const link = tile.item.links.find(({ rel }) => rel === "via");
  const href = link?.href ?? tile.item.assets.provenance?.href;
  if (href === undefined) throw trouble(`The Item ${tile.id} links no manifest.`, tile.url, "missing");
  return fetchJson(href, signal);
}

/**
 * Read an Item.
 *
 * @param collection its id, where the Item does not say it
 * @param year where the Item does not say it
 * @throws ViewerError
 */
export async function readTile(url: string, collection: string, year: number, signal?: AbortSignal): Promise<TileYear> {
  const document = await fetchDocument(url, signal);
  if (document.type !== "Feature" || !isObject(document.properties) || document.assets === undefined) {
    throw trouble(`${fileName(url)} is no STAC Item.`, url, "malformed");
  }
  const item = document as StacItem;
  const ring = outline(item);
  if (ring === null) throw trouble(`The Item ${item.id} does not say where it lies.`, url, "malformed");
  const lons = ring.map(([lon]) => lon);
  const lats = ring.map(([, lat]) => lat);
  return {
    id: item.id,
    url,
    cell: cellOf(item),
    year: yearOf(item) ?? year,
    collection: item.collection ?? collection,
    box: [Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)],
    ring,
    item,
  };
}

/** Cells of a block that were looked at and have nothing to embed, with the sentence that says why. */
export async function emptyCellsOf(block: Block, signal?: AbortSignal): Promise<{ cell: string; reason: string }[]> {
  const entries = (await fetchDocument(block.url, signal))["betaearth:empty"];
  if (!Array.isArray(entries)) return [];
  return entries.filter(isObject).map(({ cell, reason }) => ({ cell: String(cell), reason: String(reason ?? "empty") }));
}

/** Read what is at an address, or in the folder that it is of. */
async function entryAt(url: string, signal?: AbortSignal): Promise<[StacDocument, string]> {
  const path = new URL(url).pathname;
  if (/\.(geo)?json$/i.test(path)) return [await fetchDocument(url, signal), url];
  let missing: unknown;
  for (const name of ["catalog.json", "collection.json"]) {
    const address = inFolder(url, name);
    try {
      return [await fetchDocument(address, signal), address];
    } catch (error) {
      // Where a bucket may not be listed, what is not there is refused.
      if (!(error instanceof ViewerError) || !["missing", "refused"].includes(error.kind)) throw error;
      missing ??= error;
    }
  }
  throw missing;
}

/** Make an address of what a person typed. */
function completed(text: string): string {
  const typed = text.trim();
  const base = typeof location === "undefined" ? undefined : location.href;
  const host = /^(localhost|[\w-]+(\.[\w-]+)+)(:\d+)?(\/|$)/i.test(typed) && !/\.json$/i.test(typed.split("/")[0]);
  const address = host ? `${/^(localhost|127\.)/.test(typed) ? "http" : "https"}://${typed}` : typed;
  try {
    return new URL(address, base).href;
  } catch {
    const message = `"${text}" is no address: give one such as https://example.org/catalog.json.`;
    throw new ViewerError(message, text, "malformed");
  }
}

function inFolder(url: string, name: string): string {
  const address = new URL(url);
  address.pathname = `${address.pathname.replace(/\/+$/, "")}/${name}`;
  return address.href;
}

function collectionOf(document: StacDocument, url: string): CollectionInfo {
  if (document.type !== "Collection") throw unsuited(document, url);
  const years = children(document).flatMap((link) => yearNamed(link) ?? []);
  return {
    id: document.id,
    title: document.title ?? document.id,
    description: document.description ?? "",
    url,
    years: [...new Set(years)].sort((one, other) => one - other),
    box: extentOf(document),
    license: typeof document.license === "string" ? document.license : "",
    raw: document,
  };
}

function unsuited(document: StacDocument, url: string): ViewerError {
  return trouble(`${shown(url)} is a STAC ${document.type}, not a catalog with collections of embeddings.`, url, "malformed");
}

function extentOf(document: StacDocument): Box | null {
  const extent = document.extent as { spatial?: { bbox?: unknown[] } } | undefined;
  return boxFrom(extent?.spatial?.bbox?.[0]);
}

/** Make a box of a STAC bounding box; across 180 degrees its east runs on. */
function boxFrom(bbox: unknown): Box | null {
  if (!Array.isArray(bbox) || !bbox.every((value) => typeof value === "number" && Number.isFinite(value))) return null;
  if (bbox.length !== 4 && bbox.length !== 6) return null;
  const [west, south, east, north] = bbox.length === 6 ? [bbox[0], bbox[1], bbox[3], bbox[4]] : bbox;
  return [west, south, east < west ? east + 360 : east, north];
}

function children(document: StacDocument): StacLink[] {
  return document.links.filter(({ rel }) => rel === "child");
}

function itemLinks(document: StacDocument): StacLink[] {
  return document.links.filter(({ rel }) => rel === "item");
}

function isCatalog(href: string): boolean {
  return /\/catalog\.json$/.test(new URL(href).pathname);
}

/** Name of the folder that a document is in: a year, a block. */
function folderName(href: string): string {
  return new URL(href).pathname.split("/").slice(-2)[0] ?? "";
}

function yearNamed({ href }: StacLink): number | null {
  const name = folderName(href);
  return /^\d{4}$/.test(name) ? Number(name) : null;
}

function yearUrl(collection: CollectionInfo, year: number): string {
  const link = children(collection.raw).find((each) => yearNamed(each) === year);
  if (link === undefined) {
    const known = collection.years.join(", ") || "none";
    throw trouble(`${collection.title} has no year ${year}: it has ${known}.`, collection.url, "missing");
  }
  return link.href;
}

function blockAt({ href, title }: StacLink, spacing: number): Block {
  const name = folderName(href);
  return { id: name, url: href, box: blockBox(name, spacing), title: title ?? name };
}

/** Address of the Item of a cell in a year; null where the catalogs link none. */
async function itemOf(
  collection: CollectionInfo,
  year: number,
  cell: string,
  signal?: AbortSignal,
): Promise<string | null> {
  const block = blockOf(cell, spacingOf(collection));
  const superblock = block === null ? null : superblockOf(block);
  let document = await fetchDocument(yearUrl(collection, year), signal);
  for (const name of [superblock, block]) {
    const link = children(document).find(({ href }) => folderName(href) === name);
    if (link === undefined) return null;
    document = await fetchDocument(link.href, signal);
  }
  const link = itemLinks(document).find(({ href }) => folderName(href) === cell.toLowerCase());
  return link?.href ?? null;
}

function isCurrent({ item }: TileYear): boolean {
  return item.properties.deprecated !== true;
}

function overlap(one: Box, other: Box): boolean {
  const height = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  const beside = (shift: number) => Math.min(one[2] + shift, other[2]) - Math.max(one[0] + shift, other[0]) > 0;
  return height > 0 && [-360, 0, 360].some(beside);
}

function cellOf(item: StacItem): string {
  const code = item.properties["grid:code"];
  const match = typeof code === "string" ? /([0-9]+[UD]_[0-9]+[LR])$/i.exec(code) : null;
  return match === null ? item.id : match[1].toUpperCase();
}

function yearOf(item: StacItem): number | null {
  const start = item.properties.start_datetime ?? item.properties.datetime;
  return typeof start === "string" && /^\d{4}-/.test(start) ? Number(start.slice(0, 4)) : null;
}

function outline(item: StacItem): [number, number][] | null {
  const { geometry } = item;
  const box = boxFrom(item.bbox);
  if (geometry?.type === "Polygon" && Array.isArray(geometry.coordinates)) {
    const ring = (geometry.coordinates[0] ?? []) as [number, number][];
    if (ring.length >= 4) return unwrapped(ring.map(([lon, lat]) => [lon, lat] as const));
  }
  return pixelOutline(item) ?? (box === null ? null : boxRing(box));
}

/** Outline of an Item's pixels: a geometry that is cut at 180 degrees is none. */
function pixelOutline(item: StacItem): [number, number][] | null {
  const { "proj:code": crs, "proj:shape": shape, "proj:transform": transform } = item.properties;
  if (typeof crs !== "string" || !Array.isArray(shape) || !Array.isArray(transform)) return null;
  const [a, b, c, d, e, f] = transform as number[];
  try {
    return ringOf({ width: Number(shape[1]), height: Number(shape[0]), crs, transform: [a, b, c, d, e, f] });
  } catch (error) {
    if (error instanceof ViewerError) return null;
    throw error;
  }
}

function boxRing([west, south, east, north]: Box): [number, number][] {
  return [
    [west, south],
    [east, south],
    [east, north],
    [west, north],
    [west, south],
  ];
}
