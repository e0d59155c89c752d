/** What is looked at, and how the page follows it: every change is a new view state, and `go` goes there. */

import { openCatalog, siblingsOf } from "./catalog";
import { isAbort } from "./cache";
import { choiceFor, shapeOf, type Choice, type Pixel } from "./choice";
import { byId, counted, size } from "./dom";
import { findTile, yearNamed } from "./find";
import { openKeys, listenForKeys } from "./keyboard";
import { paint, type Picture } from "./layers";
import { MapView } from "./map";
import { Messages } from "./messages";
import type { Block, CatalogInfo, CollectionInfo, TileYear } from "./model";
import { ViewerError } from "./model";
import { Panel } from "./panel";
import { TilePanel } from "./panel_tile";
import { Places } from "./places";
import { Reader } from "./reader";
import { BLANK, formatState, parseState, type LayerKind, type ViewState } from "./state";

const BESIDE = "../catalog.json";
/** What a page meets where no catalog lies beside it. */
const NOT_THERE: ReadonlySet<ViewerError["kind"]> = new Set(["missing", "refused"]);
const ANOTHER_ADDRESS = "Check the address below, or give another one.";

export class App {
  private state: ViewState = BLANK;
  private catalog: CatalogInfo | null = null;
  /** What `state.catalog` was when `catalog` was opened. */
  private opened: string | null | undefined = undefined;
  private collection: CollectionInfo | null = null;
  private places: Places | null = null;
  private tile: TileYear | null = null;
  private siblings: TileYear[] = [];
  /** Going somewhere ends whatever went somewhere before. */
  private going = new AbortController();

  private readonly messages = new Messages();
  private readonly map: MapView;
  private readonly panel: Panel;
  private readonly tilePanel: TilePanel;
  private readonly reader: Reader;

  constructor() {
    this.map = new MapView(byId("map"), {
      onBlock: (id) => this.showBlock(this.places?.blocks.find((block) => block.id === id)),
      onTile: (id) => void this.change({ item: id, pixel: null }, true),
      onPixel: (column, row) => this.clicked([column, row]),
      onHover: (pixel) => this.reader.pointAt(pixel),
      onMoved: () => void this.lookAround().catch((error: unknown) => this.messages.fail(error)),
    });
    this.reader = new Reader(this.map);
    this.panel = new Panel(byId("browse"), byId("about"), {
      open: (address) => void this.go({ ...BLANK, catalog: address }, true),
      collection: (id) => void this.go({ ...BLANK, catalog: this.state.catalog, collection: id }, true),
      year: (year) => void this.changeYear(year),
      tile: (tile) => void this.change({ item: tile.id, pixel: null }, true),
      cell: (cell) => void this.change({ item: cell, pixel: null }, true),
      block: (block) => this.showBlock(block),
      streets: (on) => this.map.setStreets(on),
    });
    this.tilePanel = new TilePanel(byId("chosen"), {
      layer: (layer) => void this.change({ layer }),
      bands: (bands) => void this.change({ bands: [...bands] }),
      use: (pixel) => this.use(pixel),
      read: (pixel) => this.moveCursor(pixel, false),
      against: (against) => void this.change({ against }),
      zoom: () => this.tile !== null && this.map.fit(this.tile.box, { animated: true }),
      close: () => this.close(),
      report: (error) => this.messages.fail(error),
    });
    this.listen();
  }

  /** Go to a view, as far as it exists; what does not is said in words. */
  async go(wish: ViewState, remember = false): Promise<void> {
    this.going.abort();
    this.going = new AbortController();
    const { signal } = this.going;
    this.messages.begin();
    try {
      await this.reach(wish, signal);
      signal.throwIfAborted();
      this.messages.done(this.summary());
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      const unopened = this.opened !== wish.catalog;
      this.messages.fail(error, () => void this.go(wish), unopened ? ANOTHER_ADDRESS : undefined);
      if (unopened) this.panel.askForCatalog(wish.catalog, false);
      // An address that leads nowhere stays to be tried again.
      if (this.catalog === null) return;
    }
    this.write(remember);
  }

  private async reach(wish: ViewState, signal: AbortSignal): Promise<void> {
    const year = wish.year ?? (wish.item === null ? null : yearNamed(wish.item));
    const catalog = await this.reachCatalog(wish.catalog, signal);
    const moved = this.chooseCollection(catalog, wish.collection, year);
    this.state = { ...wish, collection: this.collection?.id ?? null, year: this.state.year };
    this.panel.showCatalog(catalog, this.collection, this.state.year);
    document.title = `${catalog.title}: betaearth viewer`;
    if (this.collection === null || this.state.year === null) {
      this.panel.showPlaces([], [], null, "There is nothing in this catalog yet.");
      return;
    }
    const before = this.tile?.cell;
    if (wish.item === null) this.dropTile();
    if (moved && wish.item === null && this.collection.box !== null) this.map.fit(this.collection.box);
    const failure = wish.item === null ? null : await this.reachTile(wish, this.collection, this.state.year, signal);
    await this.lookAround();
    signal.throwIfAborted();
    this.showPlaces();
    if (this.tile !== null && this.tile.cell !== before) this.tilePanel.reveal();
    this.refuseUnknown(catalog, wish);
    if (failure !== null) throw failure;
    if (this.tile !== null) await this.draw(this.tile, signal);
  }

  private async reachCatalog(address: string | null, signal: AbortSignal): Promise<CatalogInfo> {
    if (this.catalog !== null && this.opened === address) return this.catalog;
    this.messages.say("Opening the catalog …");
    const catalog = await this.openOr(address, signal);
    this.opened = address;
    this.catalog = catalog;
    this.collection = null;
    this.panel.hideForm();
    byId("title").textContent = catalog.title;
    return catalog;
  }

  private async openOr(address: string | null, signal: AbortSignal): Promise<CatalogInfo> {
    try {
      return await openCatalog(address ?? new URL(BESIDE, document.baseURI).href, signal);
    } catch (error) {
      if (address !== null || !(error instanceof ViewerError) || !NOT_THERE.has(error.kind)) throw error;
      this.panel.askForCatalog(null, false);
      throw new ViewerError("There is no catalog beside this page: give the address of one.", error.url, error.kind);
    }
  }

  /** Take what was asked for, else the first collection and its last year; true where it is another than before. */
  private chooseCollection(catalog: CatalogInfo, id: string | null, year: number | null): boolean {
    const before = [this.collection, this.state.year] as const;
    const kept = id === null ? this.collection : null;
    const collection = catalog.collections.find((each) => each.id === id) ?? kept ?? catalog.collections[0] ?? null;
    const wanted = year ?? (collection === before[0] ? before[1] : null);
    const known = collection?.years ?? [];
    const chosen = wanted !== null && known.includes(wanted) ? wanted : (known.at(-1) ?? null);
    this.collection = collection;
    this.state = { ...this.state, year: chosen };
    if (collection !== before[0] || chosen !== before[1]) {
      this.places?.leave();
      this.places = collection === null || chosen === null ? null : this.placesOf(collection, chosen);
    }
    return collection !== before[0];
  }

  private refuseUnknown(catalog: CatalogInfo, wish: ViewState): void {
    if (wish.collection !== null && wish.collection !== this.collection?.id) {
      throw new ViewerError(`This catalog has no collection ${wish.collection}; another one is shown.`, catalog.url, "missing");
    }
    if (wish.year !== null && wish.year !== this.state.year) {
      throw new ViewerError(`${this.collection?.title} has no year ${wish.year}; ${this.state.year} is shown.`, catalog.url, "missing");
    }
    const failed = catalog.failed[0];
    if (failed !== undefined && this.tile === null) this.messages.warn(failed.message);
  }

  /** Choose the tile that is asked for; an error to be shown once the rest of the page is there, or null. */
  private async reachTile(wish: ViewState, collection: CollectionInfo, year: number, signal: AbortSignal): Promise<unknown> {
    if (this.tile !== null && this.tile.id === wish.item) {
      this.showChoice();
      return null;
    }
    const name = wish.item ?? "";
    try {
      const tile = this.places?.tiles.find(({ id }) => id === name) ?? (await findTile(collection, year, name, signal));
      if (tile === null) throw new ViewerError(`There is no product of ${name} in ${year}.`, collection.url, "missing");
      const siblings = await siblingsOf(tile, collection, { signal });
      signal.throwIfAborted();
      this.takeTile(tile, siblings, collection);
      return null;
    } catch (error) {
      if (signal.aborted || isAbort(error)) throw error;
      this.dropTile();
      return error;
    }
  }

  private takeTile(tile: TileYear, siblings: TileYear[], collection: CollectionInfo): void {
    const elsewhere = tile.cell !== this.tile?.cell;
    this.tile = tile;
    this.siblings = siblings;
    this.state = { ...this.state, item: tile.id };
    if (elsewhere) this.reader.moveTo(null);
    this.tilePanel.show(tile, collection, shapeOf(tile), siblings.map(({ year }) => year));
    if (this.reader.place !== null) this.tilePanel.showReading(this.reader.place);
    this.showChoice();
    if (elsewhere) {
      this.reader.clear();
      this.map.fit(tile.box, { animated: true });
    }
  }

  private dropTile(): void {
    this.tile = null;
    this.siblings = [];
    this.reader.moveTo(null);
    this.state = { ...this.state, item: null, pixel: null };
    this.tilePanel.clear();
    this.reader.clear();
  }

  private async draw(tile: TileYear, signal: AbortSignal): Promise<void> {
    const { layer, pixel, bands, against } = this.choice(tile);
    this.map.expectPicture();
    this.messages.say(reading(tile, layer));
    const other = this.siblings.find(({ year }) => year === against) ?? null;
    let picture: Picture;
    try {
      picture = await paint({ tile, kind: layer, bands, pixel, other, signal });
    } catch (error) {
      if (!signal.aborted && !isAbort(error)) this.reader.clear();
      throw error;
    }
    signal.throwIfAborted();
    this.reader.show(picture);
  }

  private placesOf(collection: CollectionInfo, year: number): Places {
    this.panel.showEmpty([]);
    return new Places(collection, year, {
      onChange: () => this.showPlaces(),
      onEmpty: (cells) => this.panel.showEmpty(cells),
      onFailed: (where, failed) =>
        this.messages.warn(`${counted(failed.length, "document")} of ${where} could not be read. ${failed[0]!.message}`),
    });
  }

  private async lookAround(): Promise<void> {
    await this.places?.lookAround(this.map.box());
  }

  private showPlaces(): void {
    const { places, tile } = this;
    if (places === null) return;
    const { tiles, unread } = places;
    const outlined = tile === null || tiles.some(({ id }) => id === tile.id) ? tiles : [...tiles, tile];
    this.map.showOutlines(unread, outlined, tile?.id ?? null);
    const open = unread.length > 0 ? "Zoom in, or choose a block, to see its tiles." : "No tiles in sight.";
    this.panel.showPlaces(tiles, unread, tile?.id ?? null, tiles.length > 0 ? "" : open);
  }

  private showBlock(block: Block | undefined): void {
    if (block === undefined || this.places === null) return;
    if (block.box !== null) this.map.fit(block.box, { animated: true });
    this.messages.say(`Reading ${block.title} …`);
    this.places.readBlock(block).then(
      () => this.messages.say(this.summary()),
      (error: unknown) => this.messages.fail(error, () => this.showBlock(block)),
    );
  }

  private choice(tile: TileYear): Choice {
    return choiceFor(tile, this.state, this.siblings.map(({ year }) => year), this.collection);
  }

  private showChoice(): void {
    if (this.tile === null) return;
    const choice = this.choice(this.tile);
    this.tilePanel.choose(choice);
    this.reader.mark(choice.layer === "similarity" || this.state.pixel !== null ? choice.pixel : null);
  }

  private change(part: Partial<ViewState>, remember = false): Promise<void> {
    return this.go({ ...this.state, ...part }, remember);
  }

  private changeYear(year: number): Promise<void> {
    return this.change({ year, item: this.tile?.cell ?? null }, true);
  }

  private stepYear(step: -1 | 1): void {
    const years = this.collection?.years ?? [];
    const next = years[years.indexOf(this.state.year ?? 0) + step];
    if (next !== undefined) void this.changeYear(next);
  }

  private clicked(pixel: Pixel): void {
    this.moveCursor(pixel);
    void this.change({ pixel: [...pixel] });
  }

  private use(pixel: Pixel): void {
    void this.change({ pixel: [...pixel], layer: "similarity" });
  }

  private moveCursor(pixel: Pixel, fill = true): void {
    if (fill) this.tilePanel.showReading(pixel);
    this.reader.moveTo(pixel);
  }

  private step(columns: number, rows: number): boolean {
    if (this.tile === null || !this.reader.shows) return false;
    const { width, height } = shapeOf(this.tile);
    const [column, row] = this.reader.place ?? this.choice(this.tile).pixel;
    this.moveCursor([within(column + columns, width), within(row + rows, height)]);
    return true;
  }

  private close(): void {
    if (this.tile !== null) void this.change({ item: null, pixel: null }, true);
    else if (this.panel.asking && this.catalog !== null) this.panel.hideForm();
  }

  private summary(): string {
    if (this.tile !== null) return `${this.tile.cell} in ${this.tile.year}.`;
    const { tiles = [], blocks = [] } = this.places ?? {};
    const what = tiles.length > 0 ? counted(tiles.length, "tile") : counted(blocks.length, "block");
    return `${what} of ${this.state.year} read so far.`;
  }

  private write(remember: boolean): void {
    const hash = formatState(this.state);
    if (hash === location.hash) return;
    const address = hash === "" ? location.pathname + location.search : hash;
    if (remember) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
  }

  private listen(): void {
    const dialog = byId<HTMLDialogElement>("keys");
    listenForKeys(byId("map"), dialog, {
      layer: (layer) => this.tile !== null && void this.change({ layer }),
      year: (step) => this.stepYear(step),
      close: () => this.close(),
      move: (columns, rows) => this.step(columns, rows),
      use: () => {
        const { place } = this.reader;
        if (place !== null) this.use(place);
        return place !== null;
      },
    });
    byId("help").addEventListener("click", () => openKeys(dialog));
    byId("open").addEventListener("click", () => this.panel.askForCatalog(this.catalog?.url ?? null, true));
    window.addEventListener("popstate", () => void this.go(parseState(location.hash)));
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.map.restyle());
    this.listenForSheet();
  }

  /** On small screens the panel is a sheet below the map, which can be made larger. */
  private listenForSheet(): void {
    const sheet = byId<HTMLButtonElement>("sheet");
    sheet.addEventListener("click", () => {
      const large = document.body.classList.toggle("sheet-large");
      sheet.setAttribute("aria-expanded", String(large));
      this.map.resize();
    });
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
