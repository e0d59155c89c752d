/** What lies below the embeddings: land and sea, a net of degrees, and another's map where it is asked for. */

import Feature from "ol/Feature";
import Polygon from "ol/geom/Polygon";
import Graticule from "ol/layer/Graticule";
import TileLayer from "ol/layer/Tile";
import VectorLayer from "ol/layer/Vector";
import { fromLonLat } from "ol/proj";
import OSM from "ol/source/OSM";
import VectorSource from "ol/source/Vector";
import Fill from "ol/style/Fill";
import Stroke from "ol/style/Stroke";
import Style from "ol/style/Style";
import Text from "ol/style/Text";

import { landPolygons } from "./land";

/** Colours of the map, from the style sheet, so that they follow light and dark. */
export interface Theme {
  readonly land: string;
  readonly coast: string;
  readonly net: string;
  readonly label: string;
  readonly halo: string;
  readonly accent: string;
  readonly accentFill: string;
  readonly chosen: string;
}

/** Read the theme that holds now. */
export function theme(): Theme {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(`--map-${name}`).trim();
  return {
    land: colour("land"),
    coast: colour("coast"),
    net: colour("net"),
    label: colour("label"),
    halo: colour("halo"),
    accent: colour("accent"),
    accentFill: colour("accent-fill"),
    chosen: colour("chosen"),
  };
}

/** Outlines of land, Natural Earth 1:110 million, which come with the page. */
export function landLayer(colours: Theme): VectorLayer {
  const features = landPolygons().map((rings) => {
    const geometry = new Polygon(rings.map((ring) => ring.map(([lon, lat]) => fromLonLat([lon!, Math.max(-85, lat!)]))));
    return new Feature({ geometry });
  });
  const source = new VectorSource({ features, attributions: "Land: Natural Earth" });
  const layer = new VectorLayer({ source, zIndex: 0 });
  layer.setStyle(landStyle(colours));
  return layer;
}

export function landStyle(colours: Theme): Style {
  return new Style({
    fill: new Fill({ color: colours.land }),
    stroke: new Stroke({ color: colours.coast, width: 1 }),
  });
}

/** Meridians and parallels. */
export function netLayer(colours: Theme): Graticule {
  const label = (): Text =>
    new Text({
      font: "11px system-ui, sans-serif",
      fill: new Fill({ color: colours.label }),
      stroke: new Stroke({ color: colours.halo, width: 3 }),
    });
  const parallels = label();
  parallels.setTextAlign("start");
  const meridians = label();
  meridians.setTextBaseline("bottom");
  return new Graticule({
    strokeStyle: new Stroke({ color: colours.net, width: 1 }),
    showLabels: true,
    lonLabelStyle: meridians,
    latLabelStyle: parallels,
    lonLabelPosition: 0.01,
    latLabelPosition: 0.01,
    lonLabelFormatter: (degrees) => degreesOf(degrees, "E", "W"),
    latLabelFormatter: (degrees) => degreesOf(degrees, "N", "S"),
    wrapX: true,
    zIndex: 2,
  });
}

/** OpenStreetMap's tiles, which another host serves: nothing is asked of it until they are switched on. */
export class Streets {
  private readonly source = new OSM();
  readonly layer = new TileLayer({ source: this.source, visible: false, zIndex: 1 });
  /** Whether any tile of them ever came. */
  private came = false;

  constructor(
    /** Stays in sight until there are streets to see. */
    private readonly land: VectorLayer,
    /** None can be had, and they were switched off. */
    onLost: () => void,
  ) {
    this.source.on("tileloadend", () => {
      this.came = true;
      this.cover();
    });
    this.source.on("tileloaderror", () => {
      if (this.came || !this.layer.getVisible()) return;
      this.show(false);
      onLost();
    });
  }

  show(on: boolean): void {
    // A tile that could not be had is kept as such.
    if (on && !this.came) this.source.refresh();
    this.layer.setVisible(on);
    this.cover();
  }

  private cover(): void {
    this.land.setVisible(!(this.came && this.layer.getVisible()));
  }
}

function degreesOf(degrees: number, positive: string, negative: string): string {
  const rounded = Math.round(Math.abs(degrees) * 1e4) / 1e4;
  return `${rounded}°${rounded === 0 ? "" : degrees > 0 ? positive : negative}`;
}
