/** Embeddings and their quality, read by ranges from the files of a tile-year. */

import { Lru, Sharing } from "./cache";
import { BANDS, type Codes, NODATA, decodePixel, encodingOf } from "./encoding";
import type { Bands, Embeddings, Encoding, Quality, QualityBand, Raster, ReadOptions, StacAsset, TileYear } from "./model";
import { fileName, trouble } from "./requests";
import { factorsOf } from "./resolution";
import { type Level, type Tiff, levelWithin, openTiff } from "./tiff";
import { type BlockData, allBlocks, readBlocks } from "./tiff_blocks";

const MAX_PIXELS = 600 * 600;
/** Bytes of decoded rasters that are kept, and of single blocks. */
const RASTER_BYTES = 384 * 1024 * 1024;
const BLOCK_BYTES = 64 * 1024 * 1024;

const TITLES: Record<string, string> = { obs_count: "Observations", dispersion: "Dispersion" };

const rasters = new Lru<Embeddings | Quality>(RASTER_BYTES);
const reading = new Sharing<Embeddings | Quality>();
const blocks = new Lru<Codes>(BLOCK_BYTES);

/** Forget all decoded pixels. */
export function forgetRasters(): void {
  rasters.clear();
  blocks.clear();
}

/**
 * Read an embedding at the finest level that has at most so many pixels.
 *
 * @throws ViewerError
 */
export async function readEmbeddings(tile: TileYear, options: ReadOptions = {}): Promise<Embeddings> {
  const { tiff, encoding } = await openEmbeddings(tile, options.signal);
  const level = levelWithin(tiff, options.maxPixels ?? MAX_PIXELS);
  const key = `${tiff.url} ${level}`;
  const known = rasters.get(key);
  if (known !== undefined) return known as Embeddings;
  const read = async () => {
    const embeddings = await decoded(tile, tiff, level, encoding, options);
    rasters.set(key, embeddings, embeddings.vectors.byteLength);
    return embeddings;
  };
  return (await reading.join(key, read, options.signal)) as Embeddings;
}

/**
 * Read the unit vector of a pixel of the full resolution, from its own block alone.
 *
 * @returns 64 components; null where there is no embedding
 * @throws ViewerError: also where there is no such pixel
 */
export async function readVector(
  tile: TileYear,
  column: number,
  row: number,
  options: { signal?: AbortSignal } = {},
): Promise<Float32Array | null> {
  const { tiff, encoding } = await openEmbeddings(tile, options.signal);
  const level = tiff.levels[0];
  if (!(Number.isInteger(column) && Number.isInteger(row) && isWithin(column, level.width) && isWithin(row, level.height))) {
    const message =
      `There is no pixel at column ${column}, row ${row}: columns go from 0 to ${level.width - 1}, ` +
      `rows from 0 to ${level.height - 1}.`;
    throw trouble(message, tiff.url, "malformed");
  }
  const place: [number, number] = [Math.floor(column / level.blockWidth), Math.floor(row / level.blockHeight)];
  const vector = new Float32Array(BANDS);
  const pixel = (row - place[1] * level.blockHeight) * level.blockWidth + column - place[0] * level.blockWidth;
  const codes = await blockAt(tiff, level, place, options.signal);
  return decodePixel(codes, pixel * BANDS, tiff.nodata ?? NODATA[encoding], vector, 0) ? vector : null;
}

/**
 * Read three bands as components of the unit vectors.
 *
 * The length of a vector takes all its bands, which lie together in the file.
 *
 * @throws ViewerError
 */
export async function readBands(
  tile: TileYear,
  bands: [number, number, number],
  options: ReadOptions = {},
): Promise<Bands> {
  const { vectors, valid, encoding: _, ...raster } = await readEmbeddings(tile, options);
  const values = bands.map((band) => {
    if (!(Number.isInteger(band) && isWithin(band, BANDS))) {
      throw trouble(`There is no band ${band}: bands go from 0 to ${BANDS - 1}.`, tile.url, "malformed");
    }
    return Float32Array.from(valid, (is, pixel) => (is ? vectors[pixel * BANDS + band] : NaN));
  });
  return { ...raster, values, valid };
}

/**
 * Read what is known of how good an embedding is.
 *
 * @throws ViewerError
 */
export async function readQuality(tile: TileYear, options: ReadOptions = {}): Promise<Quality> {
  const asset = assetOf(tile, "quality");
  const tiff = await openTiff(asset.href, options.signal);
  const level = levelWithin(tiff, options.maxPixels ?? MAX_PIXELS);
  const key = `${tiff.url} ${level}`;
  const known = rasters.get(key);
  if (known !== undefined) return known as Quality;
  const read = async () => {
    const quality = await scaled(tile, tiff, level, asset, options);
    rasters.set(key, quality, quality.bands.reduce((sum, band) => sum + band.values.byteLength, 0));
    return quality;
  };
  return (await reading.join(key, read, options.signal)) as Quality;
}

async function openEmbeddings(tile: TileYear, signal?: AbortSignal): Promise<{ tiff: Tiff; encoding: Encoding }> {
  const tiff = await openTiff(assetOf(tile, "embeddings").href, signal);
  if (tiff.samples !== BANDS) {
    const message = `${fileName(tiff.url)} has ${tiff.samples} bands: an embedding has ${BANDS}.`;
    throw trouble(message, tiff.url, "malformed");
  }
  const encoding = encodingOf(tiff.sampleFormat, tiff.bitsPerSample);
  if (encoding === null) {
    const kind = ["numbers", "unsigned numbers", "signed numbers", "floating point numbers"][tiff.sampleFormat] ?? "numbers";
    const message = `${fileName(tiff.url)} holds ${kind} of ${tiff.bitsPerSample} bits: an embedding is int8 or float32.`;
    throw trouble(message, tiff.url, "malformed");
  }
  return { tiff, encoding };
}

function assetOf(tile: TileYear, name: string): StacAsset {
  const asset = tile.item.assets[name];
  if (asset === undefined) {
    throw trouble(`The Item ${tile.id} lists no file "${name}".`, tile.url, "missing");
  }
  return asset;
}

async function decoded(
  tile: TileYear,
  tiff: Tiff,
  place: number,
  encoding: Encoding,
  options: ReadOptions,
): Promise<Embeddings> {
  const level = tiff.levels[place];
  const raster = rasterOf(tile, tiff, place);
  const vectors = numbers(tiff, level, BANDS);
  const valid = new Uint8Array(level.width * level.height);
  const nodata = tiff.nodata ?? NODATA[encoding];
  // Blocks of single bands have to be there together before a vector is; those of pixels need not.
  const waiting = new Map<string, BlockData[]>();
  const take = (block: BlockData) => {
    const key = `${block.left} ${block.top}`;
    const parts = [...(waiting.get(key) ?? []), block];
    if (!tiff.pixelInterleaved && parts.length < BANDS) return void waiting.set(key, parts);
    waiting.delete(key);
    const codes = codesOf(tiff, parts);
    for (let y = 0; y < block.height; y++) {
      for (let x = 0; x < block.width; x++) {
        const pixel = (block.top + y) * level.width + block.left + x;
        const from = (y * level.blockWidth + x) * BANDS;
        valid[pixel] = Number(decodePixel(codes, from, nodata, vectors, pixel * BANDS));
      }
    }
  };
  await readBlocks(tiff, level, allBlocks(level), take, options);
  return { ...raster, vectors, valid, encoding };
}

/** The codes of a block, those of a pixel together. */
function codesOf(tiff: Tiff, parts: BlockData[]): Codes {
  if (tiff.pixelInterleaved) return parts[0].data as Codes;
  const pixels = parts[0].data.length;
  const codes = tiff.bitsPerSample === 8 ? new Int8Array(pixels * BANDS) : new Float32Array(pixels * BANDS);
  for (const { sample, data } of parts) {
    for (let pixel = 0; pixel < pixels; pixel++) codes[pixel * BANDS + sample] = data[pixel];
  }
  return codes;
}

async function blockAt(tiff: Tiff, level: Level, place: [number, number], signal?: AbortSignal): Promise<Codes> {
  const key = `${tiff.url} ${place.join(" ")}`;
  const known = blocks.get(key);
  if (known !== undefined) return known;
  const parts: BlockData[] = [];
  await readBlocks(tiff, level, [place], (block) => parts.push(block), { signal });
  const codes = codesOf(tiff, parts);
  blocks.set(key, codes, codes.byteLength);
  return codes;
}

async function scaled(
  tile: TileYear,
  tiff: Tiff,
  place: number,
  asset: StacAsset,
  options: ReadOptions,
): Promise<Quality> {
  const level = tiff.levels[place];
  const stated = Array.isArray(asset.bands) ? (asset.bands as Record<string, unknown>[]) : [];
  const bands = Array.from({ length: tiff.samples }, (_, band) => bandOf(stated[band], band, numbers(tiff, level, 1)));
  const scales = bands.map((_, band) => numberOr(stated[band]?.["raster:scale"], 1));
  const offsets = bands.map((_, band) => numberOr(stated[band]?.["raster:offset"], 0));
  const nodata = tiff.nodata ?? numberOr(asset.nodata, NaN);
  const take = ({ left, top, width, height, sample, data }: BlockData) => {
    const together = tiff.pixelInterleaved ? tiff.samples : 1;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const from = (y * level.blockWidth + x) * together;
        const to = (top + y) * level.width + left + x;
        for (let band = 0; band < together; band++) {
          const value = data[from + band];
          const at = tiff.pixelInterleaved ? band : sample;
          bands[at].values[to] = value === nodata ? NaN : value * scales[at] + offsets[at];
        }
      }
    }
  };
  await readBlocks(tiff, level, allBlocks(level), take, options);
  return { ...rasterOf(tile, tiff, place), bands };
}

function bandOf(stated: Record<string, unknown> | undefined, band: number, values: Float32Array): QualityBand {
  const name = typeof stated?.name === "string" ? stated.name : `band ${band + 1}`;
  const described = typeof stated?.description === "string" ? stated.description : name;
  return { name, title: TITLES[name] ?? described, values: values.fill(NaN) };
}

/**
 * Take memory for a level.
 *
 * @throws ViewerError: the browser has none; nothing is wrong with the file then
 */
function numbers(tiff: Tiff, { width, height }: Level, bands: number): Float32Array {
  try {
    return new Float32Array(width * height * bands);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const message = `This browser has no memory for the ${width} x ${height} pixels of ${fileName(tiff.url)}.`;
    throw trouble(message, tiff.url, "refused");
  }
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === "number" && Number.isFinite(value) ? value : otherwise;
}

/** Place a level, by what the file says, else by what the Item does. */
function rasterOf(tile: TileYear, tiff: Tiff, place: number): Raster {
  const [full, level] = [tiff.levels[0], tiff.levels[place]];
  const properties = tile.item.properties;
  const crs = tiff.crs ?? properties["proj:code"];
  const transform = tiff.transform ?? properties["proj:transform"];
  if (typeof crs !== "string" || !Array.isArray(transform) || transform.length < 6) {
    throw trouble(`Neither ${fileName(tiff.url)} nor its Item says where its pixels lie.`, tiff.url, "malformed");
  }
  const [a, b, c, d, e, f] = transform as number[];
  const [x, y] = factorsOf(full, level);
  return {
    width: level.width,
    height: level.height,
    crs,
    transform: [a * x, b * y, c, d * x, e * y, f],
    level: place,
    metres: Math.hypot(a, d) * x,
    full: { width: full.width, height: full.height },
  };
}

function isWithin(value: number, size: number): boolean {
  return value >= 0 && value < size;
}
