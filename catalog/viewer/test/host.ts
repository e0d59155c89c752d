/** A host on loopback that serves files and documents by ranges, and fails as real ones do. */

import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { readFileSync } from "node:fs";

export interface Answer {
  status?: number;
  body: Uint8Array | string;
  type?: string;
  ranges?: boolean;
  redirect?: string;
  /** Bytes by which each part lies beside the one that was asked for. */
  beside?: number;
  /** Parts from this byte on are never sent. */
  silentFrom?: number;
}

export class Host {
  /** Requests that were made: path and range. */
  asked: { path: string; range: string | undefined }[] = [];
  private readonly answers = new Map<string, Answer>();

  private constructor(private readonly server: Server) {}

  static async start(): Promise<Host> {
    const server = createServer();
    const host = new Host(server);
    server.on("request", (request, response) => host.answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return host;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Serve something at a path; returns its address. */
  put(path: string, answer: Answer | object): string {
    this.answers.set(path, "body" in answer ? (answer as Answer) : { body: JSON.stringify(answer) });
    return this.origin + path;
  }

  file(path: string, name: string): string {
    return this.put(path, { body: data(name), type: "image/tiff" });
  }

  /** Answer from now on as if there were nothing, and forget what was asked. */
  clear(): void {
    this.answers.clear();
    this.asked = [];
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const path = (request.url ?? "").replace(/\?.*$/, "");
    const range = request.headers.range;
    this.asked.push({ path, range });
    const answer = this.answers.get(path);
    if (answer === undefined) return void response.writeHead(404).end("no such key");
    if (answer.redirect !== undefined) return void response.writeHead(302, { location: answer.redirect }).end();
    const body = Buffer.from(answer.body);
    const type = answer.type ?? "application/json";
    const asked = /^bytes=(\d+)-(\d+)$/.exec(range ?? "");
    if (asked === null || answer.ranges === false) {
      const headers = { "content-type": type, "content-length": body.length };
      return void response.writeHead(answer.status ?? 200, headers).end(body);
    }
    if (Number(asked[1]) >= (answer.silentFrom ?? Infinity)) return;
    const beside = answer.beside ?? 0;
    const [start, stop] = [Number(asked[1]) + beside, Math.min(Number(asked[2]) + 1 + beside, body.length)];
    if (start >= body.length) return void response.writeHead(416).end();
    response.writeHead(answer.status ?? 206, {
      "content-type": type,
      "content-length": stop - start,
      "content-range": `bytes ${start}-${stop - 1}/${body.length}`,
    });
    response.end(body.subarray(start, stop));
  }
}

/** A file of the golden data. */
export function data(name: string): Uint8Array {
  return readFileSync(new URL(`data/${name}`, import.meta.url));
}
