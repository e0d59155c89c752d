/** The picture that is on the map, and what it says of the pixels that are pointed at or asked for. */

import type { Pixel } from "./choice";
import { byId } from "./dom";
import type { Picture } from "./layers";
import { showLegend } from "./legend";
import type { MapView } from "./map";
import type { TileYear } from "./model";

export class Reader {
  private picture: Picture | null = null;
  /** The pixel that is read where nothing is pointed at. */
  private cursor: Pixel | null = null;
  /** The pixel that similarity is to, where it is marked. */
  private used: Pixel | null = null;
  private readonly card = byId("card");
  private readonly readout = byId<HTMLOutputElement>("readout");

  constructor(private readonly map: MapView) {}

  get place(): Pixel | null {
    return this.cursor;
  }

  get shows(): boolean {
    return this.picture !== null;
  }

  /** The tile that the picture is of. */
  get tile(): TileYear | null {
    return this.picture?.tile ?? null;
  }

  show(picture: Picture): void {
    this.picture = picture;
    this.map.showPicture(picture);
    showLegend(byId("legend"), picture.legend);
    this.card.hidden = false;
    this.update();
  }

  /** The picture that was to come does not: what is there is what is shown. */
  stay(): void {
    if (this.picture !== null) this.map.showPicture(this.picture);
  }

  /** Take the picture away; the place of the cursor stays. */
  clear(): void {
    this.picture = null;
    this.map.clearPicture();
    this.card.hidden = true;
  }

  mark(used: Pixel | null): void {
    this.used = used;
    this.update();
  }

  moveTo(cursor: Pixel | null): void {
    this.cursor = cursor;
    this.update();
    if (cursor !== null && this.shows) this.map.follow(cursor);
  }

  /** Read what is pointed at; null: nothing is, so the cursor's. */
  pointAt(pixel: Pixel | null): void {
    this.say(pixel ?? this.cursor);
  }

  private update(): void {
    if (this.picture === null) return;
    this.map.mark(this.used, this.cursor);
    this.say(this.cursor);
  }

  private say(pixel: Pixel | null): void {
    if (this.picture === null) return;
    const found = pixel === null ? null : this.picture.read(...pixel);
    this.readout.textContent = found?.words ?? "Point at the tile to read it.";
    // What a pointer passes over is not read out; what was asked for is.
    this.readout.setAttribute("aria-live", pixel !== null && pixel === this.cursor ? "polite" : "off");
    const [column, row] = found === null || pixel === null ? ["", ""] : pixel.map(String);
    Object.assign(this.readout.dataset, { value: found?.value ?? "", column, row });
  }
}
