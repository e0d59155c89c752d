"""A product: three files written and verified in a folder, then put into a store with the manifest last."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from betaearth.grid.pixels import PixelGrid
from betaearth.products.draft import Draft
from betaearth.products.embedding import Embedding
from betaearth.products.manifest import Manifest
from betaearth.products.options import ProductOptions
from betaearth.products.rendered import EMBEDDINGS, PREVIEW, QUALITY, RenderedFile, RenderedProduct
from betaearth.storage.store import Store

__all__ = ["EMBEDDINGS", "PREVIEW", "QUALITY", "RenderedFile", "RenderedProduct", "commit_product", "render_product"]


def render_product(
    embedding: Embedding, grid: PixelGrid, folder: Path, options: ProductOptions, tags: Mapping[str, str]
) -> RenderedProduct:
    """Write the files of a product that was made in one piece, and read the rasters again.

    Args:
        embedding: (y, x) of the grid.
        grid: where the pixels lie.
        folder: existing folder; the files stay there.
        options: how to write.
        tags: metadata of both rasters, name to text.

    Raises:
        DataError: embedding and grid differ in shape.
        RuntimeError: a raster is not what was to be written.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".draft-") as blocks:
        draft = Draft(Path(blocks), grid, options)
        draft.put((slice(0, grid.height), slice(0, grid.width)), embedding)
        return draft.render(folder, tags)


def commit_product(store: Store, manifest: Manifest, rendered: RenderedProduct | None, key: str) -> Manifest:
    """Put the files of a product into a store, then, as the sign that it is there, its manifest.

    Args:
        store: where to.
        manifest: names the key of every file.
        rendered: the files; None where the outcome is empty.
        key: key of the manifest.

    Returns:
        The manifest under that key: this one, or that of whoever came first. In the second case the files put
        here may belong to no manifest, and the first product stands as it was.

    Raises:
        DataError: what stands under the key is no manifest.
        ConfigError: the store cannot be written.
    """
    standing = store.find(key)
    if standing is None:
        for name, file in (rendered.files if rendered else {}).items():
            store.put_file(manifest.files[name].key, file.path)
        if store.create(key, manifest.to_bytes()):
            # An audit may have cleared a file that lay here before, of nobody's, until the manifest told of it.
            for name, file in (rendered.files if rendered else {}).items():
                if store.size(manifest.files[name].key) is None:
                    store.put_file(manifest.files[name].key, file.path)
            return manifest
    return Manifest.from_bytes(standing.data if standing else store.read(key), where=store.href(key))
