/** The map: what exists, the picture of the chosen tile, and the pixels that are meant. */

import OlMap from "ol/Map";
import View from "ol/View";
import Feature from "ol/Feature";
import { defaults as defaultControls } from "ol/control/defaults";
import ScaleLine from "ol/control/ScaleLine";
import { containsExtent } from "ol/extent";
import LineString from "ol/geom/LineString";
import Point from "ol/geom/Point";
import Polygon from "ol/geom/Polygon";
import { defaults as defaultInteractions } from "ol/interaction/defaults";
import ImageLayer from "ol/layer/Image";
import VectorLayer from "ol/layer/Vector";
import { fromLonLat, toLonLat, transformExtent } from "ol/proj";
import { register as registerProjections } from "ol/proj/proj4";
import ImageSource from "ol/source/Image";
import VectorSource from "ol/source/Vector";
import proj4 from "proj4";

import { Streets, landLayer, landStyle, netLayer, theme } from "./basemap";
import { ringOfBox } from "./box";
import type { Picture } from "./layers";
import { markStyles, outlineStyle } from "./map_styles";
import type { Block, Box, Raster, TileYear } from "./model";
import { cornerLonLat, extentOf, lonLatOf, pixelAt, register } from "./projection";
import { fullGrid } from "./resolution";

/** What happens on the map; columns and rows are of full resolution. */
export interface MapEvents {
  onBlock: (id: string) => void;
  onTile: (id: string) => void;
  onPixel: (column: number, row: number) => void;
  onHover: (pixel: readonly [number, number] | null) => void;
  onMoved: () => void;
  /** No street map can be had. */
  onStreetsLost: () => void;
}

const FIT_PADDING = [40, 40, 40, 40];
const WORLD: Box = [-170, -58, 170, 75];

export class MapView {
  private readonly map: OlMap;
  private readonly land = landLayer(theme());
  private net = netLayer(theme());
  private readonly streets: Streets;
  private readonly outlines = new VectorSource();
  private readonly outlineLayer = new VectorLayer({ source: this.outlines, zIndex: 5 });
  private readonly marks = new VectorSource();
  private readonly markLayer = new VectorLayer({ source: this.marks, zIndex: 20 });
  private pictureLayer: ImageLayer<ImageSource> | null = null;
  /** Grid of the chosen tile at full resolution; null while nothing is drawn. */
  private grid: Raster | null = null;

  constructor(
    readonly target: HTMLElement,
    private readonly events: MapEvents,
  ) {
    this.streets = new Streets(this.land, () => events.onStreetsLost());
    this.map = new OlMap({
      target,
      layers: [this.land, this.streets.layer, this.net, this.outlineLayer, this.markLayer],
      view: new View({ center: [0, 0], zoom: 1, maxZoom: 19, enableRotation: false }),
      controls: defaultControls({ rotate: false }).extend([new ScaleLine()]),
      interactions: defaultInteractions({ altShiftDragRotate: false, pinchRotate: false }),
    });
    this.listen();
    this.restyle();
    this.fit(WORLD);
  }

  /** Take colours from the style sheet again: light and dark may have changed. */
  restyle(): void {
    const colours = theme();
    this.land.setStyle(landStyle(colours));
    this.map.removeLayer(this.net);
    this.net = netLayer(colours);
    this.map.addLayer(this.net);
    this.outlineLayer.setStyle((feature) => outlineStyle(colours, feature.get("kind"), feature.get("title")));
    this.markLayer.setStyle((feature) => markStyles(colours, feature.get("kind")));
  }

  /** Show boxes of blocks whose tiles are not there yet, and outlines of tiles. */
  showOutlines(blocks: readonly Block[], tiles: readonly TileYear[], chosen: string | null): void {
    const boxes = blocks.flatMap((block) =>
      block.box === null ? [] : [outline(ringOnMap(block.box), { kind: "block", block: block.id, title: block.title })],
    );
    const rings = tiles.map((tile) =>
      outline(tile.ring, { kind: tile.id === chosen ? "chosen" : "tile", tile: tile.id, title: tile.cell }),
    );
    this.outlines.clear(true);
    this.outlines.addFeatures([...boxes, ...rings]);
  }

  /** Draw a picture in place of the one before; its layer's name stands in `data-layer-shown` once it is drawn. */
  showPicture(picture: Picture): void {
    const { canvas, raster, kind } = picture;
    register(raster.crs);
    registerProjections(proj4);
    const extent = extentOf(raster);
    const resolution = [(extent[2] - extent[0]) / canvas.width, (extent[3] - extent[1]) / canvas.height];
    const source = new ImageSource({
      projection: raster.crs,
      // Pixels stay pixels.
      interpolate: false,
      loader: () => Promise.resolve({ image: canvas, extent, resolution, pixelRatio: 1 }),
    });
    const layer = new ImageLayer({ source, zIndex: 10, extent: transformExtent(extent, raster.crs, "EPSG:3857", 8) });
    const before = this.pictureLayer;
    this.pictureLayer = layer;
    this.grid = fullGrid(raster);
    layer.once("postrender", () => {
      if (this.pictureLayer !== layer) return;
      this.target.dataset.layerShown = kind;
      // Removed only now, so that nothing flashes.
      if (before !== null) window.setTimeout(() => this.map.removeLayer(before));
    });
    this.map.addLayer(layer);
  }

  clearPicture(): void {
    if (this.pictureLayer !== null) this.map.removeLayer(this.pictureLayer);
    this.pictureLayer = null;
    this.grid = null;
    this.target.removeAttribute("data-layer-shown");
    this.mark(null, null);
  }

  /** A new picture is on its way: the old one stays to be seen, but is no more what was asked for. */
  expectPicture(): void {
    this.target.removeAttribute("data-layer-shown");
  }

  /** Mark the pixel that similarity is to, and the one that is read. */
  mark(used: readonly [number, number] | null, read: readonly [number, number] | null): void {
    this.marks.clear(true);
    const { grid } = this;
    if (grid === null) return;
    if (used !== null) this.marks.addFeatures(pixelMarks(grid, used, "used"));
    if (read !== null) this.marks.addFeatures(pixelMarks(grid, read, "read"));
  }

  /** Bring a pixel into sight where it is not. */
  follow([column, row]: readonly [number, number]): void {
    if (this.grid === null) return;
    const at = fromLonLat(lonLatOf(this.grid, column, row));
    const extent = this.map.getView().calculateExtent();
    if (!containsExtent(extent, [...at, ...at])) this.map.getView().setCenter(at);
  }

  fit(box: Box, { animated = false } = {}): void {
    const [west, south, east, north] = box;
    const unwrapped = east < west ? east + 360 : east;
    const extent = [...fromLonLat([west, clamp(south)]), ...fromLonLat([unwrapped, clamp(north)])];
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.map.updateSize();
    this.map.getView().fit(extent, { padding: FIT_PADDING, maxZoom: 16, duration: animated && !calm ? 300 : 0 });
  }

  /** The part of the world that is in sight. */
  box(): Box {
    const [west, south, east, north] = transformExtent(this.map.getView().calculateExtent(), "EPSG:3857", "EPSG:4326");
    return [west!, south!, east!, north!];
  }

  setStreets(on: boolean): void {
    this.streets.show(on);
  }

  /** Fit the canvas to its place on the page. */
  resize(): void {
    this.map.updateSize();
  }

  private listen(): void {
    this.map.on("pointermove", (event) => {
      if (event.dragging) return;
      const pixel = this.pixelUnder(event.coordinate);
      this.events.onHover(pixel);
      const over = pixel !== null || this.map.hasFeatureAtPixel(event.pixel, { layerFilter: this.isOutline });
      this.target.classList.toggle("pointing", over);
    });
    this.map.getViewport().addEventListener("pointerleave", () => this.events.onHover(null));
    this.map.on("click", (event) => this.clicked(event.coordinate, event.pixel));
    this.map.on("moveend", () => this.events.onMoved());
  }

  private readonly isOutline = (layer: unknown): boolean => layer === this.outlineLayer;

  private clicked(coordinate: number[], pixel: number[]): void {
    const inside = this.pixelUnder(coordinate);
    if (inside !== null) return this.events.onPixel(...inside);
    const found = this.map.getFeaturesAtPixel(pixel, { layerFilter: this.isOutline, hitTolerance: 3 });
    const tile = found.find((feature) => feature.get("tile") !== undefined);
    if (tile !== undefined) return this.events.onTile(tile.get("tile"));
    const block = found.find((feature) => feature.get("block") !== undefined);
    if (block !== undefined) this.events.onBlock(block.get("block"));
  }

  private pixelUnder(coordinate: number[]): [number, number] | null {
    if (this.grid === null) return null;
    const [lon, lat] = toLonLat(coordinate);
    return pixelAt(this.grid, lon!, lat!);
  }
}

function outline(ring: readonly (readonly number[])[], fields: Record<string, string>): Feature {
  return new Feature({ geometry: new Polygon([ring.map((point) => fromLonLat([...point]))]), ...fields });
}

/** A box's outline as far as the map goes. */
function ringOnMap([west, south, east, north]: Box): [number, number][] {
  return ringOfBox([west, clamp(south), east, clamp(north)]);
}

/** The outline of a pixel, and a mark in its middle that can be seen from afar. */
function pixelMarks(grid: Raster, [column, row]: readonly [number, number], kind: string): Feature[] {
  const corners = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]] as const;
  const ring = corners.map(([x, y]) => fromLonLat(cornerLonLat(grid, column + x, row + y)));
  const middle = new Point(fromLonLat(lonLatOf(grid, column, row)));
  return [new Feature({ geometry: new LineString(ring), kind }), new Feature({ geometry: middle, kind })];
}

/** The map's projection ends before the poles. */
function clamp(latitude: number): number {
  return Math.max(-85, Math.min(85, latitude));
}
