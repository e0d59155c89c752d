/** Comparing embeddings: the cosine of the angle between unit vectors. */

import { BANDS } from "./encoding";
import { type Embeddings, ViewerError } from "./model";

/**
 * Cosine of every pixel to a vector.
 *
 * @param vector of 64 components, of any length but zero
 * @returns (row, column), -1 to 1; NaN where there is no embedding
 */
export function similarityTo(embeddings: Embeddings, vector: Float32Array): Float32Array {
  if (vector.length !== BANDS) {
    throw new ViewerError(`A vector of ${vector.length} components is no embedding: it has ${BANDS}.`, "", "malformed");
  }
  const unit = Float64Array.from(vector);
  const length = Math.hypot(...unit);
  for (let band = 0; band < BANDS; band++) unit[band] /= length;
  const { vectors, valid } = embeddings;
  const cosines = new Float32Array(valid.length);
  for (let pixel = 0, at = 0; pixel < valid.length; pixel++, at += BANDS) {
    let sum = 0;
    for (let band = 0; band < BANDS; band++) sum += vectors[at + band] * unit[band];
    cosines[pixel] = valid[pixel] ? clipped(sum) : NaN;
  }
  return cosines;
}

/**
 * Cosine distance of every pixel between two years.
 *
 * @returns (row, column), 0 (the same direction) to 2; NaN where either has no embedding
 * @throws ViewerError: their pixels are not the same
 */
export function changeBetween(a: Embeddings, b: Embeddings): Float32Array {
  if (!isSameGrid(a, b)) {
    const message =
      `The two years have other pixels (${a.width} x ${a.height} in ${a.crs}, ${b.width} x ${b.height} in ${b.crs}): ` +
      "they cannot be compared pixel by pixel.";
    throw new ViewerError(message, "", "malformed");
  }
  const changes = new Float32Array(a.valid.length);
  for (let pixel = 0, at = 0; pixel < changes.length; pixel++, at += BANDS) {
    let sum = 0;
    for (let band = 0; band < BANDS; band++) sum += a.vectors[at + band] * b.vectors[at + band];
    changes[pixel] = a.valid[pixel] && b.valid[pixel] ? 1 - clipped(sum) : NaN;
  }
  return changes;
}

function isSameGrid(a: Embeddings, b: Embeddings): boolean {
  const metres = Math.abs(a.metres);
  return (
    a.width === b.width &&
    a.height === b.height &&
    a.crs === b.crs &&
    a.transform.every((value, place) => Math.abs(value - b.transform[place]) <= metres * 1e-6)
  );
}

/** Rounding makes the product of unit vectors leave -1..1 by a little. */
function clipped(cosine: number): number {
  return Math.min(1, Math.max(-1, cosine));
}
