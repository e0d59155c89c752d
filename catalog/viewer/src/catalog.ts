/** A static catalog, read downwards as far as it is looked at: collections, years, blocks, Items. */

import { boxFrom, overlap } from "./box";
import { fetchDocument, forgetDocuments } from "./documents";
import { isObject } from "./fields";
import { blockBox, spacingOf, superblockBox } from "./grid";
import { isCurrent, readTile } from "./item";
import type { Asked, Block, Blocks, Box, CatalogInfo, CollectionInfo, EmptyCell, StacDocument, StacLink, Tiles } from "./model";
import { ViewerError } from "./model";
import { forEach, parted, shown, trouble } from "./requests";

/** What an address is of that is a root's. */
const NOTHING: Asked = { collection: null, year: null, item: null };

/**
 * Open a catalog or a single collection.
 *
 * @param url of a catalog.json or collection.json, or of the folder that one is in; of an Item or a catalog further
 *     down, too: the root that it links is opened, and what it is of stands in `asked`
 * @throws ViewerError: there is none, or none of its collections can be read
 */
export async function openCatalog(url: string, signal?: AbortSignal): Promise<CatalogInfo> {
  // Who opens a catalog again wants to see what has become of it.
  forgetDocuments();
  return openedAt(completed(url), true, signal);
}

/** What a document below the root is of: it lies in the folder of its collection, and of its year. */
function askedBy(document: StacDocument, address: string, collections: readonly CollectionInfo[]): Asked {
  const lies = (below: string) => address.startsWith(new URL(".", below).href);
  const named = ({ id, url }: CollectionInfo) => id === document["collection"] || lies(url);
  const collection = collections.find(named);
  const year = collection?.years.find((each) => lies(yearUrl(collection, each))) ?? null;
  return { collection: collection?.id ?? null, year, item: document.type === "Feature" ? document.id : null };
}

/** Open what is at an address, or once the root that it links: roots that link each other are none. */
async function openedAt(url: string, follow: boolean, signal?: AbortSignal): Promise<CatalogInfo> {
  const [document, address] = await entryAt(url, signal);
  if (document.type === "Collection") {
    const collection = collectionOf(document, address);
    const { title, description } = collection;
    return { url: address, title, description, collections: [collection], failed: [], asked: NOTHING };
  }
  const below = children(document).filter(({ href }) => !isCatalog(href));
  const root = document.links.find(({ rel }) => rel === "root");
  if (follow && below.length === 0 && root !== undefined && shown(root.href) !== shown(address)) {
    const info = await openedAt(root.href, false, signal);
    return { ...info, asked: askedBy(document, address, info.collections) };
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
    asked: NOTHING,
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
  const all = children(await fetchDocument(yearUrl(collection, year), signal));
  const superblocks = all.filter(({ href }) => {
    const box = within === undefined ? null : superblockBox(folderName(href), spacing);
    return box === null || within === undefined || overlap(box, within);
  });
  const elsewhere = all.filter((link) => !superblocks.includes(link)).map(({ href }) => href);
  const read = async ({ href }: StacLink) => children(await fetchDocument(href, signal)).map((link) => blockAt(link, spacing));
  const { values, failed } = parted(await forEach(superblocks, read));
  if (values.length === 0 && failed.length > 0) throw failed[0];
  return Object.assign(values.flat(), { failed, elsewhere });
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

/** Cells of a block that were looked at and have nothing to embed, with the sentence that says why. */
export async function emptyCellsOf(block: Block, signal?: AbortSignal): Promise<EmptyCell[]> {
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
  const years = children(document).flatMap((link) => yearOfFolder(link) ?? []);
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

/** Links to the catalogs below. */
export function children(document: StacDocument): StacLink[] {
  return document.links.filter(({ rel }) => rel === "child");
}

export function itemLinks(document: StacDocument): StacLink[] {
  return document.links.filter(({ rel }) => rel === "item");
}

function isCatalog(href: string): boolean {
  return /\/catalog\.json$/.test(new URL(href).pathname);
}

/** Name of the folder that a document is in: a year, a block, a cell. */
export function folderName(href: string): string {
  return new URL(href).pathname.split("/").slice(-2)[0] ?? "";
}

function yearOfFolder({ href }: StacLink): number | null {
  const name = folderName(href);
  return /^\d{4}$/.test(name) ? Number(name) : null;
}

/**
 * Address of a year's catalog.
 *
 * @throws ViewerError: the collection links none
 */
export function yearUrl(collection: CollectionInfo, year: number): string {
  const link = children(collection.raw).find((each) => yearOfFolder(each) === year);
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
