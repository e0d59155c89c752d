/** The pixel with an embedding that is nearest to a place: where similarity starts when nobody chose a pixel. */

import { readEmbeddings, readVector } from "./cog";
import type { Pixel } from "./choice";
import type { Embeddings, TileYear } from "./model";
import { factorsOf } from "./resolution";

/** Pixels of an overview whose middle is looked at: of what it averages, the middle itself may have none. */
const TRIED = 9;

/**
 * Find the nearest pixel that has an embedding.
 *
 * @param place column and row of full resolution
 * @returns column and row of full resolution; null where none is found
 * @throws ViewerError
 */
export async function nearestEmbedding(tile: TileYear, place: Pixel, signal: AbortSignal): Promise<Pixel | null> {
  if ((await readVector(tile, ...place, { signal })) !== null) return place;
  const embeddings = await readEmbeddings(tile, { signal });
  for (const pixel of nearest(embeddings, place)) {
    if ((await readVector(tile, ...pixel, { signal })) !== null) return pixel;
  }
  return null;
}

/** Middles of the valid pixels, of full resolution, the nearest first. */
export function nearest(embeddings: Embeddings, [column, row]: Pixel): Pixel[] {
  const { valid, width, full } = embeddings;
  const [across, down] = factorsOf(full, embeddings);
  const found: { pixel: Pixel; distance: number }[] = [];
  valid.forEach((is, index) => {
    if (!is) return;
    const [x, y] = [index % width, Math.floor(index / width)];
    const pixel = [middle(x, across, full.width), middle(y, down, full.height)] as const;
    found.push({ pixel, distance: (pixel[0] - column) ** 2 + (pixel[1] - row) ** 2 });
  });
  found.sort((one, other) => one.distance - other.distance);
  return found.slice(0, TRIED).map(({ pixel }) => pixel);
}

function middle(index: number, factor: number, size: number): number {
  return Math.min(size - 1, Math.floor((index + 0.5) * factor));
}
