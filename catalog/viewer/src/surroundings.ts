/** The tiles and blocks of the year that is looked at, as the map and the lists show them. */

import { counted } from "./dom";
import type { MapView } from "./map";
import type { Messages } from "./messages";
import { ViewerError, type CollectionInfo, type TileYear } from "./model";
import type { Panel } from "./panel";
import { Places } from "./places";

export class Surroundings {
  private places: Places | null = null;
  /** What was said last of how much was read. */
  private said: string | null = null;

  constructor(
    private readonly map: MapView,
    private readonly panel: Panel,
    private readonly messages: Messages,
    /** The chosen tile. */
    private readonly chosen: () => TileYear | null,
  ) {}

  get tiles(): TileYear[] {
    return this.places?.tiles ?? [];
  }

  /** Look at a collection's year from now on. */
  moveTo(collection: CollectionInfo, year: number): void {
    if (this.places?.collection === collection && this.places.year === year) return;
    this.leave();
    this.places = new Places(collection, year, {
      onChange: () => {
        this.show();
        this.sayAnew();
      },
      onFailed: (where, failed, again) => {
        const what = `${counted(failed.length, "document")} of ${where} could not be read.`;
        this.messages.warn(`${what} ${failed[0]!.message}`, again);
        this.sayAnew();
      },
    });
  }

  /** Look at nothing. */
  leave(): void {
    this.places?.leave();
    this.places = null;
  }

  /**
   * Read what is in sight.
   *
   * @throws ViewerError: the year cannot be read
   */
  async look(): Promise<void> {
    await this.places?.lookAround(this.map.box());
  }

  /** Read what is in sight; where it cannot be, the rest of the page goes on. */
  async lookOn(): Promise<void> {
    try {
      await this.look();
    } catch (error) {
      if (!(error instanceof ViewerError)) return this.messages.fail(error);
      this.messages.warn(error.message, () => void this.lookOn());
    }
  }

  show(): void {
    const { places } = this;
    const tile = this.chosen();
    if (places === null) {
      this.map.showOutlines([], [], null);
      this.panel.showEmpty([]);
      return this.panel.showPlaces([], [], null, "There is nothing in this catalog yet.");
    }
    const { tiles, unread } = places;
    const outlined = tile === null || tiles.some(({ id }) => id === tile.id) ? tiles : [...tiles, tile];
    this.map.showOutlines(unread, outlined, tile?.id ?? null);
    const open = unread.length > 0 ? "Zoom in, or choose a block, to see its tiles." : "No tiles in sight.";
    this.panel.showPlaces(tiles, unread, tile?.id ?? null, tiles.length > 0 ? "" : open);
    this.panel.showEmpty(places.empty);
  }

  /** Go to a block and read its tiles. */
  showBlock(id: string): void {
    const { places } = this;
    const block = places?.blocks.find((each) => each.id === id);
    if (places === null || block === undefined) return;
    if (block.box !== null) this.map.fit(block.box, { animated: true });
    const words = `Reading ${block.title} …`;
    this.messages.say(words);
    void places.readBlock(block).then(() => this.messages.replace(words, this.summary()));
  }

  summary(): string {
    return (this.said = this.words());
  }

  /** How much was read has changed. */
  private sayAnew(): void {
    const { said } = this;
    if (said !== null) this.messages.replace(said, this.summary());
  }

  private words(): string {
    const { places } = this;
    const tile = this.chosen();
    if (tile !== null) return `${tile.cell} in ${tile.year}.`;
    if (places === null) return "The catalog is open.";
    const { tiles, blocks, year } = places;
    if (places.whole) return `${counted(tiles.length, "tile")} in ${year}.`;
    const what = tiles.length > 0 ? counted(tiles.length, "tile") : counted(blocks.length, "block");
    return `${what} of ${year} read so far.`;
  }
}
