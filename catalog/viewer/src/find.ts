/** Finding a cell's tile-years by way of the one block that can hold it: no other is read. */

import { children, folderName, itemLinks, yearUrl } from "./catalog";
import { fetchDocument } from "./documents";
import { blockOf, spacingOf, superblockOf } from "./grid";
import { isCurrent, readTile } from "./item";
import type { CollectionInfo, Siblings, StacLink, TileYear } from "./model";
import { forEach } from "./requests";

const CELL = /(\d{1,7}[ud]_\d{1,7}[lr])/i;

/** The cell that an Item's id names, `2705U_4199L`; null where it names none. */
export function cellInId(id: string): string | null {
  return CELL.exec(id)?.[1]?.toUpperCase() ?? null;
}

/** The year that an Item's id names. */
export function yearInId(id: string): number | null {
  const match = /[ud]_\d{1,7}[lr]_(\d{4})(?:\D|$)/i.exec(id);
  return match === null ? null : Number(match[1]);
}

/**
 * Find a tile-year.
 *
 * @param name id of an Item, or of a cell
 * @returns the Item of that id, or else the cell's current one; null where the catalog links none
 * @throws ViewerError: a document on the way cannot be read
 */
export async function findTile(
  collection: CollectionInfo,
  year: number,
  name: string,
  signal?: AbortSignal,
): Promise<TileYear | null> {
  const cell = cellInId(name);
  const links = cell === null ? [] : await linksOf(collection, year, cell, signal);
  const named = links.find(({ href }) => new URL(href).pathname.endsWith(`/${name}.json`));
  let first: TileYear | null = null;
  for (const { href } of named === undefined ? links : [named]) {
    const tile = await readTile(href, collection.id, year, signal);
    if (isCurrent(tile)) return tile;
    first ??= tile;
  }
  return first;
}

/** Find the same cell in the collection's other years; what cannot be read of one does not hide the others. */
export async function siblingsOf(tile: TileYear, collection: CollectionInfo, signal?: AbortSignal): Promise<Siblings> {
  const years = collection.years.filter((year) => year !== tile.year);
  const outcomes = await forEach(years, (year) => findTile(collection, year, tile.cell, signal));
  const siblings: Siblings = { tiles: [], failed: [] };
  outcomes.forEach((outcome, place) => {
    if ("error" in outcome) siblings.failed.push({ year: years[place]!, error: outcome.error });
    else if (outcome.value !== null && isCurrent(outcome.value)) siblings.tiles.push(outcome.value);
  });
  return siblings;
}

/** Links to the Items of a cell in a year. */
async function linksOf(collection: CollectionInfo, year: number, cell: string, signal?: AbortSignal): Promise<StacLink[]> {
  const block = blockOf(cell, spacingOf(collection));
  if (block === null) return [];
  let document = await fetchDocument(yearUrl(collection, year), signal);
  for (const name of [superblockOf(block), block]) {
    const link = children(document).find(({ href }) => folderName(href) === name);
    if (link === undefined) return [];
    document = await fetchDocument(link.href, signal);
  }
  return itemLinks(document).filter(({ href }) => folderName(href) === cell.toLowerCase());
}
