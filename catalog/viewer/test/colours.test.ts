import { describe, expect, it } from "vitest";

import { VIRIDIS, paintBands, paintRamp, quantiles, share } from "../src/colours";

describe("quantiles", () => {
  it("are numpy's, of finite values alone", () => {
    // np.nanquantile([3, 1, nan, 2, 10], [0, 0.25, 0.5, 0.9, 1])
    const found = quantiles(new Float32Array([3, 1, NaN, 2, 10]), [0, 0.25, 0.5, 0.9, 1])!;
    [1, 1.75, 2.5, 7.9, 10].forEach((value, index) => expect(found[index]).toBeCloseTo(value, 5));
  });

  it("are none of nothing", () => expect(quantiles(new Float32Array([NaN]), [0.5])).toBeNull());
});

describe("colours", () => {
  it("run from one end of a ramp to the other and stop there; no value is transparent", () => {
    const pixels = paintRamp(new Float32Array([-5, 0, 1, 9, NaN]), [0, 1], VIRIDIS);
    expect([...pixels.slice(0, 4)]).toEqual([0x44, 0x01, 0x54, 255]);
    expect([...pixels.slice(4, 8)]).toEqual([0x44, 0x01, 0x54, 255]);
    expect([...pixels.slice(8, 16)]).toEqual([0xfd, 0xe7, 0x25, 255, 0xfd, 0xe7, 0x25, 255]);
    expect([...pixels.slice(16)]).toEqual([0, 0, 0, 0]);
  });

  it("stretch each band over its own range", () => {
    const bands = [[0, 1], [0, 5], [2, 2]].map((values) => new Float32Array(values));
    const pixels = paintBands(bands, [[0, 1], [0, 10], [2, 2]], new Uint8Array([0, 1]));
    expect([...pixels]).toEqual([0, 0, 0, 0, 255, 128, 128, 255]);
  });

  it("take the middle of a range without width", () => expect(share(3, [3, 3])).toBe(0.5));
});
