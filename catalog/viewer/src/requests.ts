/** Asking a host for something, and what went wrong in words. */

import { isAbort } from "./cache";
import { ViewerError } from "./model";
import { PATIENCE_MS, Patience } from "./patience";

/** Requests that may be open at once. */
export const AT_ONCE = 8;
/** Names that say nothing without the folder. */
const EVERYWHERE: ReadonlySet<string> = new Set(["catalog.json", "collection.json"]);

/** An address as messages name it: a query may hold a signature, and a name a password. */
export function shown(url: string): string {
  try {
    const { origin, protocol, host, pathname } = new URL(url);
    return origin === "null" ? `${protocol}//${host}${pathname}` : origin + pathname;
  } catch {
    return url.replace(/[?#].*$/, "");
  }
}

/** Last part of an address's path, for messages: `embeddings.tif`; with its folder where every folder has one. */
export function fileName(url: string): string {
  const [host, ...parts] = shown(url).replace(/^\w+:\/\//, "").replace(/\/+$/, "").split("/");
  const name = parts.at(-1) ?? host;
  return EVERYWHERE.has(name) ? parts.slice(-2).join("/") : name || shown(url);
}

/** Make an error about an address. */
export function trouble(message: string, url: string, kind: ViewerError["kind"]): ViewerError {
  return new ViewerError(message, shown(url), kind);
}

/**
 * Ask for an address.
 *
 * @returns an answer whose status says that it worked; `bytesOf` reads its body
 * @throws ViewerError otherwise, also where no answer comes in time; the AbortError of the signal
 */
export async function ask(url: string, init: RequestInit = {}): Promise<Response> {
  if (!/^https?:/i.test(url)) {
    throw trouble(`A browser cannot read ${shown(url)}: only addresses with http:// or https:// can be opened.`, url, "refused");
  }
  const patience = new Patience(init.signal);
  const response = await answered(url, init, patience);
  if (!response.ok) {
    patience.stop();
    // What is not read would keep the connection.
    void response.body?.cancel().catch(() => undefined);
    throw refusal(url, response.status);
  }
  return patience.watch(response, () => silent(url));
}

/**
 * Read the body of an answer.
 *
 * It is read piece by piece: a browser that reads it whole makes one error of everything that its stream fails with, so
 * that work that was given up would look like a host that is down.
 *
 * @throws ViewerError: it stops coming; the AbortError of the signal
 */
export async function bytesOf(response: Response, url: string): Promise<Uint8Array<ArrayBuffer>> {
  const reader = response.body?.getReader();
  const parts: Uint8Array[] = [];
  try {
    for (;;) {
      const part = await reader?.read();
      if (part?.value === undefined) break;
      parts.push(part.value);
    }
  } catch (error) {
    if (error instanceof ViewerError || isAbort(error)) throw error;
    throw unreachable(url);
  }
  return joined(parts);
}

/** Put pieces of bytes together. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.byteLength;
  }
  return whole;
}

async function answered(url: string, init: RequestInit, patience: Patience): Promise<Response> {
  try {
    return await fetch(url, { credentials: "omit", ...init, signal: patience.signal });
  } catch (error) {
    patience.stop();
    if (patience.ended) throw silent(url);
    if (isAbort(error)) throw error;
    throw unreachable(url);
  }
}

function silent(url: string): ViewerError {
  const seconds = Math.round(PATIENCE_MS / 1000);
  const message = `${new URL(url).host} has sent nothing of ${fileName(url)} for ${seconds} s: it may be overloaded, or the connection lost.`;
  return trouble(message, url, "unreachable");
}

/** A browser does not tell a host that is down from one that does not allow this page to read it. */
function unreachable(url: string): ViewerError {
  const host = new URL(url).host;
  const why =
    "the network or the server may be down, or the server does not allow pages of other origins to read it (CORS)";
  return trouble(`No answer from ${host} for ${fileName(url)}: ${why}.`, url, "unreachable");
}

function refusal(url: string, status: number): ViewerError {
  const name = fileName(url);
  if (status === 404 || status === 410) {
    return trouble(`${name} is not there: ${shown(url)} was not found (${status}).`, url, "missing");
  }
  if (status === 401 || status === 403) {
    // S3 says the same of what is not there, to whoever may not list the bucket.
    const message = `The server refuses to give ${shown(url)} (${status}): it is not public, or it is not there.`;
    return trouble(message, url, "refused");
  }
  if (status === 416) {
    return trouble(`${name} is shorter than it says: it may be cut off.`, url, "malformed");
  }
  if (status === 429 || status >= 500) {
    return trouble(`The server cannot give ${name} now (${status}); try again in a while.`, url, "unreachable");
  }
  return trouble(`The server did not give ${shown(url)}: it answered ${status}.`, url, "refused");
}

/** Outcome of one of many. */
export type Outcome<V> = { value: V } | { error: ViewerError };

/**
 * Do the same for many, a few at a time.
 *
 * @returns outcomes in order; a ViewerError of one does not keep the others from being done
 * @throws what else goes wrong
 */
export async function forEach<T, V>(things: readonly T[], work: (thing: T) => Promise<V>): Promise<Outcome<V>[]> {
  const outcomes = new Array<Outcome<V>>(things.length);
  let next = 0;
  const worker = async () => {
    while (next < things.length) {
      const place = next++;
      try {
        outcomes[place] = { value: await work(things[place]) };
      } catch (error) {
        if (!(error instanceof ViewerError)) throw error;
        outcomes[place] = { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, things.length) }, worker));
  return outcomes;
}

/** Part outcomes into what worked and what did not. */
export function parted<V>(outcomes: Outcome<V>[]): { values: V[]; failed: ViewerError[] } {
  const values: V[] = [];
  const failed: ViewerError[] = [];
  for (const outcome of outcomes) {
    if ("value" in outcome) values.push(outcome.value);
    else failed.push(outcome.error);
  }
  return { values, failed };
}
