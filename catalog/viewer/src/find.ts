/** Finding a tile-year by its Item's id or its cell, by way of the one block that can hold it. */

import { blocksOf, readTile } from "./catalog";
import { fetchDocument } from "./documents";
import { blockBox, blockOf, spacingOf } from "./grid";
import type { CollectionInfo, TileYear } from "./model";

const CELL = /(\d{1,7}[ud]_\d{1,7}[lr])/i;

/** The cell that an Item's id names, `2705U_4199L`; null where it names none. */
export function cellNamed(text: string): string | null {
  return CELL.exec(text)?.[1]?.toUpperCase() ?? null;
}

/** The year that an Item's id names. */
export function yearNamed(id: string): number | null {
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
  const cell = cellNamed(name);
  const spacing = spacingOf(collection);
  const id = cell === null ? null : blockOf(cell, spacing);
  if (cell === null || id === null) return null;
  const within = blockBox(id, spacing) ?? undefined;
  const block = (await blocksOf(collection, year, { within, signal })).find((candidate) => candidate.id === id);
  if (block === undefined) return null;
  const { links } = await fetchDocument(block.url, signal);
  const items = links.filter(({ rel, href }) => rel === "item" && parts(href).at(-2) === cell.toLowerCase());
  const link = items.find(({ href }) => parts(href).at(-1) === `${name}.json`) ?? items[0];
  return link === undefined ? null : readTile(link.href, collection.id, year, signal);
}

function parts(href: string): string[] {
  return new URL(href).pathname.split("/");
}
