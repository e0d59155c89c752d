// A map on which a box is drawn, in Web Mercator: outlines that the page brings along, and tiles where they are wanted.
const TILE = 256, LIMIT = 85.0511, NEAREST = 17, MOST_TILES = 256;

const toX = (longitude) => (longitude + 180) / 360;
const toY = (latitude) => {
  const sine = Math.sin((Math.max(-LIMIT, Math.min(LIMIT, latitude)) * Math.PI) / 180);
  return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
};
const toLongitude = (x) => (((x % 1) + 1) % 1) * 360 - 180;
const toLatitude = (y) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;
const rounded = (degrees) => Math.round(degrees * 1e4) / 1e4;

class BoxMap {
  constructor(root) {
    this.canvas = root.querySelector("canvas");
    this.drawButton = root.querySelector(".draw");
    this.credit = root.querySelector(".credit");
    this.view = { x: 0.5, y: 0.38, zoom: 1 };
    this.tiles = new Map();
    this.drawing = false;
    this.hold = null;
    this.listen(root);
  }

  listen(root) {
    const on = (element, name, act, options) => element.addEventListener(name, act, options);
    on(this.drawButton, "click", () => this.setDrawing(!this.drawing));
    on(root.querySelector(".closer"), "click", () => this.zoom(1));
    on(root.querySelector(".farther"), "click", () => this.zoom(-1));
    on(root.querySelector(".whole"), "click", () => this.showBox());
    on(this.canvas, "wheel", (event) => this.wheel(event), { passive: false });
    on(this.canvas, "pointerdown", (event) => this.press(event));
    on(this.canvas, "pointermove", (event) => this.drag(event));
    on(this.canvas, "pointerup", (event) => this.release(event));
    on(this.canvas, "pointercancel", () => { this.hold = null; this.paint(); });
    on(this.canvas, "keydown", (event) => this.key(event));
    this.watcher = new ResizeObserver(() => this.paint());
  }

  // Until the map is chosen, by a click or the Tab key, whoever scrolls past it scrolls the page.
  wheel(event) {
    if (!this.canvas.matches(":focus") && !event.ctrlKey) return;
    event.preventDefault();
    this.zoom(-event.deltaY / 240, event);
  }

  stop() {
    this.watcher.disconnect();
    for (const image of this.tiles.values()) image.onload = null;
    this.tiles.clear();
  }

  update(data, tell) {
    this.watcher.observe(this.canvas);
    const before = JSON.stringify(this.box ?? null);
    Object.assign(this, { land: data.land, box: data.box, withTiles: data.tiles, tell });
    if (this.box && JSON.stringify(this.box) !== before) this.showBox();
    this.credit.innerHTML = this.withTiles
      ? '© <a href="https://www.openstreetmap.org/copyright" target="_blank" rel="noreferrer">OpenStreetMap</a> contributors'
      : "Outlines: Natural Earth";
    const [west, south, east, north] = this.box ?? [];
    this.canvas.setAttribute("aria-label", this.box
      ? `Map with a box from ${west} to ${east} degrees east and from ${south} to ${north} degrees north; the numbers below the map say and change the same`
      : "Map without a box; draw one, or type its numbers below the map");
    this.paint();
  }

  get scale() { return TILE * 2 ** this.view.zoom; }
  get size() { return [this.canvas.clientWidth || 1, this.canvas.clientHeight || 1]; }

  at(event) {
    const rectangle = this.canvas.getBoundingClientRect(), [width, height] = this.size;
    return [
      this.view.x + (event.clientX - rectangle.left - width / 2) / this.scale,
      this.view.y + (event.clientY - rectangle.top - height / 2) / this.scale,
    ];
  }

  setDrawing(drawing) {
    this.drawing = drawing;
    this.drawButton.setAttribute("aria-pressed", String(drawing));
    this.canvas.classList.toggle("drawing", drawing);
  }

  zoom(steps, event) {
    const [x, y] = event ? this.at(event) : [this.view.x, this.view.y];
    const zoom = Math.max(0, Math.min(NEAREST, this.view.zoom + steps));
    const shrink = 2 ** (this.view.zoom - zoom);
    this.view = { zoom, x: x + (this.view.x - x) * shrink, y: y + (this.view.y - y) * shrink };
    this.paint();
  }

  showBox() {
    if (!this.box) return;
    const [west, south, east, north] = this.box, [width, height] = this.size;
    const across = (toX(east) - toX(west) + 1) % 1 || 1e-6, down = toY(south) - toY(north) || 1e-6;
    const zoom = Math.log2(Math.min(width / across, height / down) / TILE) - 1.2;
    this.view = { x: toX(west) + across / 2, y: (toY(south) + toY(north)) / 2, zoom: Math.max(0, Math.min(NEAREST, zoom)) };
    this.paint();
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    const draws = this.drawing || event.shiftKey;
    this.hold = { draws, from: this.at(event), to: this.at(event), view: { ...this.view }, start: [event.clientX, event.clientY] };
  }

  drag(event) {
    if (!this.hold) return;
    const { draws, view, start } = this.hold;
    if (draws) this.hold.to = this.at(event);
    else this.view = { ...view, x: view.x - (event.clientX - start[0]) / this.scale, y: view.y - (event.clientY - start[1]) / this.scale };
    this.paint();
  }

  release(event) {
    const hold = this.hold;
    this.hold = null;
    if (!hold?.draws) return;
    const [x, y] = this.at(event), [fromX, fromY] = hold.from;
    if (Math.abs(x - fromX) * this.scale > 3 && Math.abs(y - fromY) * this.scale > 3) {
      const [south, north] = [toLatitude(Math.max(y, fromY)), toLatitude(Math.min(y, fromY))];
      const box = [toLongitude(Math.min(x, fromX)), south, toLongitude(Math.max(x, fromX)), north].map(rounded);
      this.setDrawing(false);
      this.box = box;
      this.tell("box", box);
    }
    this.paint();
  }

  key(event) {
    const step = 60 / this.scale;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) { this.view.x += moves[event.key][0]; this.view.y += moves[event.key][1]; this.paint(); }
    else if (event.key === "+" || event.key === "=") this.zoom(1);
    else if (event.key === "-") this.zoom(-1);
    else return;
    event.preventDefault();
  }

  paint() {
    const [width, height] = this.size, ratio = window.devicePixelRatio || 1;
    if (!this.land) return;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const ink = this.canvas.getContext("2d");
    ink.scale(ratio, ratio);
    const worlds = [-1, 0, 1].map((shift) => (x, y) => [
      (x + shift + Math.floor(this.view.x) - this.view.x) * this.scale + width / 2, (y - this.view.y) * this.scale + height / 2]);
    for (const place of worlds) this.paintLand(ink, place);
    if (this.withTiles) this.paintTiles(ink, width, height);
    this.paintLines(ink, width, height);
    for (const place of worlds) this.paintBox(ink, place);
    this.canvas.dataset.zoom = this.view.zoom.toFixed(2);
  }

  paintLand(ink, place) {
    ink.beginPath();
    for (const ring of this.land) {
      ring.forEach(([longitude, latitude], index) => ink[index ? "lineTo" : "moveTo"](...place(toX(longitude), toY(latitude))));
      ink.closePath();
    }
    ink.fillStyle = "#f3efe4"; ink.strokeStyle = "#8a8470"; ink.lineWidth = 1;
    ink.fill("evenodd"); ink.stroke();
  }

  paintLines(ink, width, height) {
    const step = [30, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01].find((degrees) => (degrees / 360) * this.scale < 160) ?? 0.01;
    const [left, top] = [this.view.x - width / 2 / this.scale, this.view.y - height / 2 / this.scale];
    const digits = Math.max(0, -Math.floor(Math.log10(step)));
    ink.strokeStyle = "#5b6b7555"; ink.fillStyle = "#33414a"; ink.font = `11px ${getComputedStyle(this.canvas).fontFamily}`; ink.lineWidth = 1;
    const line = (x1, y1, x2, y2) => { ink.beginPath(); ink.moveTo(x1, y1); ink.lineTo(x2, y2); ink.stroke(); };
    for (let index = Math.ceil((left * 360) / step); (index * step) / 360 < left + width / this.scale; index += 1) {
      const x = ((index * step) / 360 - left) * this.scale;
      line(x, 0, x, height);
      ink.fillText(`${rounded(toLongitude((index * step) / 360)).toFixed(digits)}°`, x + 3, height - 6);
    }
    const south = toLatitude(Math.min(1, top + height / this.scale)), north = toLatitude(Math.max(0, top));
    for (let index = Math.ceil(south / step); index * step < north; index += 1) {
      const y = (toY(index * step) - top) * this.scale;
      line(0, y, width, y);
      ink.fillText(`${(index * step).toFixed(digits)}°`, 4, y - 3);
    }
  }

  paintBox(ink, place) {
    let [west, south, east, north] = this.box ?? [];
    if (this.hold?.draws) {
      const { from, to } = this.hold;
      [west, east] = [from[0], to[0]].map((x) => x * 360 - 180).sort((one, other) => one - other);
      [south, north] = [from[1], to[1]].map(toLatitude).sort((one, other) => one - other);
    } else if (!this.box) return;
    if (west > east) east += 360;
    const [x1, y1] = place(toX(west), toY(north)), [x2, y2] = place(toX(east), toY(south));
    ink.fillStyle = "#0b57d033"; ink.strokeStyle = "#0b57d0"; ink.lineWidth = 3;
    ink.fillRect(x1, y1, x2 - x1, y2 - y1); ink.strokeRect(x1, y1, x2 - x1, y2 - y1);
  }

  paintTiles(ink, width, height) {
    const level = Math.max(0, Math.min(18, Math.round(this.view.zoom))), many = 2 ** level, edge = this.scale / many;
    const first = (middle, pixels) => Math.floor((middle - pixels / 2 / this.scale) * many);
    for (let row = Math.max(0, first(this.view.y, height)); row < many && (row / many - this.view.y) * this.scale < height / 2; row += 1) {
      for (let column = first(this.view.x, width); (column / many - this.view.x) * this.scale < width / 2; column += 1) {
        const image = this.tile(level, ((column % many) + many) % many, row);
        const x = (column / many - this.view.x) * this.scale + width / 2, y = (row / many - this.view.y) * this.scale + height / 2;
        if (image.complete && image.naturalWidth) ink.drawImage(image, x, y, edge + 0.5, edge + 0.5);
      }
    }
  }

  tile(level, column, row) {
    const name = `${level}/${column}/${row}`;
    let image = this.tiles.get(name);
    if (!image) {
      image = new Image();
      image.onload = () => this.paint();
      image.src = `https://tile.openstreetmap.org/${name}.png`;
    }
    // The one that was painted last is the last to go.
    this.tiles.delete(name);
    this.tiles.set(name, image);
    if (this.tiles.size > MOST_TILES) this.tiles.delete(this.tiles.keys().next().value);
    return image;
  }
}

const maps = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  let map = maps.get(parentElement);
  if (!map) maps.set(parentElement, (map = new BoxMap(parentElement)));
  map.update(data, setStateValue);
  return () => map.stop();
}
