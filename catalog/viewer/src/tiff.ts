/** Tiled TIFF files with overviews: what they say of themselves. */

import GeoTIFF, { type GeoTIFFImage } from "geotiff";

import { Lru, Sharing, isAbort } from "./cache";
import { type Raster, ViewerError } from "./model";
import { RangeSource } from "./ranges";
import { fileName, trouble } from "./requests";

/** Pixels of 64 bands that are decoded together: half a gigabyte. */
const MOST_PIXELS = 2_000_000;
const MOST_NUMBERS = MOST_PIXELS * 64;
/** Blocks of a level; what claims more is broken. */
const MOST_BLOCKS = 1_000_000;
/** Images of a file that are looked at; each halves the one before. */
const IMAGES = 32;
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
 * The finest level with at most so many pixels, else the coarsest.
 *
 * @throws ViewerError: that one is too large to be decoded whole
 */
export function levelWithin(tiff: Tiff, maxPixels: number): number {
  const found = tiff.levels.findIndex(({ width, height }) => width * height <= maxPixels);
  const place = found < 0 ? tiff.levels.length - 1 : found;
  const { width, height } = tiff.levels[place];
  if (width * height > MOST_PIXELS || width * height * tiff.samples > MOST_NUMBERS) {
    const size = `${width} x ${height} pixels in ${tiff.samples} bands`;
    const message =
      `${fileName(tiff.url)} is too large to be drawn here: its coarsest resolution has ${size}, and a page has ` +
      `memory for ${MOST_PIXELS / 1e6} million pixels in 64 bands. With overviews it could be drawn.`;
    throw trouble(message, tiff.url, "malformed");
  }
  return place;
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
  if (across * down > MOST_BLOCKS) throw new Error(`its ${width} x ${height} pixels lie in ${across * down} blocks`);
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

/** Say in words what a reader of TIFF files throws. */
export async function inWords<V>(url: string, work: () => Promise<V>): Promise<V> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ViewerError || isAbort(error)) throw error;
    const reason = error instanceof Error ? error.message.replace(/\.$/, "") : String(error);
    throw trouble(`${fileName(url)} is no GeoTIFF that can be read here: ${reason}.`, url, "malformed");
  }
}
