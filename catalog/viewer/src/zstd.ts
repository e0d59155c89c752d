/**
 * Blocks in ZSTD, decoded into as many bytes as a block has.
 *
 * The reader's own decoder goes on for ever over a damaged block that does not say its size, and takes a page
 * with it; a decoder that is told the size cannot.
 */

import { BaseDecoder, addDecoder } from "geotiff";

/** TIFF's number of the compression. */
const ZSTD = 50_000;

interface Parameters {
  tileWidth: number;
  tileHeight: number;
  planarConfiguration: number;
  bitsPerSample: number | ArrayLike<number>;
  samplesPerPixel: number;
}

/** Let the reader of TIFF files decode by this. */
export function registerZstd(): void {
  addDecoder(ZSTD, async () => {
    // The decoder is large, and a catalog may be looked at without it.
    const { ZSTDDecoder } = await import("zstddec/stream");
    const zstd = new ZSTDDecoder();
    await zstd.init();
    return class extends BaseDecoder {
      override decodeBlock(block: ArrayBuffer): ArrayBuffer {
        const decoded = zstd.decode(new Uint8Array(block), sizeOf(this.parameters as unknown as Parameters));
        if (decoded.length === 0) throw new Error("a block of it is damaged");
        return decoded.buffer as ArrayBuffer;
      }
    };
  });
}

/** Bytes of a block that is whole. */
function sizeOf({ tileWidth, tileHeight, planarConfiguration, bitsPerSample, samplesPerPixel }: Parameters): number {
  const bits = typeof bitsPerSample === "number" ? bitsPerSample : bitsPerSample[0];
  return tileWidth * tileHeight * (planarConfiguration === 1 ? samplesPerPixel : 1) * Math.ceil(bits / 8);
}
