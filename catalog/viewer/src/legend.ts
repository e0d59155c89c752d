/** The legend of a picture: its ramp with numbers, and what the numbers are. */

import { table } from "./colours";
import { el } from "./dom";
import type { Legend } from "./layers";

/** Show a legend in a figure, in place of what it showed. */
export function showLegend(figure: HTMLElement, legend: Legend): void {
  const parts: Node[] = [el("strong", {}, legend.title)];
  if (legend.scale !== null) {
    const { ramp, range, digits } = legend.scale;
    const numbers = [range[0], (range[0] + range[1]) / 2, range[1]].map((value) => value.toFixed(digits));
    const middle = digits === 0 && range[1] - range[0] < 2 ? "" : numbers[1]!;
    const label = `Colours from ${numbers[0]} to ${numbers[2]}`;
    parts.push(
      bar(table(ramp), label),
      el("div", { class: "scale" }, el("span", {}, numbers[0]!), el("span", {}, middle), el("span", {}, numbers[2]!)),
    );
  }
  parts.push(el("figcaption", {}, ...legend.lines.map((line) => el("span", {}, line))));
  figure.replaceChildren(...parts);
}

function bar(colours: Uint8ClampedArray, label: string): HTMLCanvasElement {
  const canvas = el("canvas", { width: 256, height: 1, role: "img", "aria-label": label });
  const context = canvas.getContext("2d");
  if (context === null) return canvas;
  const image = context.createImageData(256, 1);
  for (let step = 0; step < 256; step += 1) {
    image.data.set(colours.subarray(step * 3, step * 3 + 3), step * 4);
    image.data[step * 4 + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
