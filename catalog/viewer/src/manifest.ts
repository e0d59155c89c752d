/** The manifest of a tile, read when it is asked for: options, scenes, and the granules that were left out. */

import { button, counted, el } from "./dom";
import { sensorName } from "./facts";
import { fields, number, text, type Fields } from "./fields";
import { manifestOf } from "./item";
import { ViewerError, type TileYear } from "./model";

/** A fold that reads the manifest when it is opened. */
export function manifestPart(tile: TileYear, report: (words: string) => void): HTMLElement {
  const body = el("div", { class: "manifest" });
  const part = el("details", {}, el("summary", {}, "Options, scenes and granules (from the manifest)"), body);
  let reading = false;
  const read = async (): Promise<void> => {
    if (reading) return;
    reading = true;
    body.replaceChildren(el("p", {}, "Reading the manifest …"));
    try {
      body.replaceChildren(...manifestWords(await manifestOf(tile)));
    } catch (error) {
      reading = false;
      const again = button("Read it again", () => void read());
      if (!(error instanceof ViewerError)) throw error;
      body.replaceChildren(el("p", {}, error.message), again);
      report(error.message);
    }
  };
  part.addEventListener("toggle", () => part.open && void read());
  return part;
}

function manifestWords(manifest: Fields): Node[] {
  const request = fields(manifest["request"]);
  const granules = list(manifest["granules"]);
  const left = granules.filter((granule) => granule["fate"] !== "used");
  return [
    ...optionTables(fields(request["options"])),
    ...sceneTable(list(manifest["scenes"])),
    ...leftOut(left),
    ...computed(manifest),
  ];
}

function optionTables(options: Fields): Node[] {
  const rows = Object.entries(options).flatMap(([group, values]) =>
    Object.entries(fields(values)).map(([name, value]) => [`${group}.${name}`, JSON.stringify(value)] as const),
  );
  if (rows.length === 0) return [];
  return [table("Options", ["option", "value"], rows)];
}

function sceneTable(scenes: readonly Fields[]): Node[] {
  const rows = scenes.map((scene) => [
    text(scene["sensed"]).slice(0, 10),
    sensorName(text(scene["sensor"])),
    `${Math.round(100 * (number(scene["valid_fraction"]) ?? 0))} %`,
  ]);
  return [table(`${counted(scenes.length, "scene")} used`, ["date", "sensor", "of the tile"], rows)];
}

function leftOut(granules: readonly Fields[]): Node[] {
  if (granules.length === 0) return [];
  const rows = granules.map((granule) => [
    text(granule["sensed"]).slice(0, 10),
    sensorName(text(granule["sensor"])),
    text(granule["reason"]) || text(granule["fate"]),
  ]);
  return [table(`${counted(granules.length, "granule")} left out`, ["date", "sensor", "because"], rows)];
}

function computed(manifest: Fields): Node[] {
  const how = fields(manifest["computed"]);
  const parts = ["device", "processor", "threads", "precision"].flatMap((name) => text(how[name]) || []);
  const seconds = number(manifest["seconds"]);
  if (parts.length === 0) return [];
  return [el("p", {}, `Computed on ${parts.join(", ")}${seconds === null ? "" : ` in ${Math.round(seconds)} s`}.`)];
}

function table(caption: string, head: readonly string[], rows: readonly (readonly string[])[]): HTMLElement {
  return el(
    "div",
    { class: "scroll", tabindex: 0, role: "group", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, ...head.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, cell))))),
    ),
  );
}

function list(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(fields) : [];
}
