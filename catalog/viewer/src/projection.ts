/** Between the pixels of a raster, the metres of its projection, and degrees. */

import proj4 from "proj4";

import { type Raster, ViewerError } from "./model";

/** What it takes to place a raster. */
export type Placed = Pick<Raster, "width" | "height" | "crs" | "transform">;

/**
 * Make a coordinate reference system known to proj4: the UTM zones of WGS 84, `EPSG:32601` to `EPSG:32760`.
 *
 * @throws ViewerError: it is none of them, nor one that proj4 knows by itself
 */
export function register(code: string): void {
  if (proj4.defs(code) !== undefined) return;
  const match = /^EPSG:32([67])(\d\d)$/.exec(code);
  const zone = match === null ? 0 : Number(match[2]);
  if (match === null || zone < 1 || zone > 60) {
    const message = `The coordinate reference system ${code} is not known here: UTM zones of WGS 84 are.`;
    throw new ViewerError(message, "", "malformed");
  }
  const south = match[1] === "7" ? " +south" : "";
  proj4.defs(code, `+proj=utm +zone=${zone}${south} +datum=WGS84 +units=m +no_defs +type=crs`);
}

/** Column and row of the pixel that holds a point; null outside. */
export function pixelAt(raster: Placed, lon: number, lat: number): [column: number, row: number] | null {
  register(raster.crs);
  const [x, y] = proj4("EPSG:4326", raster.crs, [lon, lat]);
  const [a, b, c, d, e, f] = raster.transform;
  const determinant = a * e - b * d;
  const column = Math.floor((e * (x - c) - b * (y - f)) / determinant);
  const row = Math.floor((a * (y - f) - d * (x - c)) / determinant);
  const inside = column >= 0 && row >= 0 && column < raster.width && row < raster.height;
  return inside ? [column, row] : null;
}

/** Longitude and latitude of the middle of a pixel. */
export function lonLatOf(raster: Placed, column: number, row: number): [lon: number, lat: number] {
  return cornerLonLat(raster, column + 0.5, row + 0.5);
}

/** Longitude and latitude of a place in pixels, where (0, 0) is the upper left corner of the first one. */
export function cornerLonLat(raster: Placed, across: number, down: number): [lon: number, lat: number] {
  register(raster.crs);
  const [a, b, c, d, e, f] = raster.transform;
  const point: [number, number] = [a * across + b * down + c, d * across + e * down + f];
  const [lon, lat] = proj4(raster.crs, "EPSG:4326", point);
  return [lon, lat];
}

/** Bounds in units of the raster's reference system. */
export function extentOf(raster: Placed): [minx: number, miny: number, maxx: number, maxy: number] {
  const [a, b, c, d, e, f] = raster.transform;
  const { width, height } = raster;
  const xs = [c, c + a * width, c + b * height, c + a * width + b * height];
  const ys = [f, f + d * width, f + e * height, f + d * width + e * height];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

/** Outline of a raster as a closed ring of (lon, lat), counter-clockwise; runs on beyond 180 degrees. */
export function ringOf(raster: Placed, steps = 4): [lon: number, lat: number][] {
  const { width, height } = raster;
  const corners = [
    [0, height],
    [width, height],
    [width, 0],
    [0, 0],
  ];
  const ring: [number, number][] = [];
  corners.forEach(([across, down], place) => {
    const [nextAcross, nextDown] = corners[(place + 1) % 4];
    for (let step = 0; step < steps; step++) {
      const part = step / steps;
      ring.push(cornerLonLat(raster, across + (nextAcross - across) * part, down + (nextDown - down) * part));
    }
  });
  ring.push([...ring[0]]);
  return unwrapped(ring);
}

/** Take jumps across 180 degrees out of a ring: its longitudes run on, and its western end lies in -180..180. */
export function unwrapped(ring: readonly (readonly [number, number])[]): [number, number][] {
  let before = ring[0]?.[0] ?? 0;
  const lons = ring.map(([lon]) => (before = lon - 360 * Math.round((lon - before) / 360)));
  const west = Math.min(...lons);
  const shift = west < -180 ? 360 : west >= 180 ? -360 : 0;
  return ring.map(([, lat], place) => [lons[place] + shift, lat]);
}
