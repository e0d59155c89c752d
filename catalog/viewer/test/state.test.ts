import { describe, expect, it } from "vitest";

import { BLANK, formatState, parseState } from "../src/state";

describe("the address's hash", () => {
  it("gives back what was written", () => {
    const state = {
      catalog: "https://example.org/a b/catalog.json?x=1&y=2",
      collection: "betaearth-robust-v1",
      year: 2021,
      item: "betaearth-robust-v1_433u_1046r_2021",
      layer: "change" as const,
      bands: [0, 16, 63] as const,
      pixel: [12, 34] as const,
      against: 2022,
    };
    expect(parseState(formatState(state))).toEqual(state);
  });

  it("leaves addresses and numbers readable", () => {
    const hash = formatState({ ...BLANK, catalog: "https://example.org/catalog.json", bands: [1, 2, 3] });
    expect(hash).toBe("#catalog=https://example.org/catalog.json&bands=1,2,3");
  });

  it.each(["", "#", "#layer=none&bands=0,1,64&pixel=-1,2&year=21&against=x", "#bands=1,2&pixel=1,2,3"])(
    "leaves out what cannot be meant: %s",
    (hash) => expect(parseState(hash)).toEqual(BLANK),
  );
});
