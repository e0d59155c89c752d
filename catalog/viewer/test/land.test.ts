import { expect, it } from "vitest";

import { landPolygons } from "../src/land";

it("land never jumps across the map", () => {
  const polygons = landPolygons();
  expect(polygons.length).toBeGreaterThan(100);
  const jumps = polygons.flat().flatMap((ring) =>
    ring.slice(1).filter(([lon, lat], index) => {
      const [before, latBefore] = ring[index]!;
      const alongPole = Math.abs(lat!) === 90 && Math.abs(latBefore!) === 90;
      return !alongPole && Math.abs(lon! - before!) > 180;
    }),
  );
  expect(jumps).toEqual([]);
});
