/** The catalog that is open, and which of its collections and years is looked at. */

import { openCatalog } from "./catalog";
import { forgetRasters } from "./cog";
import { ViewerError, type CatalogInfo, type CollectionInfo } from "./model";
import { shown } from "./requests";
import type { ViewState } from "./state";
import { forgetTiffs } from "./tiff";

const BESIDE = "../catalog.json";
/** What a page meets where no catalog lies beside it. */
const NOT_THERE: ReadonlySet<ViewerError["kind"]> = new Set(["missing", "refused"]);

/** There is no catalog beside the page, and no address was given. */
export class NoCatalogBeside extends ViewerError {}

export class Opened {
  collection: CollectionInfo | null = null;
  year: number | null = null;

  private constructor(
    /** As it was asked for; null: the catalog beside the page. */
    readonly address: string | null,
    readonly info: CatalogInfo,
  ) {}

  /**
   * Open a catalog, with nothing kept of what was read of it before.
   *
   * @throws ViewerError
   */
  static async at(address: string | null, signal: AbortSignal): Promise<Opened> {
    forgetRasters();
    forgetTiffs();
    const beside = new URL(BESIDE, document.baseURI).href;
    try {
      return new Opened(address, await openCatalog(address ?? beside, signal));
    } catch (error) {
      if (address !== null || !(error instanceof ViewerError) || !NOT_THERE.has(error.kind)) throw error;
      // What a catalog that is there links is another matter.
      if (error.url !== shown(beside)) throw error;
      throw new NoCatalogBeside("There is no catalog beside this page: give the address of one.", error.url, error.kind);
    }
  }

  /** A view that names no more than the catalog is of what its address leads to: an Item, a year. */
  completed(wish: ViewState): ViewState {
    const { collection, year, item } = wish;
    return collection === null && year === null && item === null ? { ...wish, ...this.info.asked } : wish;
  }

  /** Take what was asked for, else the first collection and its last year; true where it is another collection. */
  choose(id: string | null, year: number | null): boolean {
    const { collections } = this.info;
    const kept = id === null ? this.collection : null;
    const collection = collections.find((each) => each.id === id) ?? kept ?? collections[0] ?? null;
    const moved = collection !== this.collection;
    const wanted = year ?? (moved ? null : this.year);
    const known = collection?.years ?? [];
    this.collection = collection;
    this.year = wanted !== null && known.includes(wanted) ? wanted : (known.at(-1) ?? null);
    return moved;
  }

  /** What was asked for and is not in this catalog. */
  complaint({ collection, year }: ViewState): ViewerError | null {
    if (collection !== null && collection !== this.collection?.id) {
      const message = `This catalog has no collection ${collection}; another one is shown.`;
      return new ViewerError(message, this.info.url, "missing");
    }
    if (year !== null && year !== this.year) {
      const instead = this.year === null ? "it has none" : `${this.year} is shown`;
      return new ViewerError(`${this.collection?.title} has no year ${year}; ${instead}.`, this.info.url, "missing");
    }
    return null;
  }
}
