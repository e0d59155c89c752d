/** The preview of a tile, put back where it lies: a PNG has no place of its own. */

import { type Raster, type TileYear } from "./model";
import { ask, bytesOf, trouble } from "./requests";

/** Longest edge of a preview, pixels; larger tiles are averaged by a whole factor until they fit. */
const EDGE = 512;

export interface Preview {
  readonly canvas: HTMLCanvasElement;
  readonly raster: Raster;
}

/**
 * Read a tile's preview.
 *
 * @throws ViewerError: there is none, or it is no picture of this tile
 */
export async function previewOf(tile: TileYear, signal: AbortSignal): Promise<Preview> {
  const href = tile.item.assets["thumbnail"]?.href;
  if (href === undefined) throw trouble(`${tile.id} has no preview; try Bands.`, tile.url, "missing");
  const bitmap = await picture(href, tile.id, signal);
  const raster = placed(tile, href);
  if (bitmap.width !== raster.width || bitmap.height !== raster.height) {
    const sizes = `${bitmap.width} x ${bitmap.height}, and not ${raster.width} x ${raster.height} pixels`;
    throw trouble(`The preview of ${tile.id} is ${sizes}: it is of another tile; try Bands.`, href, "malformed");
  }
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { canvas, raster };
}

async function picture(href: string, name: string, signal: AbortSignal): Promise<ImageBitmap> {
  const bytes = await bytesOf(await ask(href, { signal }), href);
  try {
    return await createImageBitmap(new Blob([bytes]));
  } catch {
    throw trouble(`The preview of ${name} is not a picture; try Bands.`, href, "malformed");
  }
}

function placed(tile: TileYear, href: string): Raster {
  const { "proj:shape": shape, "proj:transform": transform, "proj:code": code } = tile.item.properties;
  if (!numbers(shape, 2) || !numbers(transform, 6) || typeof code !== "string") {
    const fields = "proj:code, proj:shape, proj:transform";
    throw trouble(`${tile.id} does not say where its pixels lie (${fields}).`, href, "malformed");
  }
  const [height, width] = shape as [number, number];
  const [a, b, c, d, e, f] = transform as [number, number, number, number, number, number];
  const factor = Math.ceil(Math.max(height, width) / EDGE);
  return {
    width: Math.ceil(width / factor),
    height: Math.ceil(height / factor),
    crs: code,
    transform: [a * factor, b * factor, c, d * factor, e * factor, f],
    level: 0,
    metres: Math.abs(a) * factor,
    full: { width, height },
  };
}

function numbers(value: unknown, least: number): value is number[] {
  return Array.isArray(value) && value.length >= least && value.every((part) => typeof part === "number");
}
