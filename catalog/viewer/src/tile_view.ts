/** The chosen tile as the page shows it: its panel, its picture, and the pixels that are read and used. */

import { isAbort } from "./cache";
import { shapeOf, type Pixel } from "./choice";
import { ChosenTile, unread } from "./chosen";
import { byId, size } from "./dom";
import type { MapView } from "./map";
import type { Messages } from "./messages";
import { ViewerError, type CollectionInfo, type TileYear } from "./model";
import { TilePanel } from "./panel_tile";
import { Reader } from "./reader";
import type { LayerKind, ViewState } from "./state";

/** What a person does with the tile, and what became known of it. */
export interface TileViewEvents {
  change: (part: Partial<ViewState>) => void;
  close: () => void;
  /** The other years were read. */
  compared: () => void;
}

export class TileView {
  private chosen: ChosenTile | null = null;
  private readonly panel: TilePanel;
  private readonly reader: Reader;

  constructor(
    private readonly map: MapView,
    private readonly messages: Messages,
    private readonly state: () => ViewState,
    private readonly events: TileViewEvents,
  ) {
    this.reader = new Reader(map);
    this.panel = new TilePanel(byId("chosen"), {
      layer: (layer) => events.change({ layer }),
      bands: (bands) => events.change({ bands: [...bands] }),
      use: (pixel) => this.use(pixel),
      read: (pixel) => this.moveCursor(pixel, false),
      against: (against) => events.change({ against }),
      zoom: () => this.tile !== null && map.fit(this.tile.box, { animated: true }),
      close: () => events.close(),
      failed: (tile, words) => tile === this.tile && messages.warn(words),
    });
  }

  get tile(): TileYear | null {
    return this.chosen?.tile ?? null;
  }

  /**
   * Choose a tile by its Item's id or its cell.
   *
   * @throws ViewerError: there is none, and none is chosen any more
   */
  async reach(
    name: string,
    where: { collection: CollectionInfo; year: number; known: readonly TileYear[] },
    signal: AbortSignal,
  ): Promise<void> {
    if (this.chosen?.is(name, where.collection, where.year)) return;
    try {
      const chosen = await ChosenTile.find(name, where, signal);
      signal.throwIfAborted();
      this.take(chosen);
    } catch (error) {
      if (!signal.aborted && !isAbort(error)) this.drop();
      throw error;
    }
  }

  drop(): void {
    this.chosen?.leave();
    this.chosen = null;
    this.reader.moveTo(null);
    this.panel.clear();
    this.reader.clear();
  }

  /** Show what is chosen for it. */
  showChoice(): void {
    if (this.chosen === null) return;
    const choice = this.chosen.choice(this.state());
    this.panel.choose(choice);
    this.reader.mark(choice.layer === "similarity" || choice.asked ? choice.pixel : null);
  }

  /**
   * Draw the layer that is chosen.
   *
   * @throws ViewerError: it cannot be; a picture of this tile that is there stays, so that its pixels can be chosen
   */
  async draw(signal: AbortSignal): Promise<void> {
    const { chosen } = this;
    if (chosen === null) return;
    const state = this.state();
    this.map.expectPicture();
    this.messages.say(reading(chosen.tile, state.layer));
    try {
      if (state.layer === "change") await this.compare(chosen);
      signal.throwIfAborted();
      const picture = await chosen.paint(state, signal);
      signal.throwIfAborted();
      this.showChoice();
      this.reader.show(picture);
    } catch (error) {
      if (signal.aborted || isAbort(error)) throw error;
      this.keepPicture(chosen, signal);
      throw error;
    }
  }

  /** Read the other years, where that was not done; what cannot be read is told. */
  async compareOn(): Promise<void> {
    const { chosen } = this;
    if (chosen !== null && chosen.siblings === null) await this.compareAgain(chosen);
  }

  /** Whether change can be to a year. */
  comparesTo(year: number): boolean {
    return this.chosen?.comparesTo(year) ?? true;
  }

  /** Bring the panel into sight where the screen is too small for it and the lists. */
  reveal(): void {
    this.panel.reveal();
  }

  /** Move the pixel that is read; false where there is none. */
  step(columns: number, rows: number): boolean {
    if (this.chosen === null || !this.reader.shows) return false;
    const { width, height } = shapeOf(this.chosen.tile);
    const [column, row] = this.reader.place ?? this.chosen.choice(this.state()).pixel;
    this.moveCursor([within(column + columns, width), within(row + rows, height)]);
    return true;
  }

  /** Use the pixel that is read; false where there is none. */
  useRead(): boolean {
    const { place } = this.reader;
    if (place !== null) this.use(place);
    return place !== null;
  }

  /** Choose a pixel on the map. */
  click(pixel: Pixel): void {
    this.moveCursor(pixel);
    this.events.change(this.here(pixel));
  }

  pointAt(pixel: Pixel | null): void {
    this.reader.pointAt(pixel);
  }

  private use(pixel: Pixel): void {
    this.events.change({ ...this.here(pixel), layer: "similarity" });
  }

  /** A pixel is one of the tile that is seen, whichever is on its way. */
  private here(pixel: Pixel): Partial<ViewState> {
    return { item: this.tile?.id ?? null, pixel: [...pixel] };
  }

  private moveCursor(pixel: Pixel | null, fill = true): void {
    if (fill && pixel !== null) this.panel.showReading(pixel);
    this.reader.moveTo(pixel);
  }

  private take(chosen: ChosenTile): void {
    const { tile, collection } = chosen;
    const elsewhere = tile.cell !== this.tile?.cell;
    this.chosen?.leave();
    this.chosen = chosen;
    if (elsewhere) this.reader.moveTo(null);
    this.panel.show(tile, collection, shapeOf(tile));
    if (this.reader.place !== null) this.panel.showReading(this.reader.place);
    if (!elsewhere) return;
    this.reader.clear();
    this.map.fit(tile.box, { animated: true });
  }

  private async compare(chosen: ChosenTile): Promise<void> {
    const siblings = await chosen.readSiblings();
    if (chosen !== this.chosen) return;
    this.panel.showYears(siblings);
    this.events.compared();
    this.showChoice();
    const [lost] = siblings.failed;
    if (lost !== undefined) this.messages.warn(unread(chosen.tile, lost).message, () => void this.compareAgain(chosen));
  }

  private async compareAgain(chosen: ChosenTile): Promise<void> {
    try {
      await this.compare(chosen);
    } catch (error) {
      // Whoever left the tile ended it.
      if (chosen === this.chosen) this.messages.fail(error);
    }
  }

  /** Where nothing is drawn nothing can be pointed at: the preview stands in, as what it is. */
  private keepPicture(chosen: ChosenTile, signal: AbortSignal): void {
    if (this.reader.tile === chosen.tile) return this.reader.stay();
    this.reader.clear();
    if (this.state().layer === "pca") return;
    chosen.paint({ ...this.state(), layer: "pca" }, signal).then(
      (picture) => {
        if (!signal.aborted && chosen === this.chosen) this.reader.show(picture);
      },
      (error: unknown) => {
        // Why there is no picture has been told already.
        if (!(error instanceof ViewerError) && !isAbort(error)) this.messages.fail(error);
      },
    );
  }
}

function reading(tile: TileYear, layer: LayerKind): string {
  const names: Partial<Record<LayerKind, string>> = { pca: "thumbnail", observations: "quality", dispersion: "quality" };
  const asset = tile.item.assets[names[layer] ?? "embeddings"];
  const bytes = asset?.["file:size"];
  const much = typeof bytes === "number" ? ` up to ${size(bytes)}` : "";
  return `Reading${much} of ${tile.cell} …`;
}

function within(index: number, size: number): number {
  return Math.min(size - 1, Math.max(0, index));
}
