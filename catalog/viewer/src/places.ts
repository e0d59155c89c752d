/** The blocks and tiles of a collection's year that were read so far, and reading more as the map moves. */

import { blocksOf, emptyCellsOf, tilesOf } from "./catalog";
import type { Block, Box, CollectionInfo, TileYear, ViewerError } from "./model";

/** Blocks in sight whose Items are read without being asked for. */
const READ_AT_ONCE = 4;

/** What somebody who shows places wants to know. */
export interface PlaceEvents {
  /** More is known than before. */
  onChange: () => void;
  onEmpty: (cells: readonly { cell: string; reason: string }[]) => void;
  /** Some documents could not be read, of the block or the year that is named. */
  onFailed: (where: string, failed: readonly ViewerError[]) => void;
}

/** One collection's one year. */
export class Places {
  private byName = new Map<string, Block>();
  private readonly read = new Map<string, TileYear[]>();
  private readonly reading = new Map<string, Promise<void>>();
  /** Somewhere else is looked at: nothing more is told. */
  private left = false;

  constructor(
    readonly collection: CollectionInfo,
    readonly year: number,
    private readonly events: PlaceEvents,
  ) {}

  get tiles(): TileYear[] {
    return [...this.read.values()].flat();
  }

  /** Blocks whose tiles are not known. */
  get unread(): Block[] {
    return this.blocks.filter(({ id }) => !this.read.has(id));
  }

  get blocks(): Block[] {
    return [...this.byName.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  leave(): void {
    this.left = true;
  }

  /**
   * Read what is in sight: blocks, and their tiles where these are few.
   *
   * @throws ViewerError: the year, or a block of it, cannot be read
   */
  async lookAround(sight: Box): Promise<void> {
    const blocks = await blocksOf(this.collection, this.year, { within: sight });
    if (this.left) return;
    this.byName = new Map([...this.byName, ...blocks.map((block) => [block.id, block] as const)]);
    if (blocks.failed.length > 0) this.events.onFailed(String(this.year), blocks.failed);
    this.events.onChange();
    const near = this.blocks.filter(({ box }) => box === null || meets(box, sight));
    if (near.length > READ_AT_ONCE) return;
    for (const block of near) await this.readBlock(block);
  }

  /**
   * Read the tiles of a block, once.
   *
   * @throws ViewerError: the block cannot be read
   */
  readBlock(block: Block): Promise<void> {
    if (this.read.has(block.id)) return Promise.resolve();
    const under = this.reading.get(block.id);
    if (under !== undefined) return under;
    const begun = this.tilesOf(block).finally(() => this.reading.delete(block.id));
    this.reading.set(block.id, begun);
    return begun;
  }

  private async tilesOf(block: Block): Promise<void> {
    const tiles = await tilesOf(this.collection, this.year, block);
    const empty = await emptyCellsOf(block);
    if (this.left) return;
    this.read.set(block.id, tiles);
    if (empty.length > 0) this.events.onEmpty(empty);
    if (tiles.failed.length > 0) this.events.onFailed(block.title, tiles.failed);
    this.events.onChange();
  }
}

function meets(one: Box, other: Box): boolean {
  const beside = (shift: number): boolean => one[0] + shift <= other[2] && one[2] + shift >= other[0];
  return one[1] <= other[3] && one[3] >= other[1] && [-360, 0, 360].some(beside);
}
