"""Products: rendered, verified, and committed with the manifest last."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pydantic import ValidationError

from betaearth.errors import DataError
from betaearth.grid.pixels import PixelGrid
from betaearth.products.cog import write_cog
from betaearth.products.embedding import Embedding
from betaearth.products.fingerprint import fingerprint, product_digest, request_digest, sources_digest
from betaearth.products.keys import manifest_key, product_prefix
from betaearth.products.manifest import FileRecord, GridRecord, Manifest, Request, VariantRecord
from betaearth.products.options import Dtype, ProductOptions
from betaearth.products.product import RenderedProduct, commit_product, render_product
from betaearth.products.verify import verify_cog, verify_embedding_cog
from betaearth.storage.folder import FolderStore
from betaearth.storage.open import open_folder
from tests.products.conftest import one_block

MakeEmbedding = Callable[..., Embedding]
MakeGrid = Callable[[int, int], PixelGrid]

PREFIX = "betaearth-robust-v1/2024/r05-c05/r05f-c054/433u_1046r"
FILES = ["embeddings.tif", "quality.tif", "preview.png"]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return open_folder(str(tmp_path / "store"))


@pytest.fixture
def render(tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid) -> Callable[[int], RenderedProduct]:
    """Render a small product of a seed, in a folder of its own."""

    def of_seed(seed: int) -> RenderedProduct:
        folder = tmp_path / f"rendered-{seed}"
        folder.mkdir()
        return render_product(make_embedding(24, 32, seed=seed), make_grid(24, 32), folder, ProductOptions(), {})

    return of_seed


def manifest_of(rendered: RenderedProduct | None, *, created: int = 1) -> Manifest:
    request = Request(
        cell="433U_1046R",
        year=2024,
        grid=GridRecord(
            spacing_m=10_000.0,
            epsg=32632,
            west=399_960.0,
            north=5_800_020.0,
            width=32,
            height=24,
            resolution=10.0,
            bounds_lonlat=(7.5, 52.3, 7.6, 52.4),
            footprint=[(7.5, 52.3), (7.6, 52.3), (7.6, 52.4), (7.5, 52.3)],
        ),
        variant=VariantRecord(
            name="robust", trained=False, weights_sha256="0" * 64, weights="seed:0", inputs=["s1", "s2_l2a"]
        ),
        source="synthetic",
        options={},
    )
    asked, found = request_digest(request), sources_digest([{"id": "granule"}])
    prefix = product_prefix(PREFIX, rendered.product_digest) if rendered else ""
    return Manifest(
        outcome="product" if rendered else "empty",
        reason=None if rendered else "no scene",
        collection="betaearth-robust-v1",
        item_id="betaearth-robust-v1_433u_1046r_2024",
        request=request,
        request_digest=asked,
        sources_digest=found,
        fingerprint=fingerprint(asked, found),
        product_digest=rendered.product_digest if rendered else None,
        dtype="int8" if rendered else None,
        nodata=rendered.nodata if rendered else None,
        files={
            name: FileRecord(key=prefix + name, size=file.size, sha256=file.sha256)
            for name, file in (rendered.files.items() if rendered else ())
        },
        statistics=rendered.statistics if rendered else None,
        source_title="Synthetic Earth",
        granules=[],
        scenes=[],
        software={},
        created=datetime(2025, 1, created, tzinfo=UTC),
        seconds=1.0,
        attribution=[],
    )


def key_of(manifest: Manifest) -> str:
    return manifest_key(PREFIX, manifest.request_digest, manifest.sources_digest)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_product_is_three_files_with_their_records(
    tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid, dtype: Dtype
) -> None:
    embedding = make_embedding(300, 40)
    rendered = render_product(
        embedding, make_grid(300, 40), tmp_path, ProductOptions(dtype=dtype), {"BETAEARTH_ITEM": "item"}
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    assert list(rendered.files) == FILES
    for name, file in rendered.files.items():
        data = (tmp_path / name).read_bytes()
        assert (file.path, file.size) == (tmp_path / name, len(data))
        assert file.sha256 == hashlib.sha256(data).hexdigest()
    assert rendered.product_digest == product_digest({name: file.sha256 for name, file in rendered.files.items()})
    assert rendered.nodata == (-128 if dtype == "int8" else -9999)
    for name in FILES[:2]:
        with rasterio.open(tmp_path / name) as file:
            assert file.tags()["BETAEARTH_ITEM"] == "item"
            if name == "embeddings.tif":
                assert set(file.dtypes) == {dtype}


def test_statistics_are_of_valid_pixels(tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid) -> None:
    embedding = make_embedding(60, 40)
    statistics = render_product(embedding, make_grid(60, 40), tmp_path, ProductOptions(), {}).statistics
    counts = [count for count in embedding.count.ravel().tolist() if count]
    assert statistics.valid_fraction == pytest.approx(len(counts) / 2400)
    assert (statistics.observations_min, statistics.observations_max) == (min(counts), max(counts))
    assert statistics.observations_mean == pytest.approx(sum(counts) / len(counts))
    assert statistics.dispersion_mean == pytest.approx(float(embedding.dispersion.sum()) / len(counts), rel=1e-5)
    assert 0.0005 < statistics.norm_error_max < 0.0225


def test_exact_vectors_have_a_small_norm_error(
    tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid
) -> None:
    options = ProductOptions(dtype="float32")
    rendered = render_product(make_embedding(20, 20), make_grid(20, 20), tmp_path, options, {})
    assert rendered.statistics.norm_error_max < 1e-6


def test_an_embedding_without_valid_pixels_can_be_rendered(tmp_path: Path, make_grid: MakeGrid) -> None:
    empty = Embedding(
        np.zeros((300, 20, 64), np.float32), np.zeros((300, 20), np.uint16), np.zeros((300, 20), np.float32)
    )
    statistics = render_product(empty, make_grid(300, 20), tmp_path, ProductOptions(), {}).statistics
    assert set(statistics.model_dump().values()) == {0}


def test_equal_embeddings_give_the_same_product_digest(
    render: Callable[[int], RenderedProduct], tmp_path: Path
) -> None:
    first = render(1).product_digest
    (tmp_path / "rendered-1").rename(tmp_path / "moved")
    assert render(1).product_digest == first
    assert render(2).product_digest != first


def test_vectors_off_the_sphere_are_not_published(
    tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid
) -> None:
    embedding = make_embedding(20, 20)
    for dtype, factor in (("int8", 1.06), ("int8", 0.94), ("float32", 1.0001)):
        off = Embedding((embedding.vectors * factor).astype(np.float32), embedding.count, embedding.dispersion)
        with pytest.raises(RuntimeError, match="unit length"):
            render_product(off, make_grid(20, 20), tmp_path, ProductOptions.model_validate({"dtype": dtype}), {})


def test_a_written_file_of_something_else_is_noticed(
    tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid
) -> None:
    embedding, grid, path = make_embedding(300, 40), make_grid(300, 40), tmp_path / "file.tif"
    write_cog(path, one_block(tmp_path, "int8", embedding, grid), {})
    assert verify_embedding_cog(path, one_block(tmp_path, "int8", embedding, grid)) > 0

    count = embedding.count.copy()
    count[299, 39] = 0
    holed = Embedding(embedding.vectors, count, embedding.dispersion)
    with pytest.raises(RuntimeError, match=r"rows 256\.\.300, columns 0\.\.40 hold other values"):
        verify_embedding_cog(path, one_block(tmp_path, "int8", holed, grid))
    vectors = embedding.vectors.copy()
    vectors[299, 39] *= -1
    turned = Embedding(vectors, embedding.count, embedding.dispersion)
    with pytest.raises(RuntimeError, match=r"rows 256\.\.300, columns 0\.\.40 hold other values"):
        verify_embedding_cog(path, one_block(tmp_path, "int8", turned, grid))
    with pytest.raises(RuntimeError, match="types"):
        verify_embedding_cog(path, one_block(tmp_path, "float32", embedding, grid))
    elsewhere = PixelGrid(32632, 0.0, 0.0, 40, 300)
    with pytest.raises(RuntimeError, match="transform"):
        verify_embedding_cog(path, one_block(tmp_path, "int8", embedding, elsewhere))
    with pytest.raises(RuntimeError, match="band names"):
        verify_cog(path, one_block(tmp_path, "quality", embedding, grid))


def test_a_truncated_file_is_noticed(tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid) -> None:
    path, raster = tmp_path / "file.tif", one_block(tmp_path, "int8", make_embedding(40, 40), make_grid(40, 40))
    write_cog(path, raster, {})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 1000])
    with pytest.raises((RuntimeError, rasterio.errors.RasterioIOError)):
        verify_embedding_cog(path, raster)


def test_an_embedding_of_another_size_is_refused(
    tmp_path: Path, make_embedding: MakeEmbedding, make_grid: MakeGrid
) -> None:
    with pytest.raises(DataError, match="does not fit"):
        render_product(make_embedding(20, 30), make_grid(30, 20), tmp_path, ProductOptions(), {})


@pytest.mark.parametrize("options", [{"dtype": "int16"}, {"dtype": "int8", "level": 3}])
def test_unknown_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ProductOptions.model_validate(options)


def test_a_committed_product_is_its_manifest_and_the_files_that_it_names(
    store: FolderStore, render: Callable[[int], RenderedProduct]
) -> None:
    rendered = render(1)
    manifest = manifest_of(rendered)
    assert commit_product(store, manifest, rendered, key_of(manifest)) == manifest
    assert Manifest.from_bytes(store.read(key_of(manifest)), where="store") == manifest
    for name, record in manifest.files.items():
        assert record.key == f"{PREFIX}/{rendered.product_digest[:12]}/{name}"
        data = store.read(record.key)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (record.size, record.sha256)
    assert len(list(store.list())) == 4


def test_the_first_manifest_wins_and_its_files_stay(
    store: FolderStore, render: Callable[[int], RenderedProduct]
) -> None:
    first, second = render(1), render(2)
    winner, loser = manifest_of(first, created=1), manifest_of(second, created=2)
    key = key_of(winner)
    assert key_of(loser) == key
    commit_product(store, winner, first, key)
    before = {key: store.read(key) for key in store.list()}
    assert commit_product(store, loser, second, key) == winner
    assert {key: store.read(key) for key in store.list()} == before


def test_whoever_is_overtaken_returns_the_winner(store: FolderStore, render: Callable[[int], RenderedProduct]) -> None:
    """Both pods looked and saw no manifest; the other one's comes while this one's files are put."""
    first, second = render(1), render(2)
    winner, loser = manifest_of(first, created=1), manifest_of(second, created=2)

    class Overtaken(FolderStore):
        def put_file(self, key: str, path: Path) -> None:
            super().put_file(key, path)
            commit_product(store, winner, first, key_of(winner))

    assert commit_product(Overtaken(store.root), loser, second, key_of(loser)) == winner
    assert Manifest.from_bytes(store.read(key_of(winner)), where="store") == winner
    assert store.read(winner.files["quality.tif"].key) == first.files["quality.tif"].path.read_bytes()


@pytest.mark.parametrize("put", range(len(FILES) + 1))
def test_whoever_is_killed_before_the_manifest_leaves_no_product(
    store: FolderStore, render: Callable[[int], RenderedProduct], put: int
) -> None:
    """The end comes after none, one, two or all of the files."""
    rendered = render(1)
    manifest = manifest_of(rendered)

    class Dying(FolderStore):
        def put_file(self, key: str, path: Path) -> None:
            self.end_at_limit()
            super().put_file(key, path)

        def create(self, key: str, data: bytes) -> bool:
            self.end_at_limit()
            return super().create(key, data)

        def end_at_limit(self) -> None:
            if len(list(self.list())) == put:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        commit_product(Dying(store.root), manifest, rendered, key_of(manifest))
    assert sorted(store.list()) == sorted(manifest.files[name].key for name in FILES[:put])
    assert commit_product(store, manifest, rendered, key_of(manifest)) == manifest
    assert len(list(store.list())) == len(FILES) + 1


def test_a_manifest_of_another_schema_is_refused() -> None:
    data = manifest_of(None).to_bytes().replace(b'"schema_version": "1.0.0"', b'"schema_version": "2.0.0"')
    with pytest.raises(DataError, match=r"schema 1\.0\.0"):
        Manifest.from_bytes(data, where="store")


def test_files_without_a_manifest_do_not_stop_the_next_attempt(
    store: FolderStore, render: Callable[[int], RenderedProduct]
) -> None:
    """A pod killed between the files and the manifest; the retry computes the same or something else."""
    lost, made = render(1), render(2)
    for name, record in manifest_of(lost).files.items():
        store.put_file(record.key, lost.files[name].path)
    manifest = manifest_of(made)
    assert commit_product(store, manifest, made, key_of(manifest)) == manifest
    assert manifest_of(lost).files["quality.tif"].key in set(store.list())


def test_an_empty_tile_year_is_a_manifest_alone(store: FolderStore) -> None:
    manifest = manifest_of(None)
    assert commit_product(store, manifest, None, key_of(manifest)) == manifest
    assert list(store.list()) == [key_of(manifest)]


def test_what_is_no_manifest_is_not_overwritten(store: FolderStore) -> None:
    manifest = manifest_of(None)
    store.create(key_of(manifest), b"{}")
    with pytest.raises(DataError, match="not a manifest"):
        commit_product(store, manifest, None, key_of(manifest))
    assert store.read(key_of(manifest)) == b"{}"


def test_a_file_that_an_audit_clears_before_the_manifest_is_put_again(
    store: FolderStore, render: Callable[[int], RenderedProduct], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file lay there, of nobody's and old, so that it was not uploaded; then it went."""
    rendered = render(1)
    manifest = manifest_of(rendered)
    key = key_of(manifest)
    create = FolderStore.create

    def clearing(self: FolderStore, asked: str, data: bytes) -> bool:
        if asked == key:
            assert store.delete(manifest.files["quality.tif"].key)
        return create(self, asked, data)

    monkeypatch.setattr(FolderStore, "create", clearing)
    assert commit_product(store, manifest, rendered, key) == manifest
    for record in manifest.files.values():
        assert hashlib.sha256(store.read(record.key)).hexdigest() == record.sha256
