"""Which pixels of a neighbourhood look like its middle? Run `make demo` first.

python examples/read_embeddings.py [demo-output/catalog.json]
"""

import sys

import pystac

import betaearth

catalog = pystac.Catalog.from_file(sys.argv[1] if len(sys.argv) > 1 else "demo-output/catalog.json")
items = list(catalog.get_items(recursive=True))
year = min(item.datetime.year for item in items if item.datetime)
items = [item for item in items if item.datetime and item.datetime.year == year]

# Cells overlap; where they do, the mosaic fades from one to the other. Nothing but heads has been read yet.
vectors = betaearth.mosaic_embeddings(items)
rows, columns = vectors.sizes["y"], vectors.sizes["x"]
around = vectors[:, rows // 2 - 50 : rows // 2 + 50, columns // 2 - 50 : columns // 2 + 50].load()

# Vectors have unit length, so that their product is the cosine of the angle between them.
cosine = (around * around[:, 50, 50]).sum("band", skipna=False)
print(f"{len(items)} cells in {year}, {columns} x {rows} pixels in {vectors.spatial_ref.attrs['projected_crs_name']}")
print(f"alike (cosine above .99): {float((cosine > 0.99).mean()):.0%} of a square kilometre")
