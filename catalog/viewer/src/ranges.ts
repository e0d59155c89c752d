/** Parts of a file over HTTP, as a TIFF reader asks for them. */

import { isAbort } from "./cache";
import { ViewerError } from "./model";
import { ask, fileName, shown, trouble, unreachable } from "./requests";

/** Bytes that are read at the start of a file, and at least at once: the directories of a COG lie together. */
const HEAD = 64 * 1024;
/** A host that does not answer to ranges may send a file whole if it is no longer than this. */
const SHORT = 1024 * 1024;

export interface Slice {
  offset: number;
  length: number;
}

/** A file on a host that answers to ranges; what directories take is kept. */
export class RangeSource {
  /** Of the whole file, where a host tells it. */
  fileSize: number | null = null;
  private pages = new Map<number, Promise<ArrayBuffer>>();
  private whole: ArrayBuffer | null = null;

  constructor(readonly url: string) {}

  /**
   * Read parts of the file; small ones come from pages that are kept.
   *
   * @returns their bytes; fewer where the file ends in one
   * @throws ViewerError; the AbortError of the signal
   */
  async fetch(slices: Slice[], signal?: AbortSignal): Promise<ArrayBuffer[]> {
    return Promise.all(slices.map((slice) => this.small(slice, signal)));
  }

  /** The reader's interface has it; nothing is open. */
  async fetchSlice(slice: Slice, signal?: AbortSignal): Promise<Slice & { data: ArrayBuffer }> {
    return { ...slice, data: await this.small(slice, signal) };
  }

  async close(): Promise<void> {}

  /**
   * Read a part of the file as one request.
   *
   * @throws ViewerError: the host does not give it, or the file ends before it does
   */
  async part({ offset, length }: Slice, signal?: AbortSignal): Promise<ArrayBuffer> {
    const data = await this.request(offset, length, signal);
    if (data.byteLength < length) throw this.cutOff(offset + length);
    return data;
  }

  /** Say that the file ends too early. */
  cutOff(needed: number): Error {
    const message = `${fileName(this.url)} ends before byte ${needed}, which it says that it has: it is cut off.`;
    return trouble(message, this.url, "malformed");
  }

  private async small({ offset, length }: Slice, signal?: AbortSignal): Promise<ArrayBuffer> {
    const [first, last] = [Math.floor(offset / HEAD), Math.floor((offset + length - 1) / HEAD)];
    const pages: ArrayBuffer[] = [];
    for (let page = first; page <= last; page++) {
      pages.push(await this.page(page, signal));
      // A page that is not full is the last one.
      if (pages[pages.length - 1].byteLength < HEAD) break;
    }
    const joined = pages.length === 1 ? pages[0] : joinedBytes(pages);
    const start = offset - first * HEAD;
    if (start >= joined.byteLength) throw this.cutOff(offset + length);
    return joined.slice(start, start + length);
  }

  private page(page: number, signal?: AbortSignal): Promise<ArrayBuffer> {
    let data = this.pages.get(page);
    if (data === undefined) {
      data = this.request(page * HEAD, HEAD, signal);
      this.pages.set(page, data);
      data.catch(() => this.pages.delete(page));
    }
    return data;
  }

  private async request(offset: number, length: number, signal?: AbortSignal): Promise<ArrayBuffer> {
    if (this.whole !== null) return this.whole.slice(offset, offset + length);
    const headers = { Range: `bytes=${offset}-${offset + length - 1}` };
    const response = await ask(this.url, { headers, signal });
    if (response.status !== 206) {
      this.whole = await this.shortFile(response);
      return this.whole.slice(offset, offset + length);
    }
    const data = await this.bytes(response);
    this.note(response.headers.get("content-range"), offset);
    return data.slice(0, length);
  }

  /** Take what a host says of a part; one that is not exposed to pages of other origins is null. */
  private note(said: string | null, offset: number): void {
    const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/i.exec(said?.trim() ?? "") ?? [];
    if (start !== undefined && Number(start) !== offset) {
      const message = `The server of ${shown(this.url)} sent the bytes from ${start} on, and not those from ${offset} on: it has to answer to ranges as they are asked.`;
      throw trouble(message, this.url, "unranged");
    }
    if (total !== undefined && total !== "*") this.fileSize = Number(total);
  }

  private async shortFile(response: Response): Promise<ArrayBuffer> {
    const size = response.headers.get("content-length");
    if (size !== null && Number(size) <= SHORT) return this.bytes(response);
    void response.body?.cancel().catch(() => undefined);
    const message =
      `The server of ${shown(this.url)} sends the whole file and not the part that was asked for: ` +
      "it has to answer to ranges (HTTP 206), as `betaearth serve` and object stores do.";
    throw trouble(message, this.url, "unranged");
  }

  private async bytes(response: Response): Promise<ArrayBuffer> {
    try {
      return await response.arrayBuffer();
    } catch (error) {
      if (error instanceof ViewerError || isAbort(error)) throw error;
      throw unreachable(this.url);
    }
  }
}

function joinedBytes(parts: ArrayBuffer[]): ArrayBuffer {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let place = 0;
  for (const part of parts) {
    joined.set(new Uint8Array(part), place);
    place += part.byteLength;
  }
  return joined.buffer;
}
