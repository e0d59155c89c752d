/** How outlines and marks on the map look. */

import CircleStyle from "ol/style/Circle";
import Fill from "ol/style/Fill";
import Stroke from "ol/style/Stroke";
import Style from "ol/style/Style";
import Text from "ol/style/Text";

import type { Theme } from "./basemap";

/** Style of a block's box, a tile's outline, or the chosen tile's, which has no fill to leave its picture alone. */
export function outlineStyle(colours: Theme, kind: string, title: string): Style {
  if (kind === "chosen") {
    return new Style({ zIndex: 2, stroke: new Stroke({ color: colours.chosen, width: 2.5 }) });
  }
  const stroke = new Stroke({
    color: colours.accent,
    width: kind === "block" ? 1.25 : 1.5,
    ...(kind === "block" ? { lineDash: [5, 4] } : {}),
  });
  return new Style({ stroke, fill: new Fill({ color: colours.accentFill }), text: label(colours, title) });
}

/** Style of the pixel that similarity is to (a ring), or of the one that is read (a cross of a square). */
export function markStyles(colours: Theme, kind: string): Style[] {
  const color = kind === "used" ? colours.chosen : colours.label;
  return [
    new Style({
      stroke: new Stroke({ color: colours.halo, width: 3 }),
      image: new CircleStyle({ radius: 7, stroke: new Stroke({ color: colours.halo, width: 4.5 }) }),
    }),
    new Style({
      stroke: new Stroke({ color, width: 1.5 }),
      image: new CircleStyle({ radius: 7, stroke: new Stroke({ color, width: kind === "used" ? 2.5 : 1.5 }) }),
    }),
  ];
}

/** Text that the map leaves out where it does not fit into its outline. */
function label(colours: Theme, text: string): Text {
  return new Text({
    text,
    font: "12px system-ui, sans-serif",
    fill: new Fill({ color: colours.label }),
    stroke: new Stroke({ color: colours.halo, width: 3 }),
  });
}
