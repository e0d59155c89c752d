import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";

import { ViewerError } from "../src/model";
import { PATIENCE_MS } from "../src/patience";
import { ask, bytesOf } from "../src/requests";

let server: Server;
let origin = "";
/** What the host does with a request. */
let behave: (response: ServerResponse) => void = () => undefined;
let asked: Promise<void>;

beforeAll(async () => {
  server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  asked = new Promise((resolve) => {
    server.removeAllListeners("request");
    server.on("request", (_, response) => {
      behave(response);
      resolve();
    });
  });
});
afterEach(() => vi.useRealTimers());
afterAll(() => {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
});

async function failure(work: Promise<unknown>): Promise<ViewerError> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ViewerError);
  return error as ViewerError;
}

it("a host that does not answer is given up, in words", async () => {
  behave = () => undefined;
  const failed = failure(ask(`${origin}/catalog.json?sig=secret`));
  await asked;
  vi.advanceTimersByTime(PATIENCE_MS + 1);
  const error = await failed;
  expect(error.kind).toBe("unreachable");
  expect(error.message).toMatch(/has sent nothing of catalog\.json for 30 s/);
  expect(error.message + error.url).not.toContain("secret");
});

it("so is one that stops in the middle", async () => {
  behave = (response) => response.writeHead(200, { "content-length": 100 }).write("{");
  const response = await ask(`${origin}/catalog.json`);
  const failed = failure(bytesOf(response, response.url));
  vi.advanceTimersByTime(PATIENCE_MS + 1);
  expect((await failed).message).toMatch(/has sent nothing of catalog\.json/);
});

it("an answer that is given up half-way is no host that is down", async () => {
  behave = (response) => response.writeHead(200, { "content-length": 100 }).write("{");
  const leaving = new AbortController();
  const response = await ask(`${origin}/catalog.json`, { signal: leaving.signal });
  const failed = bytesOf(response, response.url).catch((error: unknown) => error);
  leaving.abort();
  expect(await failed).toMatchObject({ name: "AbortError" });
});

it("one that breaks off half-way is told", async () => {
  behave = (response) => response.writeHead(200, { "content-length": 100 }).write("{", () => response.destroy());
  const response = await ask(`${origin}/catalog.json`);
  const error = await failure(bytesOf(response, response.url));
  expect(error.message).toMatch(/^No answer from .* for catalog\.json/);
});

it("one that is slow is not", async () => {
  let more: ServerResponse | undefined;
  behave = (response) => void (more = response.writeHead(200)).write("a");
  const reader = (await ask(`${origin}/slow`)).body!.getReader();
  const words = new TextDecoder();
  let text = words.decode((await reader.read()).value);
  for (const letter of "bcd") {
    vi.advanceTimersByTime(PATIENCE_MS * 0.8);
    more!.write(letter);
    text += words.decode((await reader.read()).value);
  }
  more!.end();
  expect((await reader.read()).done).toBe(true);
  expect(text).toBe("abcd");
  expect(vi.getTimerCount()).toBe(0);
});

it("whoever asked may give it up", async () => {
  behave = () => undefined;
  const leaving = new AbortController();
  const failed = ask(origin, { signal: leaving.signal }).catch((error: unknown) => error);
  await asked;
  leaving.abort();
  expect(await failed).toMatchObject({ name: "AbortError" });
});

it("where a redirect led is kept", async () => {
  behave = (response) => response.req.url === "/to" ? response.end("x") : response.writeHead(302, { location: "/to" }).end();
  expect((await ask(`${origin}/from`)).url).toBe(`${origin}/to`);
});
