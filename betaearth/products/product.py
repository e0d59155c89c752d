"""A product: three files written and verified in a folder, then put into a store with the manifest last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from betaearth.grid.pixels import PixelGrid
from betaearth.products.bands import embedding_raster
from betaearth.products.cog import write_embedding_cog, write_quality_cog
from betaearth.products.embedding import Embedding
from betaearth.products.fingerprint import file_digest, product_digest
from betaearth.products.manifest import Manifest, Statistics
from betaearth.products.options import ProductOptions
from betaearth.products.preview import write_preview
from betaearth.products.verify import verify_embedding_cog, verify_quality_cog
from betaearth.storage.folder import FolderStore

EMBEDDINGS = "embeddings.tif"
QUALITY = "quality.tif"
PREVIEW = "preview.png"


@dataclass(frozen=True)
class RenderedFile:
    """A file of a product, not yet in a store."""

    path: Path
    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True)
class RenderedProduct:
    """The files of a product, not yet in a store."""

    files: Mapping[str, RenderedFile]
    """By name: `embeddings.tif`, `quality.tif`, `preview.png`."""
    nodata: float
    """Of the embeddings."""
    statistics: Statistics

    @property
    def product_digest(self) -> str:
        """Digest over the digests of the files."""
        return product_digest({name: file.sha256 for name, file in self.files.items()})


def render_product(
    embedding: Embedding, grid: PixelGrid, folder: Path, options: ProductOptions, tags: Mapping[str, str]
) -> RenderedProduct:
    """Write the files of a product into a folder and read the rasters again.

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
    write_embedding_cog(folder / EMBEDDINGS, embedding, grid, dtype=options.dtype, tags=tags)
    norm_error = verify_embedding_cog(folder / EMBEDDINGS, embedding, grid, dtype=options.dtype)
    write_quality_cog(folder / QUALITY, embedding, grid, tags=tags)
    verify_quality_cog(folder / QUALITY, embedding, grid)
    write_preview(folder / PREVIEW, embedding)
    return RenderedProduct(
        files={name: _rendered_file(folder / name) for name in (EMBEDDINGS, QUALITY, PREVIEW)},
        nodata=embedding_raster(embedding, grid, options.dtype).bands.nodata,
        statistics=_statistics(embedding, norm_error),
    )


def commit_product(store: FolderStore, manifest: Manifest, rendered: RenderedProduct | None, key: str) -> Manifest:
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
            return manifest
    return Manifest.from_bytes(standing.data if standing else store.read(key), where=store.href(key))


def _rendered_file(path: Path) -> RenderedFile:
    return RenderedFile(path, size=path.stat().st_size, sha256=file_digest(path))


def _statistics(embedding: Embedding, norm_error: float) -> Statistics:
    count = embedding.count[embedding.valid]
    dispersion = embedding.dispersion[embedding.valid]
    some = count.size > 0
    return Statistics(
        valid_fraction=float(embedding.valid.mean()),
        observations_min=int(count.min()) if some else 0,
        observations_mean=float(count.mean()) if some else 0.0,
        observations_max=int(count.max()) if some else 0,
        dispersion_mean=float(dispersion.mean()) if some else 0.0,
        norm_error_max=norm_error,
    )
