/** The blocks of a TIFF file: found, fetched by few requests, decoded. */

import { type GeoTIFFImage, getDecoder } from "geotiff";

import { AT_ONCE } from "./requests";
import { type Level, type Tiff, inWords } from "./tiff";
import { registerZstd } from "./zstd";

registerZstd();

/** Blocks that lie so close are read at once, up to so many bytes. */
const GAP = 64 * 1024;
const AT_MOST = 4 * 1024 * 1024;
/** Bytes: no block of 64 bands is larger, stored or decoded; what claims to be is broken. */
const LARGEST_BLOCK = 256 * 1024 * 1024;
/** Milliseconds of decoding after which a page gets its turn. */
const TURN = 12;

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
  if (!(bytesOf(tiff, level, level.blockHeight) <= LARGEST_BLOCK)) {
    throw new Error(`its blocks have ${level.blockWidth} x ${level.blockHeight} pixels in ${tiff.samples} bands`);
  }
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
  const needed = bytesOf(tiff, level, height);
  if (decoded.byteLength < needed) {
    throw new Error(`a block of it holds ${decoded.byteLength} bytes and not ${needed}`);
  }
  return { left, top, width, height, sample: block.sample, data: typed(tiff, decoded) };
}

function emptyBlock(tiff: Tiff, level: Level, block: Stored): BlockData {
  const empty = blockOf(tiff, level, block, new ArrayBuffer(bytesOf(tiff, level, level.blockHeight)));
  empty.data.fill(tiff.nodata ?? 0);
  return empty;
}

/** Bytes of a decoded block, or of its first rows. */
function bytesOf(tiff: Tiff, level: Level, rows: number): number {
  return level.blockWidth * rows * (tiff.pixelInterleaved ? tiff.samples : 1) * (tiff.bitsPerSample / 8);
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
