/** What is looked at, and how the page follows it: every change is a new view state, and `go` goes there. */

import { Address } from "./address";
import { isAbort } from "./cache";
import { isOf, shapeOf } from "./choice";
import { byId } from "./dom";
import { cellInId, yearInId } from "./find";
import { openKeys, listenForKeys } from "./keyboard";
import { MapView } from "./map";
import { Messages } from "./messages";
import { ViewerError, type CollectionInfo } from "./model";
import { NoCatalogBeside, Opened } from "./opened";
import { Panel } from "./panel";
import { listenForSheet } from "./sheet";
import { BLANK, type ViewState } from "./state";
import { Surroundings } from "./surroundings";
import { TileView } from "./tile_view";

const ANOTHER_ADDRESS = "Check the address below, or give another one.";
const NO_STREETS = "No map came from tile.openstreetmap.org: the network or that server may be down. The land that comes with the page is shown.";

/** How to go somewhere. */
interface Going {
  /** Leave an entry in the browser's history. */
  readonly remember?: boolean;
  /** Open the catalog again, though it is open. */
  readonly anew?: boolean;
}

export class App {
  /** What is shown. */
  private state: ViewState = BLANK;
  /** What was asked for last; what is changed before it is there is changed in it. */
  private wish: ViewState = BLANK;
  private opened: Opened | null = null;
  /** Going somewhere ends whatever went somewhere before. */
  private going = new AbortController();
  private underWay = false;

  private readonly messages = new Messages();
  private readonly address = new Address((state) => void this.go(state));
  private readonly map: MapView;
  private readonly panel: Panel;
  private readonly tile: TileView;
  private readonly around: Surroundings;

  constructor() {
    this.map = new MapView(byId("map"), {
      onBlock: (id) => this.around.showBlock(id),
      onTile: (id) => void this.change({ item: id, pixel: null }, true),
      onPixel: (column, row) => this.tile.click([column, row]),
      onHover: (pixel) => this.tile.pointAt(pixel),
      // Who goes somewhere looks around when arrived.
      onMoved: () => void (this.underWay || this.around.lookOn()),
      onStreetsLost: () => {
        this.panel.switchStreetsOff();
        this.messages.warn(NO_STREETS);
      },
    });
    this.panel = new Panel(byId("browse"), byId("about"), {
      open: (address) => void this.go({ ...BLANK, catalog: address }, { remember: true, anew: true }),
      collection: (id) => void this.go({ ...BLANK, catalog: this.state.catalog, collection: id }, { remember: true }),
      year: (year) => void this.changeYear(year),
      tile: (tile) => void this.change({ item: tile.id, pixel: null }, true),
      cell: (cell) => void this.change({ item: cell, pixel: null }, true),
      block: (block) => this.around.showBlock(block.id),
      streets: (on) => this.map.setStreets(on),
    });
    this.tile = new TileView(this.map, this.messages, () => this.state, {
      change: (part) => void this.change(part),
      close: () => this.close(),
      compared: () => this.correctAgainst(),
    });
    this.around = new Surroundings(this.map, this.panel, this.messages, () => this.tile.tile);
    this.listen();
  }

  /** Go to a view, as far as it exists; what does not is said in words. */
  async go(wish: ViewState, { remember = false, anew = false }: Going = {}): Promise<void> {
    this.going.abort();
    this.going = new AbortController();
    const { signal } = this.going;
    this.wish = wish;
    this.underWay = true;
    if (remember) this.address.remember();
    this.messages.begin();
    try {
      await this.reach(wish, anew, signal);
      signal.throwIfAborted();
      this.messages.done(this.around.summary());
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      this.tellWhy(error, wish, anew);
    }
    this.underWay = false;
    // An address that leads nowhere stays to be tried again.
    if (this.opened === null) return;
    this.wish = this.state;
    this.address.write(this.state);
    // What is around a tile, and its other years, do not keep it from being drawn.
    if (wish.item !== null) void this.around.lookOn();
    void this.tile.compareOn();
  }

  private async reach(asked: ViewState, anew: boolean, signal: AbortSignal): Promise<void> {
    const opened = await this.reachCatalog(asked.catalog, anew, signal);
    const wish = opened.completed(asked);
    const year = wish.year ?? (wish.item === null ? null : yearInId(wish.item));
    const moved = opened.choose(wish.collection, year);
    const { collection } = opened;
    this.state = { ...wish, collection: collection?.id ?? null, year: opened.year, item: this.tile.tile?.id ?? null };
    this.panel.showCatalog(opened.info, collection, opened.year);
    if (collection === null || opened.year === null) return this.showNothing();
    this.around.moveTo(collection, opened.year);
    if (moved && wish.item === null && collection.box !== null) this.map.fit(collection.box);
    const complaint = opened.complaint(wish);
    try {
      if (wish.item === null) await this.reachPlaces();
      else await this.reachTile(wish.item, collection, opened.year, signal);
    } catch (error) {
      if (signal.aborted || complaint === null || !(error instanceof ViewerError)) throw error;
      this.messages.warn(error.message);
    }
    if (complaint !== null) throw complaint;
  }

  private async reachCatalog(address: string | null, anew: boolean, signal: AbortSignal): Promise<Opened> {
    if (!anew && this.opened !== null && this.opened.address === address) return this.opened;
    this.messages.say("Opening the catalog …");
    const opened = await Opened.at(address, signal);
    signal.throwIfAborted();
    // Copies of a catalog share ids: nothing of what was shown is taken for the new one's.
    this.tile.drop();
    this.around.leave();
    this.opened = opened;
    this.panel.hideForm();
    byId("title").textContent = opened.info.title;
    document.title = `${opened.info.title}: betaearth viewer`;
    for (const { message } of opened.info.failed) this.messages.warn(message);
    return opened;
  }

  private showNothing(): void {
    this.tile.drop();
    this.around.leave();
    this.around.show();
    this.state = { ...this.state, item: null, pixel: null };
  }

  private async reachPlaces(): Promise<void> {
    this.tile.drop();
    this.state = { ...this.state, item: null, pixel: null };
    this.around.show();
    await this.around.look();
  }

  private async reachTile(name: string, collection: CollectionInfo, year: number, signal: AbortSignal): Promise<void> {
    const before = this.tile.tile?.cell;
    try {
      await this.tile.reach(name, { collection, year, known: this.around.tiles }, signal);
    } finally {
      const item = this.tile.tile?.id ?? null;
      if (!signal.aborted) this.state = { ...this.state, item, pixel: item === null ? null : this.state.pixel };
    }
    this.correctPixel();
    this.tile.showChoice();
    this.around.show();
    if (this.tile.tile?.cell !== before) this.tile.reveal();
    await this.tile.draw(signal);
  }

  private tellWhy(error: unknown, wish: ViewState, anew: boolean): void {
    const unopened = this.opened === null || this.opened.address !== wish.catalog;
    this.messages.fail(error, () => void this.go(wish, { anew }), unopened ? ANOTHER_ADDRESS : undefined);
    if (error instanceof NoCatalogBeside) this.panel.askForCatalog(null, false);
    else if (unopened) this.panel.askForCatalog(wish.catalog, false);
  }

  /** A pixel that the tile has not does not stay in the address. */
  private correctPixel(): void {
    const { pixel } = this.state;
    const { tile } = this.tile;
    if (pixel === null || tile === null || isOf(tile, pixel)) return;
    this.state = { ...this.state, pixel: null };
    const { width, height } = shapeOf(tile);
    const there = `columns go from 0 to ${width - 1}, rows from 0 to ${height - 1}`;
    this.messages.warn(`${tile.cell} has no pixel at column ${pixel[0]}, row ${pixel[1]}: ${there}. Another one is used.`);
  }

  /** A year that change cannot be to does not stay in the address. */
  private correctAgainst(): void {
    const { against, layer } = this.state;
    const { tile } = this.tile;
    if (against === null || tile === null || this.tile.comparesTo(against)) return;
    this.state = { ...this.state, against: null };
    if (layer === "change") this.messages.warn(`There is no ${against} of ${tile.cell} to compare ${tile.year} with.`);
    if (this.underWay) return;
    this.wish = this.state;
    this.address.write(this.state);
  }

  /** What a change is made in: the view that is on its way, unless it is of another catalog than is seen. */
  private get base(): ViewState {
    return this.wish.catalog === this.state.catalog ? this.wish : this.state;
  }

  private change(part: Partial<ViewState>, remember = false): Promise<void> {
    return this.go({ ...this.base, ...part }, { remember });
  }

  private changeYear(year: number): Promise<void> {
    const { item, against } = this.base;
    const { tile } = this.tile;
    const cell = item === null ? null : item === tile?.id ? tile.cell : (cellInId(item) ?? item);
    return this.change({ year, item: cell, against: against === year ? null : against }, true);
  }

  private stepYear(step: -1 | 1): void {
    const years = this.opened?.collection?.years ?? [];
    const here = years.indexOf(this.base.year ?? this.opened?.year ?? 0);
    const next = here < 0 ? undefined : years[here + step];
    if (next !== undefined) void this.changeYear(next);
  }

  private close(): void {
    if (this.base.item !== null || this.tile.tile !== null) void this.change({ item: null, pixel: null }, true);
    else if (this.panel.asking && this.opened !== null) this.panel.hideForm();
  }

  private listen(): void {
    const dialog = byId<HTMLDialogElement>("keys");
    listenForKeys(byId("map"), dialog, {
      layer: (layer) => this.base.item !== null && void this.change({ layer }),
      year: (step) => this.stepYear(step),
      close: () => this.close(),
      move: (columns, rows) => this.tile.step(columns, rows),
      use: () => this.tile.useRead(),
    });
    byId("help").addEventListener("click", () => openKeys(dialog));
    byId("open").addEventListener("click", () => this.panel.askForCatalog(this.opened?.info.url ?? null, true));
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.map.restyle());
    listenForSheet(() => this.map.resize());
  }
}
