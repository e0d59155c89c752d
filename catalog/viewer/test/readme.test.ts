import { readFileSync, readdirSync } from "node:fs";

import { expect, it } from "vitest";

it("the README says what each module owns, and of none that is not there", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const table = readme.slice(readme.indexOf("## Modules"));
  const named = [...table.matchAll(/`(\w+\.ts)`/g)].map(([, name]) => name!);
  const there = readdirSync(new URL("../src", import.meta.url)).filter((name) => name.endsWith(".ts"));
  expect(named.sort()).toEqual(there.sort());
});
