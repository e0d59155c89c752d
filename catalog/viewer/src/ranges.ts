/** Parts of a file over HTTP, as a TIFF reader asks for them. */

import { Sharing } from "./cache";
import { ask, bytesOf, fileName, joined, shown, trouble } from "./requests";

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
  private readonly pages = new Map<number, ArrayBuffer>();
  private readonly reading = new Sharing<ArrayBuffer>();
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
    const bytes = pages.length === 1 ? pages[0] : joined(pages.map((data) => new Uint8Array(data))).buffer;
    const start = offset - first * HEAD;
    if (start >= bytes.byteLength) throw this.cutOff(offset + length);
    return bytes.slice(start, start + length);
  }

  private async page(page: number, signal?: AbortSignal): Promise<ArrayBuffer> {
    const known = this.pages.get(page);
    if (known !== undefined) return known;
    const read = async () => {
      const data = await this.request(page * HEAD, HEAD, signal);
      this.pages.set(page, data);
      return data;
    };
    return this.reading.join(String(page), read, signal);
  }

  private async request(offset: number, length: number, signal?: AbortSignal): Promise<ArrayBuffer> {
    if (this.whole !== null) return this.whole.slice(offset, offset + length);
    const headers = { Range: `bytes=${offset}-${offset + length - 1}` };
    const response = await ask(this.url, { headers, signal });
    if (response.status !== 206) {
      this.whole = await this.shortFile(response);
      return this.whole.slice(offset, offset + length);
    }
    const { buffer } = await bytesOf(response, this.url);
    this.note(response.headers.get("content-range"), offset);
    return buffer.byteLength <= length ? buffer : buffer.slice(0, length);
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
    if (size !== null && Number(size) <= SHORT) return (await bytesOf(response, this.url)).buffer;
    void response.body?.cancel().catch(() => undefined);
    const message =
      `The server of ${shown(this.url)} sends the whole file and not the part that was asked for: ` +
      "it has to answer to ranges (HTTP 206), as `betaearth serve` and object stores do.";
    throw trouble(message, this.url, "unranged");
  }
}
