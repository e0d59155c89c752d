/** Boxes of longitude and latitude: how STAC writes them, and whether they share an area. */

import type { Box } from "./model";

/** Make a box of a STAC bounding box, its east beyond 180 where it runs across; null where it is none. */
export function boxFrom(bbox: unknown): Box | null {
  if (!Array.isArray(bbox) || !bbox.every((value) => typeof value === "number" && Number.isFinite(value))) return null;
  if (bbox.length !== 4 && bbox.length !== 6) return null;
  const [west, south, east, north] = bbox.length === 6 ? [bbox[0], bbox[1], bbox[3], bbox[4]] : bbox;
  return [west, south, east < west ? east + 360 : east, north];
}

/** Whether two boxes share an area, of the turns around the Earth any. */
export function overlap(one: Box, other: Box): boolean {
  const height = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  const beside = (shift: number) => Math.min(one[2] + shift, other[2]) - Math.max(one[0] + shift, other[0]) > 0;
  return height > 0 && [-360, 0, 360].some(beside);
}

/** Closed outline of a box, counter-clockwise. */
export function ringOfBox([west, south, east, north]: Box): [number, number][] {
  return [
    [west, south],
    [east, south],
    [east, north],
    [west, north],
    [west, south],
  ];
}
