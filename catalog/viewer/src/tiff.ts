/** Tiled TIFF files with overviews: what they say of themselves, and their blocks, by few requests. */

import GeoTIFF, { type GeoTIFFImage, getDecoder } from "geotiff";

import { Lru, Sharing, isAbort } from "./cache";
import { type Raster, ViewerError } from "./model";
import { RangeSource } from "./ranges";
import { AT_ONCE, fileName, trouble } from "./requests";
import { registerZstd } from "./zstd";

registerZstd();

/** Blocks that lie so close are read at once, up to so many bytes. */
const GAP = 64 * 1024;
const AT_MOST = 4 * 1024 * 1024;
/** No block of 64 bands is larger; what claims to be is broken. */
const LARGEST_BLOCK = 256 * 1024 * 1024;
/** Images of a file that are looked at; each halves the one before. */
const IMAGES = 32;
/** Milliseconds of decoding after which a page gets its turn. */
const TURN = 12;

/** A resolution of a file. */
export interface Level {
  image: GeoTIFFImage;
  width: number;
  height: number;
  /** Pixels of a block. */
  blockWidth: number;
  blockHeight: number;
  /** Blocks side by side, and below each other. */
  across: number;
  down: number;
}

/** A file that was opened. */
export interface Tiff {
  url: string;
  source: RangeSource;
  /** Finest first. */
  levels: Level[];
  samples: number;
  /** 1 unsigned, 2 signed, 3 floating point. */
  sampleFormat: number;
  bitsPerSample: number;
  /** Whether the bands of a pixel lie together, not the pixels of a band. */
  pixelInterleaved: boolean;
  nodata: number | null;
  /** `EPSG:32630`; null where the file names none. */
  crs: string | null;
  transform: Raster["transform"] | null;
}

/** A decoded block. */
export interface BlockData {
  /** Column and row of the first pixel. */
  left: number;
  top: number;
  /** Pixels of it that belong to the image. */
  width: number;
  height: number;
  /** 0 where the bands of a pixel lie together. */
  sample: number;
  data: Samples;
}

export type Samples = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array | Float32Array | Float64Array;

const opened = new Lru<Tiff>(64);
const opening = new Sharing<Tiff>();

/**
 * Open a file: one request, as a rule.
 *
 * @throws ViewerError: it cannot be had, or is no TIFF of tiles or strips
 */
export async function openTiff(url: string, signal?: AbortSignal): Promise<Tiff> {
  const known = opened.get(url);
  if (known !== undefined) return known;
  const open = async () => {
    const tiff = await inWords(url, () => described(new RangeSource(url), signal));
    opened.set(url, tiff);
    return tiff;
  };
  return opening.join(url, open, signal);
}

/** Forget what is known of files. */
export function forgetTiffs(): void {
  opened.clear();
}

/**
 * Read blocks, the near ones together.
 *
 * @param places (block column, block row)
 * @param take gets each block as it is decoded, in any order
 * @param progress gets the bytes that are there, and how many there will be
 * @throws ViewerError: the file is cut off or broken
 */
export async function readBlocks(
  tiff: Tiff,
  level: Level,
  places: readonly (readonly [number, number])[],
  take: (block: BlockData) => void,
  { signal, progress }: { signal?: AbortSignal; progress?: (bytes: number, of: number) => void } = {},
): Promise<void> {
  await inWords(tiff.url, async () => {
    const decoder = await decoderOf(level.image);
    const blocks = await stored(tiff, level, places);
    const groups = grouped(blocks.filter((block) => block.length > 0));
    blocks.filter((block) => block.length === 0).forEach((block) => take(emptyBlock(tiff, level, block)));
    const of = groups.reduce((sum, group) => sum + group.length, 0);
    let bytes = 0;
    let since = performance.now();
    const work = async (group: Group) => {
      const data = await tiff.source.part(group, signal);
      progress?.((bytes += data.byteLength), of);
      for (const block of group.blocks) {
        const start = block.offset - group.offset;
        const decoded = await decoder.decode(data.slice(start, start + block.length));
        take(blockOf(tiff, level, block, decoded as ArrayBuffer));
        if (performance.now() - since > TURN) {
          await pause();
          since = performance.now();
        }
        signal?.throwIfAborted();
      }
    };
    await inTurn(groups, work);
  });
}

/** All blocks of a level. */
export function allBlocks(level: Level): [number, number][] {
  return Array.from({ length: level.across * level.down }, (_, place) => [
    place % level.across,
    Math.floor(place / level.across),
  ]);
}

/** The finest level with at most so many pixels, else the coarsest. */
export function levelWithin(tiff: Tiff, maxPixels: number): number {
  const place = tiff.levels.findIndex(({ width, height }) => width * height <= maxPixels);
  return place < 0 ? tiff.levels.length - 1 : place;
}

/**
 * How many pixels of the full resolution are one of a level, along an edge.
 *
 * An overview by a whole factor is rounded up where the size is no multiple of it; its pixels still are
 * that many wide, the last one reaching beyond the image.
 */
export function factorOf(full: number, reduced: number): number {
  const factor = Math.round(full / reduced);
  return Math.ceil(full / factor) === reduced ? factor : full / reduced;
}

interface Stored {
  across: number;
  down: number;
  sample: number;
  offset: number;
  /** Bytes; 0 where the block was left out, since it holds nothing. */
  length: number;
}

interface Group {
  offset: number;
  length: number;
  blocks: Stored[];
}

async function described(source: RangeSource, signal?: AbortSignal): Promise<Tiff> {
  const file = await GeoTIFF.fromSource(source as never, undefined, signal);
  const images: GeoTIFFImage[] = [];
  do {
    images.push(await file.getImage(images.length));
    // Directories that link each other in a circle would be read for ever.
  } while (images[images.length - 1].fileDirectory.nextIFDByteOffset !== 0 && images.length < IMAGES);
  const full = images[0];
  const samples = full.getSamplesPerPixel();
  const levels = images.filter((image, place) => place === 0 || isOverview(image, samples)).map(levelOf);
  levels.sort((one, other) => other.width * other.height - one.width * one.height);
  const bits = await full.fileDirectory.loadValue("BitsPerSample");
  const formats = await full.fileDirectory.loadValue("SampleFormat");
  const bitsPerSample = first(bits, 1);
  if (!file.littleEndian && bitsPerSample > 8) {
    throw trouble(`${fileName(source.url)} is big-endian, which cannot be read here.`, source.url, "malformed");
  }
  return {
    url: source.url,
    source,
    levels,
    samples,
    sampleFormat: first(formats, 1),
    bitsPerSample,
    pixelInterleaved: full.planarConfiguration === 1,
    nodata: full.getGDALNoData(),
    crs: crsOf(full),
    transform: transformOf(full),
  };
}

function first(values: unknown, otherwise: number): number {
  if (typeof values === "number") return values;
  return values === undefined ? otherwise : Number((values as ArrayLike<number>)[0]);
}

/** A reduced image, and no mask of one. */
function isOverview(image: GeoTIFFImage, samples: number): boolean {
  const kind = image.fileDirectory.hasTag("NewSubfileType")
    ? Number(image.fileDirectory.getValue("NewSubfileType"))
    : 0;
  return (kind & 1) === 1 && (kind & 4) === 0 && image.getSamplesPerPixel() === samples;
}

function levelOf(image: GeoTIFFImage): Level {
  const [width, height] = [image.getWidth(), image.getHeight()];
  const [blockWidth, blockHeight] = [image.getTileWidth(), image.getTileHeight()];
  if (!(width > 0 && height > 0 && blockWidth > 0 && blockHeight > 0)) throw new Error("it has no pixels");
  const [across, down] = [Math.ceil(width / blockWidth), Math.ceil(height / blockHeight)];
  return { image, width, height, blockWidth, blockHeight, across, down };
}

function crsOf(image: GeoTIFFImage): string | null {
  const keys = image.getGeoKeys();
  const code = Number(keys?.ProjectedCSTypeGeoKey ?? keys?.GeographicTypeGeoKey ?? 0);
  // 32767 is a system that the file spells out and gives no code.
  return code > 0 && code < 32767 ? `EPSG:${code}` : null;
}

function transformOf(image: GeoTIFFImage): Raster["transform"] | null {
  const directory = image.fileDirectory;
  if (directory.hasTag("ModelTransformation")) {
    const m = directory.getValue("ModelTransformation") as ArrayLike<number>;
    return [m[0], m[1], m[3], m[4], m[5], m[7]];
  }
  if (!directory.hasTag("ModelPixelScale") || !directory.hasTag("ModelTiepoint")) return null;
  const scale = directory.getValue("ModelPixelScale") as ArrayLike<number>;
  const tie = directory.getValue("ModelTiepoint") as ArrayLike<number>;
  return [scale[0], 0, tie[3] - tie[0] * scale[0], 0, -scale[1], tie[4] + tie[1] * scale[1]];
}

async function decoderOf(image: GeoTIFFImage): Promise<{ decode(data: ArrayBuffer): Promise<ArrayBufferLike> }> {
  const directory = image.fileDirectory;
  const compression = Number((await directory.loadValue("Compression")) ?? 1);
  const parameters = {
    tileWidth: image.getTileWidth(),
    tileHeight: image.getTileHeight(),
    planarConfiguration: image.planarConfiguration,
    bitsPerSample: (await directory.loadValue("BitsPerSample")) as never,
    predictor: Number((await directory.loadValue("Predictor")) ?? 1),
    samplesPerPixel: image.getSamplesPerPixel(),
  };
  return getDecoder(compression, parameters);
}

async function stored(
  tiff: Tiff,
  level: Level,
  places: readonly (readonly [number, number])[],
): Promise<Stored[]> {
  const directory = level.image.fileDirectory;
  const kind = level.image.isTiled ? "Tile" : "Strip";
  const offsets = listed(await directory.loadValue(`${kind}Offsets`));
  const lengths = listed(await directory.loadValue(`${kind}ByteCounts`));
  const blocks: Stored[] = [];
  for (const [across, down] of places) {
    for (let sample = 0; sample < (tiff.pixelInterleaved ? 1 : tiff.samples); sample++) {
      const index = (sample * level.down + down) * level.across + across;
      const [offset, length] = [Number(offsets[index]), Number(lengths[index])];
      if (!(offset >= 0 && length >= 0 && length <= LARGEST_BLOCK)) throw new Error(`its block ${index} has no place`);
      blocks.push({ across, down, sample, offset, length });
    }
  }
  return blocks;
}

function listed(value: unknown): ArrayLike<number | bigint> {
  return typeof value === "number" ? [value] : ((value ?? []) as ArrayLike<number>);
}

function grouped(blocks: Stored[]): Group[] {
  const groups: Group[] = [];
  for (const block of [...blocks].sort((one, other) => one.offset - other.offset)) {
    const last = groups[groups.length - 1];
    const end = block.offset + block.length;
    const near = last !== undefined && block.offset - (last.offset + last.length) <= GAP;
    if (near && end - last.offset <= AT_MOST) {
      last.length = Math.max(last.length, end - last.offset);
      last.blocks.push(block);
    } else {
      groups.push({ offset: block.offset, length: block.length, blocks: [block] });
    }
  }
  return groups;
}

function blockOf(tiff: Tiff, level: Level, block: Stored, decoded: ArrayBuffer): BlockData {
  const [left, top] = [block.across * level.blockWidth, block.down * level.blockHeight];
  const width = Math.min(level.blockWidth, level.width - left);
  const height = Math.min(level.blockHeight, level.height - top);
  const together = tiff.pixelInterleaved ? tiff.samples : 1;
  const needed = level.blockWidth * height * together * (tiff.bitsPerSample / 8);
  if (decoded.byteLength < needed) {
    throw new Error(`a block of it holds ${decoded.byteLength} bytes and not ${needed}`);
  }
  return { left, top, width, height, sample: block.sample, data: typed(tiff, decoded) };
}

function emptyBlock(tiff: Tiff, level: Level, block: Stored): BlockData {
  const together = tiff.pixelInterleaved ? tiff.samples : 1;
  const bytes = level.blockWidth * level.blockHeight * together * (tiff.bitsPerSample / 8);
  const empty = blockOf(tiff, level, block, new ArrayBuffer(bytes));
  empty.data.fill(tiff.nodata ?? 0);
  return empty;
}

const TYPES: Record<string, new (buffer: ArrayBuffer) => Samples> = {
  "1/8": Uint8Array,
  "1/16": Uint16Array,
  "1/32": Uint32Array,
  "2/8": Int8Array,
  "2/16": Int16Array,
  "2/32": Int32Array,
  "3/32": Float32Array,
  "3/64": Float64Array,
};

function typed(tiff: Tiff, buffer: ArrayBuffer): Samples {
  const type = TYPES[`${tiff.sampleFormat}/${tiff.bitsPerSample}`];
  if (type === undefined) throw new Error(`its samples of ${tiff.bitsPerSample} bits are of no known type`);
  return new type(buffer);
}

async function inTurn<T>(things: readonly T[], work: (thing: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < things.length) await work(things[next++]);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, things.length) }, worker));
}

/** Let the page answer to its user between two blocks. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** Say in words what a reader of TIFF files throws. */
async function inWords<V>(url: string, work: () => Promise<V>): Promise<V> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ViewerError || isAbort(error)) throw error;
    const reason = error instanceof Error ? error.message.replace(/\.$/, "") : String(error);
    throw trouble(`${fileName(url)} is no GeoTIFF that can be read here: ${reason}.`, url, "malformed");
  }
}
