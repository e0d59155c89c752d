import proj4 from "proj4";
import { expect, it } from "vitest";

import { extentOf, lonLatOf, pixelAt, register, ringOf, unwrapped } from "../src/projection";
import { golden } from "./golden";

const raster = {
  width: golden.shape[1],
  height: golden.shape[0],
  crs: golden.crs,
  transform: golden.transform,
};

it.each(golden.points)("$crs is pyproj's", ({ crs, lon, lat, x, y }) => {
  register(crs);
  const found = proj4("EPSG:4326", crs, [lon, lat]);
  expect(found[0]).toBeCloseTo(x, 3);
  expect(found[1]).toBeCloseTo(y, 3);
});

it("a pixel's middle is in that pixel", () => {
  for (const [column, row] of [
    [0, 0],
    [299, 269],
    [12, 34],
  ]) {
    expect(pixelAt(raster, ...lonLatOf(raster, column, row))).toEqual([column, row]);
  }
  const [lon, lat] = lonLatOf(raster, 0, 0);
  expect(pixelAt(raster, lon - 0.001, lat)).toBeNull();
  expect(pixelAt(raster, ...lonLatOf(raster, 300, 0))).toBeNull();
});

it("corners and the outline are the package's", () => {
  const [, , west, , , north] = golden.transform;
  expect(extentOf(raster)).toEqual([west, north - 2700, west + 3000, north]);
  const ring = ringOf(raster, 1);
  expect(ring).toHaveLength(golden.ring.length);
  ring.forEach(([lon, lat], place) => {
    expect(lon).toBeCloseTo(golden.ring[place][0], 6);
    expect(lat).toBeCloseTo(golden.ring[place][1], 6);
  });
});

it("a raster whose rows go north is placed too", () => {
  const [a, b, c, d, e, f] = golden.transform;
  const upside = { ...raster, transform: [a, b, c, d, -e, f + e * raster.height] as typeof raster.transform };
  expect(extentOf(upside)).toEqual(extentOf(raster));
  expect(pixelAt(upside, ...lonLatOf(raster, 7, 0))).toEqual([7, raster.height - 1]);
});

it("rings run on across 180 degrees", () => {
  const ring = unwrapped(golden.antimeridian.ring);
  const lons = ring.map(([lon]) => lon);
  expect(Math.max(...lons) - Math.min(...lons)).toBeLessThan(1);
  expect(Math.min(...lons)).toBeGreaterThan(179);
  expect(unwrapped([[-179.9, 0], [179.9, 1]])).toEqual([[180.1, 0], [179.9, 1]].map(([lon, lat]) => [expect.closeTo(lon, 9), lat]));
});

it("systems that are not known are named", () => {
  expect(() => register("EPSG:31467")).toThrow("The coordinate reference system EPSG:31467 is not known here");
  expect(() => register("EPSG:32661")).toThrow(/UTM zones/);
});
