"""Writing a collection's document: what is known of its Items, the parts of its mirror, its years, its coverage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from betaearth.errors import DataError
from betaearth.grid.majortom import MajorTomGrid
from betaearth.stac.coverage import CoverageFiles, Standing, coverage_files
from betaearth.stac.document import Document, from_bytes
from betaearth.stac.documents import Documents
from betaearth.stac.facts import Facts, facts_of_collection
from betaearth.stac.leaf import Settled
from betaearth.stac.merging import LARGEST_DOCUMENT
from betaearth.stac.mirror import Addition, Change, Compaction, MirrorChange, compaction_due
from betaearth.stac.mirror_listing import Assets, PartReader
from betaearth.stac.tile_years import Outcome
from betaearth.stac.tree import Node, with_years

Standings = Mapping[str, Standing]
"""Folder of a tile-year to its state."""


class CollectionWriter:
    """One collection, by one publisher."""

    def __init__(self, documents: Documents, collection: str) -> None:
        """Read the document: which parts of the mirror are listed before anything is written."""
        self.collection = collection
        self.key = f"{collection}/collection.json"
        self._documents = documents
        self._store = documents.store
        self._parts = PartReader(collection, self._store.read)
        stored = self._store.find(self.key, limit=LARGEST_DOCUMENT)
        self._data = stored.data if stored else None
        self._before = assets_of(self.document)

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return self._data is not None

    @property
    def document(self) -> Document:
        """The document as it was last seen; without fields where there is none."""
        return {} if self._data is None else from_bytes(self._data, where=self.key)

    def write_rows(self, year: int, facts: Facts | None, outcomes: Iterable[Outcome]) -> None:
        """Put Items into the mirror and say what they tell of the collection.

        Args:
            year: of all of them.
            facts: what the Items tell.
            outcomes: of tile-years whose entries in the catalogs of blocks are not right yet.
        """
        known = frozenset(assets_of(self.document))
        news: dict[str, Document] = {}
        items: dict[str, Settled] = {}
        created: set[str] = set()
        for outcome in outcomes:
            if outcome.settled is None or outcome.settled.item is None:
                continue
            item = from_bytes(outcome.settled.item, where=outcome.settled.prefix)
            news[item["id"]] = item
            items[item["id"]] = outcome.settled
            if outcome.created:
                created.add(item["id"])
        addition = Addition(
            self._parts, year, news, known_parts=known, created=frozenset(created), still=partial(self._still, items)
        )
        self.change(addition, facts=facts)
        if due := compaction_due(assets_of(self.document), year):
            self.change(Compaction(self._parts, due))

    def change(self, change: Change, *, facts: Facts | None = None) -> None:
        """Change the mirror, and say what is known anew of the collection."""
        self._merge(facts, (), change.apply)

    def write_years(self, years: Iterable[Node]) -> str:
        """Link years; return the collection's title."""
        missing = [year for year in years if not self._links(year)]
        if missing:
            self._merge(None, missing, None)
        return str(self.document["title"])

    def write_coverage(self, year: int, standings: Standings, anew: Callable[[], Standings]) -> None:
        """Say what is there of a year, and what is not.

        Args:
            year: calendar year.
            standings: folder of a tile-year to its state.
            anew: reads them again, where another publisher has said something since this one began.

        Raises:
            DataError: the collection does not say of which grid its cells are.
        """
        spacings = sorted(facts_of_collection(self.document, where=self.key).spacings)
        if len(spacings) != 1:
            raise DataError(f"{self.key} does not name one spacing of the grid; a collection has one")
        grid = MajorTomGrid(spacings[0])
        known = CoverageFiles.listed(self._before, year)

        def covered(assets: Assets) -> MirrorChange:
            nonlocal known, standings
            if (found := CoverageFiles.listed(assets, year)) != known:
                known, standings = found, anew()
            files = coverage_files(self.collection, year, standings, grid)
            return MirrorChange({**assets, **files.assets}, {} if files.assets == known else files.files)

        self._merge(None, (), covered)

    def _links(self, year: Node) -> bool:
        return any(entry.get("href") == year.child.href for entry in self.document.get("links", []))

    def _still(self, items: Mapping[str, Settled], name: str) -> bool:
        """Whether an Item is in the store as it was when it was settled."""
        settled = items[name]
        stored = self._store.find(f"{settled.prefix}/{settled.item_name}", limit=LARGEST_DOCUMENT)
        return stored is not None and stored.data == settled.item

    def _merge(
        self, facts: Facts | None, years: Iterable[Node], change: Callable[[Assets], MirrorChange] | None
    ) -> None:
        children = [year.child for year in years]
        made: dict[str, bytes] = {}

        def compose(existing: bytes | None) -> bytes:
            if change is None:
                return with_years(existing, facts, children, key=self.key)
            changed = change(assets_of({} if existing is None else from_bytes(existing, where=self.key)))
            made.clear()
            made.update(changed.new_parts)
            self._create(made)
            return with_years(existing, facts, children, key=self.key, assets=dict(sorted(changed.assets.items())))

        self._data = self._documents.merge(self.key, compose)
        # A part that lay there before, of nobody's, an audit may have cleared until the Collection listed it.
        self._create({key: data for key, data in made.items() if not self._store.exists(key)})

    def _create(self, files: Mapping[str, bytes]) -> None:
        for key, data in files.items():
            if self._store.create(key, data):
                self._documents.written.add(key)


def assets_of(document: Document) -> Assets:
    """Assets of a Collection; none where it says none that could be."""
    assets = document.get("assets")
    return assets if isinstance(assets, dict) else {}
