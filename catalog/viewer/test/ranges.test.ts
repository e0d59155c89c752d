import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";

import { RangeSource } from "../src/ranges";
import { data, Host } from "./host";

let host: Host;
beforeAll(async () => {
  host = await Host.start();
});
beforeEach(() => host.clear());
afterAll(() => host.stop());

it("a part is the one that was asked for", async () => {
  const source = new RangeSource(host.file("/part.tif", "int8.tif"));
  const part = await source.part({ offset: 1000, length: 500 });
  expect(Buffer.compare(Buffer.from(part), data("int8.tif").subarray(1000, 1500))).toBe(0);
  expect(source.fileSize).toBe(data("int8.tif").length);
});

it("another part than the one that was asked for is refused", async () => {
  const address = host.put("/part.tif", { body: data("int8.tif"), beside: 10 });
  const source = new RangeSource(`${address}?X-Signature=secret`);
  await expect(source.part({ offset: 1000, length: 500 })).rejects.toMatchObject({
    name: "ViewerError",
    kind: "unranged",
    message: `The server of ${address} sent the bytes from 1010 on, and not those from 1000 on: it has to answer to ranges as they are asked.`,
  });
});

it("a page that one gave up is read anew by the other who wants it", async () => {
  const source = new RangeSource(host.file("/part.tif", "int8.tif"));
  const leaving = new AbortController();
  const first = source.fetch([{ offset: 0, length: 16 }], leaving.signal);
  const second = source.fetch([{ offset: 16, length: 16 }], new AbortController().signal);
  leaving.abort();
  await expect(first).rejects.toMatchObject({ name: "AbortError" });
  expect(Buffer.compare(Buffer.from((await second)[0]!), data("int8.tif").subarray(16, 32))).toBe(0);
});
