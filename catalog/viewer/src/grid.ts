/**
 * Where the blocks of a catalog lie: the grid of Major TOM in closed form (Francis and Czerkawski, 2024,
 * arXiv:2402.12095), and the names of blocks, which count rows and columns in hexadecimal.
 */

import type { Box } from "./model";

const EARTH_RADIUS_M = 6_378_137;
/** The grid has cells whose southern edge lies within so many degrees. */
const LATITUDE_LIMIT = 85;
const DEFAULT_SPACING_M = 10_000;

/** Cells along an edge, by the number of digits that a name of the kind has at least. */
const BLOCK = 16;
const SUPERBLOCK = 256;

const NAME = /^r([0-9a-f]{2,7})-c([0-9a-f]{2,7})$/;

/** Nominal edge of a cell in metres, as a collection's summaries say it, else as its id does. */
export function spacingOf(collection: { id: string; raw: { [field: string]: unknown } }): number {
  const summaries = collection.raw.summaries as Record<string, unknown> | undefined;
  const stated = summaries?.["betaearth:spacing_m"];
  if (Array.isArray(stated) && stated.length === 1 && typeof stated[0] === "number" && stated[0] > 0) return stated[0];
  const named = /-([0-9.]+)km-/.exec(collection.id);
  return named === null ? DEFAULT_SPACING_M : Number(named[1]) * 1000;
}

/** Rows from pole to pole. */
export function rowsOf(spacing: number): number {
  return Math.ceil((Math.PI * EARTH_RADIUS_M) / spacing);
}

/** Columns of a row, which counts from the equator to the north. */
export function columnsOf(spacing: number, row: number): number {
  const circumference = 2 * Math.PI * EARTH_RADIUS_M * Math.cos((latitude(spacing, row) * Math.PI) / 180);
  return Math.ceil(circumference / spacing);
}

/** Bounds of the 16 x 16 cells of a block, `r1e2-c16b`; null where the name is none or the grid has no such cells. */
export function blockBox(name: string, spacing: number): Box | null {
  return boxOf(name, spacing, BLOCK);
}

/** Bounds of the 256 x 256 cells of a super-block, `r1e-c16`. */
export function superblockBox(name: string, spacing: number): Box | null {
  return boxOf(name, spacing, SUPERBLOCK);
}

/** Name of the super-block that a block is in: its own without the last digits. */
export function superblockOf(block: string): string | null {
  const match = NAME.exec(block);
  if (match === null || match[1].length < 3 || match[2].length < 3) return null;
  return `r${match[1].slice(0, -1)}-c${match[2].slice(0, -1)}`;
}

/** Name of the block that a cell is in, `2705U_4199L`; null where it is no cell's name. */
export function blockOf(cell: string, spacing: number): string | null {
  const match = /^(\d{1,7})([UD])_(\d{1,7})([LR])$/i.exec(cell);
  if (match === null) return null;
  const row = Number(match[1]) * (/u/i.test(match[2]) ? 1 : -1);
  const column = Number(match[3]) * (/r/i.test(match[4]) ? 1 : -1);
  const [down, across] = [row + firstRow(spacing), column + firstColumn(spacing)];
  if (down < 0 || across < 0) return null;
  return `r${hex(Math.floor(down / BLOCK))}-c${hex(Math.floor(across / BLOCK))}`;
}

function hex(index: number): string {
  return index.toString(16).padStart(3, "0");
}

function latitude(spacing: number, row: number): number {
  return (row * 180) / rowsOf(spacing);
}

/** Rows that names count south of the equator. */
function firstRow(spacing: number): number {
  return Math.floor(rowsOf(spacing) / 2);
}

/** Columns that names count west of Greenwich: the equator's, for all rows. */
function firstColumn(spacing: number): number {
  return Math.floor(columnsOf(spacing, 0) / 2);
}

function boxOf(name: string, spacing: number, size: number): Box | null {
  const match = NAME.exec(name);
  if (match === null || !(spacing > 0)) return null;
  const south = parseInt(match[1], 16) * size - firstRow(spacing);
  const west = parseInt(match[2], 16) * size - firstColumn(spacing);
  const last = Math.floor((LATITUDE_LIMIT * rowsOf(spacing)) / 180);
  const box: Box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let row = Math.max(south, -last); row < Math.min(south + size, last + 1); row++) {
    const count = columnsOf(spacing, row);
    const first = Math.max(west, -Math.floor(count / 2));
    const beyond = Math.min(west + size, count - Math.floor(count / 2));
    if (first >= beyond) continue;
    box[0] = Math.min(box[0], (first * 360) / count);
    box[1] = Math.min(box[1], latitude(spacing, row));
    box[2] = Math.max(box[2], (beyond * 360) / count);
    box[3] = Math.max(box[3], latitude(spacing, row + 1));
  }
  return box[0] < box[2] ? box : null;
}
