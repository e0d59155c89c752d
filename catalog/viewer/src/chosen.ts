/** The tile that is chosen, the other years of its cell, and what is painted of them. */

import { choiceFor, type Choice, type Pixel } from "./choice";
import { findTile, siblingsOf } from "./find";
import { paint, type Picture } from "./layers";
import { ViewerError, type CollectionInfo, type Siblings, type TileYear } from "./model";
import { nearestEmbedding } from "./nearest";
import type { ViewState } from "./state";

export class ChosenTile {
  /** Null until they were read. */
  siblings: Siblings | null = null;
  private reading: Promise<Siblings> | null = null;
  /** Where similarity starts. */
  private start: Pixel | null = null;
  private readonly leaving = new AbortController();

  private constructor(
    readonly tile: TileYear,
    readonly collection: CollectionInfo,
    /** Year of the catalog that links it. */
    private readonly year: number,
  ) {}

  /**
   * Find a tile by its Item's id or its cell.
   *
   * @param known tiles of that collection and year that were read already
   * @throws ViewerError: there is none, or it cannot be read
   */
  static async find(
    name: string,
    { collection, year, known }: { collection: CollectionInfo; year: number; known: readonly TileYear[] },
    signal: AbortSignal,
  ): Promise<ChosenTile> {
    const tile = known.find(({ id }) => id === name) ?? (await findTile(collection, year, name, signal));
    if (tile === null) throw new ViewerError(`There is no product of ${name} in ${year}.`, collection.url, "missing");
    return new ChosenTile(tile, collection, year);
  }

  /** Whether it is the tile of that id, of the very collection that is open: copies of a catalog share ids. */
  is(id: string, collection: CollectionInfo, year: number): boolean {
    return this.tile.id === id && this.collection === collection && this.year === year;
  }

  leave(): void {
    this.leaving.abort();
  }

  /**
   * Read the other years, once; those that could not be read are tried again.
   *
   * @throws AbortError: the tile was left
   */
  async readSiblings(): Promise<Siblings> {
    if (this.siblings !== null && this.siblings.failed.length === 0) return this.siblings;
    this.reading ??= siblingsOf(this.tile, this.collection, this.leaving.signal).finally(() => (this.reading = null));
    return (this.siblings = await this.reading);
  }

  choice(state: ViewState): Choice {
    const { siblings, start } = this;
    const years = siblings === null ? null : yearsOf(siblings);
    return choiceFor(this.tile, state, { years, start, collection: this.collection });
  }

  /** Whether change can be to a year; where that is not known yet, it is not denied. */
  comparesTo(year: number): boolean {
    if (this.siblings === null) return true;
    const { found, failed } = yearsOf(this.siblings);
    return [...found, ...failed].includes(year);
  }

  /**
   * Paint the layer that is chosen.
   *
   * @throws ViewerError
   */
  async paint(state: ViewState, signal: AbortSignal): Promise<Picture> {
    if (state.layer === "similarity") await this.findStart(state, signal);
    const { layer: kind, bands, pixel, against } = this.choice(state);
    const other = kind === "change" ? this.other(against) : null;
    return paint({ tile: this.tile, kind, bands, pixel, other, signal });
  }

  /** Where no pixel was asked for, take one that has an embedding. */
  private async findStart(state: ViewState, signal: AbortSignal): Promise<void> {
    const { pixel, asked } = this.choice(state);
    if (!asked && this.start === null) this.start = await nearestEmbedding(this.tile, pixel, signal);
  }

  private other(against: number | null): TileYear | null {
    const { tiles, failed } = this.siblings ?? { tiles: [], failed: [] };
    const lost = failed.find(({ year }) => year === against);
    if (lost !== undefined) throw unread(this.tile, lost);
    return tiles.find(({ year }) => year === against) ?? null;
  }
}

/** Years that were found, and those that there may be. */
function yearsOf({ tiles, failed }: Siblings): { found: number[]; failed: number[] } {
  return { found: tiles.map(({ year }) => year), failed: failed.map(({ year }) => year) };
}

/** Say of a year that it could not be read. */
export function unread({ cell, year: here }: TileYear, { year, error }: Siblings["failed"][number]): ViewerError {
  const message = `${cell} of ${year} could not be read, so ${here} cannot be compared with it. ${error.message}`;
  return new ViewerError(message, error.url, error.kind);
}
