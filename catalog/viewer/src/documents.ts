/** Reading JSON documents, with absolute addresses and errors in words. */

import { Lru, Sharing } from "./cache";
import { isObject } from "./fields";
import { type StacAsset, type StacDocument, type StacLink } from "./model";
import { ask, bytesOf, fileName, shown, trouble } from "./requests";

/** Documents that are kept; those of a few blocks of Items. */
const KEPT = 1000;

const kept = new Lru<StacDocument>(KEPT);
const reading = new Sharing<StacDocument>();

/** Forget all documents, so that they are read anew. */
export function forgetDocuments(): void {
  kept.clear();
}

/**
 * Read a STAC document; addresses of its links and assets become absolute.
 *
 * @throws ViewerError: it cannot be had, or is none
 */
export async function fetchDocument(url: string, signal?: AbortSignal): Promise<StacDocument> {
  const known = kept.get(url);
  if (known !== undefined) return known;
  const read = async () => {
    const [value, base] = await fetchValue(url, signal);
    const document = asDocument(value, base);
    kept.set(url, document);
    return document;
  };
  return reading.join(url, read, signal);
}

/**
 * Read any JSON.
 *
 * @throws ViewerError: it cannot be had, or is no JSON
 */
export async function fetchJson(url: string, signal?: AbortSignal): Promise<unknown> {
  return (await fetchValue(url, signal))[0];
}

/** Read JSON and the address that it came from in the end. */
async function fetchValue(url: string, signal?: AbortSignal): Promise<[unknown, string]> {
  const response = await ask(url, { signal });
  const text = new TextDecoder().decode(await bytesOf(response, url));
  const type = response.headers.get("content-type") ?? "";
  if (/^\s*</.test(text)) {
    const page = /html/i.test(type + text.slice(0, 200)) ? "a web page" : "markup";
    throw trouble(`${shown(url)} is ${page} and no JSON: give the address of a catalog.json.`, url, "malformed");
  }
  try {
    return [JSON.parse(text), response.url || url];
  } catch {
    throw trouble(`${fileName(url)} is no valid JSON: it may be cut off.`, url, "malformed");
  }
}

function asDocument(value: unknown, base: string): StacDocument {
  if (!isObject(value) || typeof value.type !== "string" || typeof value.id !== "string") {
    throw trouble(`${fileName(base)} is JSON, but no STAC document: it has no type and id.`, base, "malformed");
  }
  const document = { ...value, links: links(value.links, base) } as StacDocument;
  if (isObject(value.assets)) document.assets = assets(value.assets, base);
  return document;
}

function links(value: unknown, base: string): StacLink[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((link: unknown) => {
    if (!isObject(link) || typeof link.rel !== "string" || typeof link.href !== "string") return [];
    const href = absolute(link.href, base);
    return href === null ? [] : [{ ...link, href } as StacLink];
  });
}

function assets(value: Record<string, unknown>, base: string): Record<string, StacAsset> {
  const found: Record<string, StacAsset> = {};
  for (const [name, asset] of Object.entries(value)) {
    if (!isObject(asset) || typeof asset.href !== "string") continue;
    const href = absolute(asset.href, base);
    if (href !== null) found[name] = { ...asset, href } as StacAsset;
  }
  return found;
}

/** Make an address absolute; null for what is no address, or one that would run as a program. */
function absolute(href: string, base: string): string | null {
  try {
    const url = new URL(href, base);
    return /^(javascript|data|vbscript|blob):$/.test(url.protocol) ? null : url.href;
  } catch {
    return null;
  }
}
