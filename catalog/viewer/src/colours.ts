/** From numbers to colours: ramps that stay in order for any eye and in grey, and stretches by quantiles. */

export type Range = readonly [low: number, high: number];
export type Ramp = readonly string[];

/** Dark violet to yellow (viridis). */
export const VIRIDIS: Ramp = [
  "#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725",
];
/** Black to pale yellow by red (inferno). */
export const INFERNO: Ramp = [
  "#000004", "#1b0c41", "#4a0c6b", "#781c6d", "#a52c60", "#cf4446", "#ed6925", "#fb9b06", "#f7d13d", "#fcffa4",
];
/** Pale to dark blue. */
export const BLUES: Ramp = ["#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c", "#08306b"];
/** Pale yellow to brown. */
export const BROWNS: Ramp = ["#ffffe5", "#fff7bc", "#fee391", "#fec44f", "#fe9929", "#ec7014", "#cc4c02", "#993404", "#662506"];

/** Find the values below which the given shares of finite values lie; null where there is none. */
export function quantiles(values: Float32Array, shares: readonly number[]): number[] | null {
  const finite = values.filter((value) => Number.isFinite(value));
  if (finite.length === 0) return null;
  finite.sort();
  return shares.map((share) => {
    const place = share * (finite.length - 1);
    const below = Math.floor(place);
    const low = finite[below]!;
    const high = finite[Math.min(below + 1, finite.length - 1)]!;
    return low + (high - low) * (place - below);
  });
}

/** Where a value lies in a range, 0 to 1; the middle where the range has no width. */
export function share(value: number, [low, high]: Range): number {
  if (!(high > low)) return 0.5;
  return Math.min(1, Math.max(0, (value - low) / (high - low)));
}

/** Spread a ramp over 256 steps: red, green, blue of each. */
export function table(ramp: Ramp): Uint8ClampedArray {
  const stops = ramp.map((hex) => [1, 3, 5].map((start) => Number.parseInt(hex.slice(start, start + 2), 16)));
  const colours = new Uint8ClampedArray(256 * 3);
  for (let step = 0; step < 256; step += 1) {
    const place = (step / 255) * (stops.length - 1);
    const below = Math.min(Math.floor(place), stops.length - 2);
    for (let channel = 0; channel < 3; channel += 1) {
      const low = stops[below]![channel]!;
      const high = stops[below + 1]![channel]!;
      colours[step * 3 + channel] = low + (high - low) * (place - below);
    }
  }
  return colours;
}

/** Paint values with a ramp; what is not finite stays transparent. */
export function paintRamp(values: Float32Array, range: Range, ramp: Ramp): Uint8ClampedArray<ArrayBuffer> {
  const colours = table(ramp);
  const pixels = new Uint8ClampedArray(values.length * 4);
  values.forEach((value, index) => {
    if (!Number.isFinite(value)) return;
    const step = Math.round(255 * share(value, range)) * 3;
    pixels.set(colours.subarray(step, step + 3), index * 4);
    pixels[index * 4 + 3] = 255;
  });
  return pixels;
}

/** Paint three bands as red, green and blue, each over its own range; what is not valid stays transparent. */
export function paintBands(
  bands: readonly Float32Array[],
  ranges: readonly Range[],
  valid: Uint8Array,
): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(valid.length * 4);
  for (let index = 0; index < valid.length; index += 1) {
    if (!valid[index]) continue;
    for (let channel = 0; channel < 3; channel += 1) {
      pixels[index * 4 + channel] = Math.round(255 * share(bands[channel]![index]!, ranges[channel]!));
    }
    pixels[index * 4 + 3] = 255;
  }
  return pixels;
}
