/** What an Item says of its making, taken out of its fields; what it does not say is left out. */

import { fields, number, text, texts, type Fields } from "./fields";
import type { TileYear } from "./model";

export interface Rejection {
  readonly reason: string;
  readonly granules: number;
}

export interface Facts {
  readonly year: number;
  readonly scenes: number | null;
  /** Scenes by kind of sensor, in words. */
  readonly sensors: readonly { readonly name: string; readonly scenes: number }[];
  readonly source: string;
  readonly found: number | null;
  readonly used: number | null;
  readonly rejected: readonly Rejection[];
  /** What the source has nothing of: `Sentinel-1 2021 Q2`. */
  readonly missing: readonly string[];
  /** Least, mean and most observations of a pixel. */
  readonly observations: readonly [number, number, number] | null;
  readonly validFraction: number | null;
  readonly network: string;
  readonly inputs: readonly string[];
  /** Null where the Item does not say it. */
  readonly trained: boolean | null;
  readonly trainedOnSynthetic: boolean;
  readonly synthetic: boolean;
  readonly deprecated: boolean;
  readonly weights: string;
  /** Name to whole digest. */
  readonly digests: readonly { readonly name: string; readonly what: string; readonly digest: string }[];
  /** Shell command that makes it again from nothing. */
  readonly recipe: string;
  readonly software: readonly string[];
  readonly created: string;
  readonly licence: string;
  readonly attribution: string;
}

const SENSORS: Record<string, string> = {
  s1: "Sentinel-1",
  s2_l1c: "Sentinel-2 L1C",
  s2_l2a: "Sentinel-2 L2A",
  dem: "elevation",
};

/** Spell a sensor for people. */
export function sensorName(key: string): string {
  return SENSORS[key] ?? key;
}

/** Read an Item's facts. */
export function factsOf(tile: TileYear): Facts {
  const { properties } = tile.item;
  const observations = fields(properties["betaearth:observations"]);
  const granules = fields(observations["granules"]);
  const model = fields(properties["betaearth:model"]);
  const provenance = fields(properties["betaearth:provenance"]);
  const counts = [observations["min"], observations["mean"], observations["max"]].map(number);
  return {
    year: tile.year,
    scenes: number(observations["scenes"]),
    sensors: sensorsOf(text(properties["processing:lineage"])),
    source: text(provenance["source"]),
    found: number(granules["found"]),
    used: number(granules["used"]),
    rejected: rejections(granules["rejected"]),
    missing: texts(observations["missing"]).map((hole) => hole.replace(/^\w+/, sensorName)),
    observations: counts.every((count) => count !== null) ? (counts as [number, number, number]) : null,
    validFraction: number(observations["valid_fraction"]),
    network: text(model["variant"]),
    inputs: texts(model["inputs"]).map(sensorName),
    trained: typeof model["trained"] === "boolean" ? model["trained"] : null,
    trainedOnSynthetic: model["trained_on_synthetic"] === true,
    synthetic: provenance["synthetic"] === true,
    deprecated: properties["deprecated"] === true,
    weights: text(model["weights"]),
    digests: digests(model, provenance),
    recipe: text(provenance["reproduce"]),
    software: Object.entries(fields(properties["processing:software"])).map(([name, version]) => `${name} ${text(version)}`),
    created: text(properties["created"]),
    licence: text(properties["license"]),
    attribution: text(properties["attribution"]),
  };
}

/** Scenes by sensor stand in the sentence of the lineage alone: `(4 of s1, 8 of s2_l2a)`. */
function sensorsOf(lineage: string): Facts["sensors"] {
  const counted = /\((\d+ of \w+(?:, \d+ of \w+)*)\)/.exec(lineage)?.[1] ?? "";
  return [...counted.matchAll(/(\d+) of (\w+)/g)].map(([, scenes, key]) => ({
    name: sensorName(key!),
    scenes: Number(scenes),
  }));
}

function digests(model: Fields, provenance: Fields): Facts["digests"] {
  const named: [string, string, unknown][] = [
    ["Weights", "of the network's file", model["weights_sha256"]],
    ["Backbone", "of the frozen backbone's file", model["backbone_sha256"]],
    ["Request", "of what was asked", provenance["request_digest"]],
    ["Sources", "of the granules that were used", provenance["sources_digest"]],
    ["Fingerprint", "of request and sources: all that determines the product", provenance["fingerprint"]],
    ["Product", "of the files", provenance["product_digest"]],
  ];
  return named.flatMap(([name, what, digest]) => (typeof digest === "string" ? [{ name, what, digest }] : []));
}

function rejections(value: unknown): Rejection[] {
  if (!Array.isArray(value)) return [];
  return value
    .map(fields)
    .map((entry) => ({ reason: text(entry["reason"]), granules: number(entry["granules"]) ?? 0 }))
    .sort((one, other) => other.granules - one.granules);
}
