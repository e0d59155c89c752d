/** Where a tile comes from, in words: what was found, what was used, what made it, and how to check it. */

import { copyButton, counted, el, outward, size } from "./dom";
import { factsOf, type Facts } from "./facts";
import { manifestPart } from "./manifest";
import type { TileYear } from "./model";
import { shell } from "./snippets";

/** Notes that keep a tile from being taken for what it is not. */
export function warnings(facts: Facts): string[] {
  return [
    ...(facts.synthetic ? ["Synthetic imagery: a procedural Earth, not an observation of the real one."] : []),
    ...(facts.trained !== false ? [] : ["Untrained network: a seeded initialisation, whose embeddings carry no learned meaning."]),
    ...(facts.trainedOnSynthetic
      ? ["Network trained on synthetic data: what it tells apart says nothing about the real Earth."]
      : []),
    ...(facts.deprecated ? ["Superseded: a newer version of this tile-year exists."] : []),
  ];
}

/** Everything that is known of a tile's making. */
export function provenanceParts(tile: TileYear, report: (words: string) => void): Node[] {
  const facts = factsOf(tile);
  return [
    ...warnings(facts).map((warning) => el("p", { class: "warning", role: "note" }, warning)),
    ...sceneWords(facts),
    ...networkWords(facts),
    el("dl", { class: "digests" }, ...facts.digests.flatMap(digestRow)),
    ...licenceWords(tile, facts),
    ...checkWords(tile, facts),
    manifestPart(tile, report),
  ];
}

/** Links to a tile's files, with sizes. */
export function fileList(tile: TileYear): HTMLElement {
  const entries = Object.entries(tile.item.assets).map(([name, asset]) => {
    const file = asset.href.split(/[?#]/)[0]!.split("/").pop() || name;
    const bytes = asset["file:size"];
    const about = [asset.title ?? name, ...(typeof bytes === "number" ? [size(bytes)] : [])].join(", ");
    return el("li", {}, outward(file, asset.href), el("span", {}, about));
  });
  const item = el("li", {}, outward("Item", tile.url), el("span", {}, "This tile-year's STAC Item"));
  return el("ul", { "aria-label": "Files", class: "files" }, ...entries, item);
}

/** Where STAC Browser shows a document; null where its host could not read it: not public, or without https. */
export function stacBrowser(address: string): string | null {
  const url = new URL(address);
  const local = /^(localhost$|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|\[)/.test(url.hostname);
  if (url.protocol !== "https:" || local || !url.hostname.includes(".")) return null;
  return `https://radiantearth.github.io/stac-browser/#/external/${url.host}${url.pathname}`;
}

function sceneWords(facts: Facts): Node[] {
  const sensors = facts.sensors.map(({ name, scenes }) => `${scenes} ${name}`).join(", ");
  const scenes = facts.scenes === null ? "Scenes" : counted(facts.scenes, "scene");
  const words = [`${scenes} of ${facts.year}${sensors === "" ? "" : ` (${sensors})`}`];
  if (facts.source !== "") words.push(` from ${facts.source}`);
  const parts: Node[] = [el("p", {}, `${words.join("")}.`)];
  if (facts.found !== null && facts.used !== null) {
    const none = facts.rejected.length === 0;
    parts.push(el("p", {}, `${counted(facts.found, "granule")} found, ${facts.used} used${together(facts)}${none ? "." : "; left out:"}`));
    if (!none) parts.push(el("ul", {}, ...facts.rejected.map(({ reason, granules }) => el("li", {}, `${granules} because ${because(reason)}`))));
  }
  if (facts.missing.length > 0) parts.push(el("p", {}, `The source has nothing of: ${facts.missing.join(", ")}.`));
  if (facts.observations !== null) {
    const [least, mean, most] = facts.observations;
    const range = least === most ? `${least}` : `${least} to ${most}, on average ${mean.toFixed(1)}`;
    const covered = facts.validFraction === null ? "" : `; ${percent(facts.validFraction)} of the tile has an embedding`;
    parts.push(el("p", {}, `Observations of a pixel: ${range}${covered}.`));
  }
  return parts;
}

/** A scene is of all granules of one acquisition, so that there may be fewer. */
function together({ used, scenes }: Facts): string {
  if (used === null || scenes === null || used === scenes) return "";
  return ` in ${counted(scenes, "scene")}, as granules of one acquisition are one scene`;
}

function networkWords(facts: Facts): Node[] {
  if (facts.network === "") return [];
  const learned = facts.trainedOnSynthetic ? "trained on synthetic data" : "trained";
  const upbringing = facts.trained === null ? "" : `, ${facts.trained ? learned : "not trained"}`;
  const inputs = facts.inputs.length === 0 ? "" : `; takes ${facts.inputs.join(", ")}`;
  return [
    el("p", {}, "Network ", el("strong", {}, facts.network), `${upbringing}${inputs}. Weights from ${facts.weights || "an unnamed file"}.`),
  ];
}

function digestRow({ name, what, digest }: Facts["digests"][number]): Node[] {
  const short = el("code", { title: digest }, digest.slice(0, 12));
  return [
    el("dt", {}, name),
    el("dd", {}, short, copyButton(() => digest, `digest of ${name.toLowerCase()}`), el("span", {}, what)),
  ];
}

function licenceWords(tile: TileYear, facts: Facts): Node[] {
  const link = tile.item.links.find(({ rel }) => rel === "license");
  const licence = link === undefined ? facts.licence : outward(facts.licence, link.href, tile.url);
  const made = facts.created === "" ? "" : `Made on ${facts.created.slice(0, 10)} with ${facts.software.slice(0, 1).join("") || "betaearth"}.`;
  return [
    el("p", {}, "Licence: ", licence, ". ", facts.attribution.replace(/\n/g, " ")),
    ...(made === "" ? [] : [el("p", {}, made)]),
  ];
}

function checkWords(tile: TileYear, facts: Facts): Node[] {
  const command = `betaearth reproduce ${shell(tile.url)}`;
  const parts: Node[] = [el("p", {}, "Compute it again from the same granules, and compare:"), code(command, "the command")];
  if (isRecipe(facts.recipe)) {
    const words = "The command that makes it from nothing, as the catalog gives it";
    parts.push(el("details", {}, el("summary", {}, words), code(facts.recipe, "the recipe")));
  } else if (facts.recipe !== "") {
    parts.push(el("p", {}, "The catalog gives a command that makes it from nothing, which does more than run betaearth: it is not shown."));
  }
  return parts;
}

/** Whether a stranger's shell text runs betaearth with settings and plain words, and nothing else. */
export function isRecipe(command: string): boolean {
  const word = "(?:[\\w@%+=:,./-]|'[^'\\n]*'|\"'\")+";
  return new RegExp(`^(?:BETAEARTH_[A-Z0-9_]+=${word} )*betaearth(?: ${word})*$`).test(command);
}

function code(command: string, what: string): HTMLElement {
  const pre = el("pre", { tabindex: 0, role: "group", "aria-label": what }, el("code", {}, command));
  return el("div", { class: "code" }, pre, copyButton(() => command, what));
}

/** Reasons are sentences or rules; a rule's name behind a colon is for the settings. */
function because(reason: string): string {
  return reason.replace(/\.$/, "") || "nothing says why";
}

function percent(share: number): string {
  return share >= 1 ? "100 %" : `${(Math.floor(share * 1000) / 10).toFixed(1)} %`;
}
