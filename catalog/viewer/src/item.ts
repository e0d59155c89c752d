/** A tile-year as its Item says it: cell, year, outline, and the way to its manifest. */

import { boxFrom, ringOfBox } from "./box";
import { fetchDocument, fetchJson } from "./documents";
import { isObject, type Fields } from "./fields";
import type { StacItem, TileYear } from "./model";
import { ViewerError } from "./model";
import { ringOf, unwrapped } from "./projection";
import { fileName, trouble } from "./requests";

/**
 * Read an Item.
 *
 * @param collection its id, where the Item does not say it
 * @param year where the Item does not say it
 * @throws ViewerError
 */
export async function readTile(url: string, collection: string, year: number, signal?: AbortSignal): Promise<TileYear> {
  const document = await fetchDocument(url, signal);
  if (document.type !== "Feature" || !isObject(document.properties) || document.assets === undefined) {
    throw trouble(`${fileName(url)} is no STAC Item.`, url, "malformed");
  }
  const item = document as StacItem;
  const ring = outline(item);
  if (ring === null) throw trouble(`The Item ${item.id} does not say where it lies.`, url, "malformed");
  const lons = ring.map(([lon]) => lon);
  const lats = ring.map(([, lat]) => lat);
  return {
    id: item.id,
    url,
    cell: cellOf(item),
    year: yearOf(item) ?? year,
    collection: item.collection ?? collection,
    box: [Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)],
    ring,
    item,
  };
}

/**
 * Read the manifest of a tile-year: everything that is known of how it was made.
 *
 * @throws ViewerError: the Item links none, it cannot be read, or what is there is none
 */
export async function manifestOf(tile: TileYear, signal?: AbortSignal): Promise<Fields> {
  const link = tile.item.links.find(({ rel }) => rel === "via");
  const href = link?.href ?? tile.item.assets.provenance?.href;
  if (href === undefined) throw trouble(`The Item ${tile.id} links no manifest.`, tile.url, "missing");
  const manifest = await fetchJson(href, signal);
  if (!isManifest(manifest)) {
    const message = `${fileName(href)} is JSON, but no manifest: it has no request, granules and scenes.`;
    throw trouble(message, href, "malformed");
  }
  return manifest;
}

function isManifest(value: unknown): value is Fields {
  if (!isObject(value)) return false;
  return isObject(value["request"]) && Array.isArray(value["granules"]) && Array.isArray(value["scenes"]);
}

/** Whether no newer version of the tile-year has taken its place. */
export function isCurrent({ item }: TileYear): boolean {
  return item.properties.deprecated !== true;
}

function cellOf(item: StacItem): string {
  const code = item.properties["grid:code"];
  const match = typeof code === "string" ? /([0-9]+[UD]_[0-9]+[LR])$/i.exec(code) : null;
  return match === null ? item.id : match[1].toUpperCase();
}

function yearOf(item: StacItem): number | null {
  const start = item.properties.start_datetime ?? item.properties.datetime;
  return typeof start === "string" && /^\d{4}-/.test(start) ? Number(start.slice(0, 4)) : null;
}

function outline(item: StacItem): [number, number][] | null {
  const { geometry } = item;
  const box = boxFrom(item.bbox);
  if (geometry?.type === "Polygon" && Array.isArray(geometry.coordinates)) {
    const ring = (geometry.coordinates[0] ?? []) as [number, number][];
    if (ring.length >= 4) return unwrapped(ring.map(([lon, lat]) => [lon, lat] as const));
  }
  return pixelOutline(item) ?? (box === null ? null : ringOfBox(box));
}

/** Outline of an Item's pixels: a geometry that is cut at 180 degrees is none. */
function pixelOutline(item: StacItem): [number, number][] | null {
  const { "proj:code": crs, "proj:shape": shape, "proj:transform": transform } = item.properties;
  if (typeof crs !== "string" || !Array.isArray(shape) || !Array.isArray(transform)) return null;
  const [a, b, c, d, e, f] = transform as number[];
  try {
    return ringOf({ width: Number(shape[1]), height: Number(shape[0]), crs, transform: [a, b, c, d, e, f] });
  } catch (error) {
    if (error instanceof ViewerError) return null;
    throw error;
  }
}
