/** The blocks and tiles of a collection's year that were read so far, and reading more as the map moves. */

import { overlap } from "./box";
import { blocksOf, emptyCellsOf, tilesOf } from "./catalog";
import { ViewerError, type Block, type Box, type CollectionInfo, type EmptyCell, type TileYear } from "./model";

/** Blocks in sight whose Items are read without being asked for. */
const READ_AT_ONCE = 4;

/** What somebody who shows places wants to know; nothing is told of places that were left. */
export interface PlaceEvents {
  /** More is known than before. */
  onChange: () => void;
  /** Documents could not be read, of the block or the year that is named; each is told once, until it is tried again. */
  onFailed: (where: string, failed: readonly ViewerError[], again: () => void) => void;
}

interface Contents {
  readonly tiles: readonly TileYear[];
  readonly empty: readonly EmptyCell[];
}

/** One collection's one year. */
export class Places {
  private byName = new Map<string, Block>();
  private readonly read = new Map<string, Contents>();
  private readonly reading = new Map<string, Promise<void>>();
  /** Addresses of super-blocks that were never in sight; null where nothing was looked at. */
  private unseen: ReadonlySet<string> | null = null;
  /** Addresses of what could not be read: it is tried again when somebody asks for it. */
  private readonly failed = new Set<string>();
  private readonly leaving = new AbortController();

  constructor(
    readonly collection: CollectionInfo,
    readonly year: number,
    private readonly events: PlaceEvents,
  ) {}

  get tiles(): TileYear[] {
    return [...this.read.values()].flatMap(({ tiles }) => tiles);
  }

  /** Cells of the blocks that were read that have no product. */
  get empty(): EmptyCell[] {
    return [...this.read.values()].flatMap(({ empty }) => empty);
  }

  /** Whether all that there is was read. */
  get whole(): boolean {
    return this.unseen?.size === 0 && this.failed.size === 0 && this.unread.length === 0;
  }

  /** Blocks whose tiles are not known. */
  get unread(): Block[] {
    return this.blocks.filter(({ id }) => !this.read.has(id));
  }

  get blocks(): Block[] {
    return [...this.byName.values()].sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  /** Somewhere else is looked at: what is being read is given up, and nothing more is told. */
  leave(): void {
    this.leaving.abort();
  }

  /**
   * Read what is in sight: blocks, and their tiles where these are few.
   *
   * @throws ViewerError: the year cannot be read; what of it cannot be is told
   */
  async lookAround(sight: Box): Promise<void> {
    await this.unlessLeft(async (signal) => {
      const blocks = await blocksOf(this.collection, this.year, { within: sight, signal });
      if (signal.aborted) return;
      const before = this.unseen;
      this.unseen = new Set(blocks.elsewhere.filter((url) => before?.has(url) ?? true));
      this.byName = new Map([...this.byName, ...blocks.map((block) => [block.id, block] as const)]);
      this.events.onChange();
      this.tell(String(this.year), blocks.failed, () => this.lookAround(sight));
      const near = this.blocks.filter(({ box, url }) => !this.failed.has(url) && (box === null || overlap(box, sight)));
      if (near.length > READ_AT_ONCE) return;
      for (const block of near) await this.readBlock(block);
    });
  }

  /** Read the tiles of a block, once; what cannot be read is told. */
  readBlock(block: Block): Promise<void> {
    if (this.read.has(block.id)) return Promise.resolve();
    return this.readAnew(block);
  }

  private readAnew(block: Block): Promise<void> {
    const under = this.reading.get(block.id);
    if (under !== undefined) return under;
    const begun = this.unlessLeft((signal) => this.contentsOf(block, signal)).finally(() => this.reading.delete(block.id));
    this.reading.set(block.id, begun);
    return begun;
  }

  private async contentsOf(block: Block, signal: AbortSignal): Promise<void> {
    try {
      const tiles = await tilesOf(this.collection, this.year, block, { signal });
      const empty = await emptyCellsOf(block, signal);
      if (signal.aborted) return;
      this.read.set(block.id, { tiles, empty });
      this.failed.delete(block.url);
      this.events.onChange();
      this.tell(block.title, tiles.failed, () => this.readAnew(block));
    } catch (error) {
      if (signal.aborted || !(error instanceof ViewerError)) throw error;
      this.failed.add(block.url);
      this.events.onFailed(block.title, [error], () => void this.readAnew(block));
    }
  }

  private tell(where: string, failed: readonly ViewerError[], again: () => Promise<void>): void {
    const untold = failed.filter(({ url }) => !this.failed.has(url));
    if (untold.length === 0) return;
    for (const { url } of untold) this.failed.add(url);
    this.events.onFailed(where, untold, () => void this.retry(untold, again));
  }

  private async retry(failed: readonly ViewerError[], again: () => Promise<void>): Promise<void> {
    for (const { url } of failed) this.failed.delete(url);
    try {
      await again();
    } catch (error) {
      if (!(error instanceof ViewerError)) throw error;
      this.tell(String(this.year), [error], again);
    }
  }

  /** Do something that takes time; how it ends is nobody's matter once these places are left. */
  private async unlessLeft(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = this.leaving;
    if (signal.aborted) return;
    try {
      await work(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
