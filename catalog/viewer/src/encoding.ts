/**
 * From what a file stores to unit vectors.
 *
 * int8 is AlphaEarth's signed square: `x = sign(q) (q / 127.5)^2`, -128 says no data, then the 64 components of
 * a pixel go to unit length. The code is not linear, so no scale and offset describe it.
 */

import type { Encoding } from "./model";

/** Components of an embedding. */
export const BANDS = 64;

/** What says no data where a file does not. */
export const NODATA: Record<Encoding, number> = { int8: -128, float32: -9999 };

/** Component of each code, by the code's byte; before the vector goes to unit length. */
const DECODED = Float64Array.from({ length: 256 }, (_, byte) => {
  const code = byte < 128 ? byte : byte - 256;
  return code === NODATA.int8 ? 0 : Math.sign(code) * (code / 127.5) ** 2;
});

export type Codes = Int8Array | Float32Array;

/**
 * Decode one pixel.
 *
 * @param codes as they are stored, those of a pixel together
 * @param from place of the pixel's first component
 * @param nodata what says no data
 * @param into gets the unit vector
 * @param at place of the first component there
 * @returns whether there is an embedding; zeros where there is none
 */
export function decodePixel(
  codes: Codes,
  from: number,
  nodata: number,
  into: Float32Array,
  at: number,
): boolean {
  const coded = codes instanceof Int8Array;
  let square = 0;
  if (codes[from] !== nodata) {
    for (let band = 0; band < BANDS; band++) {
      const stored = codes[from + band];
      const value = coded ? DECODED[stored & 255] : stored;
      components[band] = value;
      square += value * value;
    }
  }
  // A pixel that holds no number anywhere, or nothing but zeros, has no direction.
  if (!(square > 0) || !Number.isFinite(square)) {
    into.fill(0, at, at + BANDS);
    return false;
  }
  const length = Math.sqrt(square);
  for (let band = 0; band < BANDS; band++) into[at + band] = components[band] / length;
  return true;
}

const components = new Float64Array(BANDS);

/** Which encoding the samples of a file have; null for neither. */
export function encodingOf(sampleFormat: number, bitsPerSample: number): Encoding | null {
  if (sampleFormat === 2 && bitsPerSample === 8) return "int8";
  if (sampleFormat === 3 && bitsPerSample === 32) return "float32";
  return null;
}
