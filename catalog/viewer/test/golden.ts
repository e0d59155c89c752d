/** The golden values, which golden.py makes. */

import { data } from "./host";

export interface GoldenLevel {
  width: number;
  height: number;
  valid: number;
  sum: number;
  similarity_sum: number;
  pixels: { column: number; row: number; vector: number[] | null; similarity: number | null }[];
}

export interface Golden {
  shape: [number, number];
  transform: [number, number, number, number, number, number];
  crs: string;
  ring: [number, number][];
  files: Record<"int8" | "float32" | "int8-later", GoldenLevel[]>;
  /** Bytes of the block in int8.tif of column 256 and row 0. */
  block: { offset: number; length: number };
  /** A file of a size that its overviews do not divide: all its resolutions. */
  odd: GoldenLevel[];
  change: { sum: number; pixels: (number | null)[] };
  quality: { name: string; sum: number; pixels: (number | null)[] }[];
  blocks: { name: string; superblock: string; spacing: number; box: [number, number, number, number] }[];
  cells: { cell: string; spacing: number; block: string }[];
  points: { crs: string; lon: number; lat: number; x: number; y: number }[];
  antimeridian: {
    crs: string;
    size: number;
    transform: [number, number, number, number, number, number];
    ring: [number, number][];
  };
}

export const golden = JSON.parse(Buffer.from(data("golden.json")).toString()) as Golden;
