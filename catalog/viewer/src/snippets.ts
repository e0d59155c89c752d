/** Code that loads a tile, for copying: addresses filled in, and decoded as its encoding needs. */

import { boxFrom, overlap } from "./box";
import { copyButton, el } from "./dom";
import type { Box, CollectionInfo, TileYear } from "./model";

export interface Snippet {
  readonly tool: string;
  readonly code: string;
  readonly note?: string;
}

/** What is being looked at, that the code shall do. */
export interface Looked {
  readonly tile: TileYear;
  readonly collection: CollectionInfo;
  /** Names of three axes: `A01`. */
  readonly axes: readonly string[];
  readonly pixel: readonly [number, number];
}

/** Write the code for each tool. */
export function snippetsOf(looked: Looked): Snippet[] {
  const file = looked.tile.item.assets["embeddings"]?.href;
  return [
    { tool: "betaearth", code: betaearth(looked) },
    { tool: "Python odc-stac", code: odc(looked) },
    ...(file === undefined ? [] : [{ tool: "rioxarray", code: rioxarray(file, looked) }]),
    ...duckdb(looked),
    ...(file === undefined ? [] : [{ tool: "GDAL", code: gdal(file, looked), note: GDAL_NOTE }]),
    ...(file === undefined ? [] : [{ tool: "QGIS", code: `/vsicurl/${file}`, note: QGIS_NOTE }]),
  ];
}

/** Show them, each under the name of its tool. */
export function snippetList(snippets: readonly Snippet[]): HTMLElement[] {
  return snippets.map(({ tool, code, note }) =>
    el(
      "details",
      { class: "snippet" },
      el("summary", {}, tool),
      note === undefined ? null : el("p", {}, note),
      el("div", { class: "code" }, el("pre", { tabindex: 0, role: "group", "aria-label": `${tool} code` }, el("code", {}, code)), copyButton(() => code, tool)),
    ),
  );
}

const DUCKDB_NOTE =
  "Searches the table of all Items; walks no catalog. To read over HTTP, DuckDB downloads its extension httpfs once; without a network to it, download the files first.";
const GDAL_NOTE = "Windows are read over HTTP; the file is not downloaded whole.";
const QGIS_NOTE = "Layer, Add Layer, Add Raster Layer: give this as the source.";

function isCode({ tile }: Looked): boolean {
  const { properties, assets } = tile.item;
  return properties["emb:quantization"] !== undefined || assets["embeddings"]?.["data_type"] === "int8";
}

function betaearth({ tile, pixel: [column, row] }: Looked): string {
  return `import betaearth  # pip install 'betaearth[xarray]'

vectors = betaearth.open_embeddings(${python(tile.url)})
part = vectors[:, 100:164, 100:164]  # (band, y, x), unit length, NaN where there is no data
like = (vectors * vectors[:, ${row}, ${column}]).sum("band", skipna=False)  # cosine with one pixel
`;
}

function odc(looked: Looked): string {
  const { tile, axes } = looked;
  const decode = isCode(looked)
    ? `
q = codes[${python(axes[0]!)}].astype("float32")
value = (np.sign(q) * (np.abs(q) / 127.5) ** 2).where(q != -128)  # then unit length over 64 bands
`
    : `
value = codes[${python(axes[0]!)}].where(codes[${python(axes[0]!)}] != -9999)  # float32, -9999 is no data
`;
  return `import numpy as np, odc.stac, pystac

item = pystac.Item.from_file(${python(tile.url)})
codes = odc.stac.load([item], bands=[${axes.map(python).join(", ")}])
${decode}`;
}

function rioxarray(file: string, looked: Looked): string {
  const decode = isCode(looked)
    ? `x = (np.sign(window) * (np.abs(window) / 127.5) ** 2).where(window != -128)
unit = x / np.sqrt((x**2).sum("band"))  # AlphaEarth's code, brought to unit length
`
    : `unit = window.where(window != -9999)  # of unit length as it is
`;
  return `import numpy as np, rioxarray

q = rioxarray.open_rasterio(${python(file)}, chunks={"x": 256, "y": 256})
window = q[:, 100:164, 100:164].astype("float32")
${decode}`;
}

function duckdb({ tile, collection }: Looked): Snippet[] {
  const parts = Object.values(collection.raw.assets ?? {})
    .filter(({ roles, href }) => roles?.includes("collection-mirror") && href.includes(`year=${tile.year}/`))
    .filter((asset) => mayHold(boxFrom(asset["betaearth:bbox"]), tile));
  if (parts.length === 0) return [];
  const [west, south, east, north] = tile.box.map((degrees) => degrees.toFixed(4));
  const code = `import duckdb

items = duckdb.read_parquet([${parts.map(({ href }) => `\n    ${python(href)},`).join("")}
], hive_partitioning=True, union_by_name=True)
found = items.filter(
    "year = ${tile.year} and bbox.xmin < ${east} and bbox.xmax > ${west} and bbox.ymin < ${north} and bbox.ymax > ${south}"
)
ids = [row[0] for row in found.project("id").fetchall()]
`;
  return [{ tool: "DuckDB", code, note: DUCKDB_NOTE }];
}

/** A part that does not say where it lies may hold anything. */
function mayHold(box: Box | null, tile: TileYear): boolean {
  return box === null || overlap(box, tile.box);
}

function gdal(file: string, { axes }: Looked): string {
  const bands = axes.map((name) => `-b ${Number(name.slice(1)) + 1}`).join(" ");
  return `gdalinfo ${shell(`/vsicurl/${file}`)}
gdal_translate ${bands} -srcwin 100 100 64 64 ${shell(`/vsicurl/${file}`)} part.tif
`;
}

/** A string for Python: JSON's spelling is Python's, too. */
function python(text: string): string {
  return JSON.stringify(text);
}

/** A word for a shell. */
export function shell(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replace(/'/g, `'\\''`)}'`;
}
