/** What the viewer knows of a catalog: plain data, as the other modules hand it around. */

/** West, south, east, north in degrees. East may exceed 180 where a box crosses the antimeridian. */
export type Box = [west: number, south: number, east: number, north: number];

/** A link of a STAC document; the address is absolute once a document is fetched. */
export interface StacLink {
  rel: string;
  href: string;
  title?: string;
  type?: string;
  [field: string]: unknown;
}

/** An asset of an Item or Collection; the address is absolute once a document is fetched. */
export interface StacAsset {
  href: string;
  title?: string;
  type?: string;
  roles?: string[];
  "file:size"?: number;
  "file:checksum"?: string;
  [field: string]: unknown;
}

/** Any STAC document. Its texts are strangers' texts: never put them on a page as markup. */
export interface StacDocument {
  type: string;
  id: string;
  title?: string;
  description?: string;
  links: StacLink[];
  assets?: Record<string, StacAsset>;
  [field: string]: unknown;
}

/** A STAC Item. */
export interface StacItem extends StacDocument {
  type: "Feature";
  bbox: number[];
  geometry: { type: string; coordinates: unknown } | null;
  properties: Record<string, unknown>;
  assets: Record<string, StacAsset>;
  collection?: string;
}

/** What an address below a catalog's root is of; null where it does not say it. */
export interface Asked {
  collection: string | null;
  year: number | null;
  /** Id of an Item. */
  item: string | null;
}

/** A catalog and the collections that it lists. */
export interface CatalogInfo {
  /** Of the document that was opened. */
  url: string;
  title: string;
  description: string;
  collections: CollectionInfo[];
  /** Collections that the catalog lists and that could not be read. */
  failed: ViewerError[];
  /** What of it the address was of that it was opened by. */
  asked: Asked;
}

/** A collection: one network in one version, by years. */
export interface CollectionInfo {
  id: string;
  title: string;
  description: string;
  url: string;
  /** Ascending. */
  years: number[];
  box: Box | null;
  license: string;
  raw: StacDocument;
}

/** A catalog of 16 x 16 cells. */
export interface Block {
  id: string;
  url: string;
  /** Of its 16 x 16 cells, whether they hold Items or not; null where the name or the grid is not known. */
  box: Box | null;
  title: string;
}

/** Blocks of a year, with the super-blocks that could not be read. */
export interface Blocks extends Array<Block> {
  failed: ViewerError[];
  /** Addresses of super-blocks that were not read, as they lie elsewhere. */
  elsewhere: string[];
}

/** A cell that was looked at and has nothing to embed, with the sentence that says why. */
export interface EmptyCell {
  cell: string;
  reason: string;
}

/** A cell in a year that has an embedding. */
export interface TileYear {
  /** Of the Item. */
  id: string;
  url: string;
  /** As Major TOM writes it: `433U_1046R`. */
  cell: string;
  year: number;
  /** Id of the collection. */
  collection: string;
  box: Box;
  /** Closed outline, (lon, lat) in degrees, counter-clockwise; unwrapped beyond 180 across the antimeridian. */
  ring: [number, number][];
  item: StacItem;
}

/** Tiles of a block, with the Items that could not be read. */
export interface Tiles extends Array<TileYear> {
  failed: ViewerError[];
}

/** The other years of a tile's cell, with those that could not be read. */
export interface Siblings {
  tiles: TileYear[];
  failed: { year: number; error: ViewerError }[];
}

/** How the components of an embedding are stored. */
export type Encoding = "int8" | "float32";

/** Where the pixels of a raster lie. */
export interface Raster {
  /** Pixels. */
  width: number;
  height: number;
  /** `EPSG:32630`. */
  crs: string;
  /** `x = a column + b row + c`, `y = d column + e row + f`, of this level's pixel corners. */
  transform: [a: number, b: number, c: number, d: number, e: number, f: number];
  /** 0 is full resolution; each overview is one more. */
  level: number;
  /** Edge of a pixel. */
  metres: number;
  /** Size of the full resolution, pixels: resolution.ts finds a pixel of it in the level. */
  full: { width: number; height: number };
}

/** An embedding, decoded. */
export interface Embeddings extends Raster {
  /** Component `(row * width + column) * 64 + band`; unit length where valid, zero elsewhere. */
  vectors: Float32Array;
  /** (row, column); 1 where there is an embedding. */
  valid: Uint8Array;
  encoding: Encoding;
}

/** A few bands of an embedding, decoded. */
export interface Bands extends Raster {
  /** Component of the unit vector, per band asked for, (row, column); NaN where there is none. */
  values: Float32Array[];
  /** (row, column); 1 where there is an embedding. */
  valid: Uint8Array;
}

/** What is known of how good an embedding is. */
export interface Quality extends Raster {
  bands: QualityBand[];
}

/** A band of a quality file. */
export interface QualityBand {
  /** `obs_count`, `dispersion`. */
  name: string;
  /** For people. */
  title: string;
  /** Scaled, (row, column); NaN where there is no data. */
  values: Float32Array;
}

/** How much of a raster to read. */
export interface ReadOptions {
  /** The finest level with at most so many pixels is read. */
  maxPixels?: number;
  signal?: AbortSignal;
  /** Gets the bytes that are there, and how many there will be. */
  progress?: (bytes: number, of: number) => void;
}

/** Why a document or file could not be used. */
export type Trouble = "missing" | "refused" | "unreachable" | "malformed" | "unranged";

/** What went wrong, for a person. */
export class ViewerError extends Error {
  /**
   * @param message a whole sentence
   * @param url of the document or file, without its query
   * @param kind what sort of trouble
   */
  constructor(
    message: string,
    readonly url: string,
    readonly kind: Trouble,
  ) {
    super(message);
    this.name = "ViewerError";
  }
}
