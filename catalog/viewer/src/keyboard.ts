/** Keys: what they do, and the dialog that lists them. */

import { button, el } from "./dom";
import { LAYERS, LAYER_TITLES, type LayerKind } from "./state";

/** What keys ask for. */
export interface KeyEvents {
  layer: (kind: LayerKind) => void;
  /** -1: the year before, 1: the year after. */
  year: (step: -1 | 1) => void;
  /** Close what is open; only what no dialog has taken. */
  close: () => void;
  /** Move the pixel that is read; false where there is none, and the map moves. */
  move: (columns: number, rows: number) => boolean;
  /** Use the pixel that is read. */
  use: () => boolean;
}

const STORED = "betaearth-single-keys";
const ARROWS: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Listen for keys on the page and on the map. */
export function listenForKeys(map: HTMLElement, dialog: HTMLDialogElement, events: KeyEvents): void {
  fill(dialog);
  map.addEventListener("keydown", (event) => onMap(event, map, events), { capture: true });
  document.addEventListener("keydown", (event) => {
    if (dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") return events.close();
    if (typing(event.target) || !singleKeys()) return;
    if (event.key === "?") openKeys(dialog);
    else if (event.key === "[") events.year(-1);
    else if (event.key === "]") events.year(1);
    else if (/^[1-6]$/.test(event.key)) events.layer(LAYERS[Number(event.key) - 1]!);
    else return;
    event.preventDefault();
  });
}

export function openKeys(dialog: HTMLDialogElement): void {
  if (!dialog.open) dialog.showModal();
}

/** Arrow keys go from one button of a list to the next. */
export function moveInList(list: HTMLElement, event: KeyboardEvent): void {
  const buttons = [...list.querySelectorAll("button")];
  const here = buttons.indexOf(document.activeElement as HTMLButtonElement);
  const steps: Record<string, number> = {
    ArrowDown: here + 1,
    ArrowRight: here + 1,
    ArrowUp: here - 1,
    ArrowLeft: here - 1,
    Home: 0,
    End: buttons.length - 1,
  };
  const next = steps[event.key];
  if (here < 0 || next === undefined) return;
  event.preventDefault();
  buttons[Math.min(buttons.length - 1, Math.max(0, next))]!.focus();
}

function onMap(event: KeyboardEvent, map: HTMLElement, events: KeyEvents): void {
  if (event.target !== map || event.ctrlKey || event.metaKey || event.altKey) return;
  const arrow = ARROWS[event.key];
  const step = event.shiftKey ? 10 : 1;
  const taken = arrow !== undefined ? events.move(arrow[0] * step, arrow[1] * step) : event.key === "Enter" && events.use();
  if (!taken) return;
  event.preventDefault();
  // Else the map would move, too.
  event.stopImmediatePropagation();
}

function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !["radio", "checkbox", "button"].includes(target.type);
  return target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

/** Whether keys without a modifier do something: who speaks to the machine may want to switch them off. */
function singleKeys(): boolean {
  try {
    return localStorage.getItem(STORED) !== "off";
  } catch {
    // A page without storage has nothing switched off.
    return true;
  }
}

function keep(on: boolean): void {
  try {
    localStorage.setItem(STORED, on ? "on" : "off");
  } catch {
    // Without storage the keys stay as they are.
  }
}

function fill(dialog: HTMLDialogElement): void {
  const rows: [string, string][] = [
    ...LAYERS.map((kind, index): [string, string] => [String(index + 1), `Layer: ${LAYER_TITLES[kind]}`]),
    ["[  ]", "Year before, year after"],
    ["Arrows", "On the map: move the pixel that is read (with Shift, by ten); without a tile, move the map"],
    ["Enter", "On the map: similarity to the pixel that is read"],
    ["+  −", "On the map: zoom"],
    ["Arrows", "In the lists: from tile to tile, block to block"],
    ["Esc", "Close the tile, or this list"],
    ["?", "This list"],
  ];
  const check = el("input", { type: "checkbox", id: "single-keys" });
  check.checked = singleKeys();
  check.addEventListener("change", () => keep(check.checked));
  dialog.replaceChildren(
    el("h2", { id: "keys-title" }, "Keyboard"),
    el("table", {}, el("tbody", {}, ...rows.map(([key, what]) =>
      el("tr", {}, el("th", { scope: "row" }, el("kbd", {}, key)), el("td", {}, what))))),
    el("p", { class: "switch" }, check, el("label", { for: "single-keys" }, "Single keys (1 to 6, [ ], ?) do something")),
    button("Close", () => dialog.close()),
  );
}
