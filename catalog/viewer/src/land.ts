/** Polygons of land that a flat map can draw: rings that run across 180 degrees go on beyond it. */

import { feature } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import land from "world-atlas/land-110m.json";

type Ring = number[][];

/** Land as polygons of rings of (lon, lat); what crosses 180 degrees is there twice, once for each side. */
export function landPolygons(): Ring[][] {
  const topology = land as unknown as Topology<{ land: GeometryCollection }>;
  return feature(topology, topology.objects.land).features.flatMap(({ geometry }) => {
    if (geometry.type === "Polygon") return onBothSides(geometry.coordinates);
    return geometry.type === "MultiPolygon" ? geometry.coordinates.flatMap(onBothSides) : [];
  });
}

function onBothSides(rings: Ring[]): Ring[][] {
  const unwrapped = rings.map(unwrap);
  const lons = unwrapped[0]!.map(([lon]) => lon!);
  const sides = [unwrapped];
  if (Math.max(...lons) > 180) sides.push(shifted(unwrapped, -360));
  if (Math.min(...lons) < -180) sides.push(shifted(unwrapped, 360));
  return sides;
}

/** Take out jumps of 360 degrees; a ring around a pole is closed along it. */
function unwrap(ring: Ring): Ring {
  let turns = 0;
  const points = ring.map(([lon, lat], index) => {
    const step = index === 0 ? 0 : lon! - ring[index - 1]![0]!;
    if (Math.abs(step) > 180) turns -= Math.sign(step);
    return [lon! + 360 * turns, lat!];
  });
  if (turns === 0) return points;
  const pole = points[0]![1]! < 0 ? -90 : 90;
  return [...points, [points.at(-1)![0]!, pole], [points[0]![0]!, pole], points[0]!];
}

function shifted(rings: Ring[], degrees: number): Ring[] {
  return rings.map((ring) => ring.map(([lon, lat]) => [lon! + degrees, lat!]));
}
