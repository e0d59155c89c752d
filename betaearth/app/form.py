"""The form: what a visitor chooses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import streamlit as st

from betaearth.app.box_map import box_map, drawn_box
from betaearth.app.choice import (
    DECIMALS,
    SERVER,
    SOURCES,
    SYNTHETIC,
    Choice,
    chosen,
    chosen_area,
    chosen_years,
    one_of,
)
from betaearth.nn.variants import VARIANTS
from betaearth.scenes.model import FIRST_YEAR
from betaearth.settings import Settings

SIDES = ("west", "south", "east", "north")
FIRST_BOX = (13.2, 48.8, 13.3, 48.9)
"""Degrees; at the rim of the Bavarian Forest."""
EXAMPLE_BOX = (-114.06, 48.6, -114.04, 48.613)
"""Degrees; a place of the synthetic Earth with varied land, small enough to be made within minutes."""
EXAMPLE_YEARS = [2021, 2022]
BOX, RELATION = "A box", "An OpenStreetMap relation"
SOURCE_WORDS = {
    "planetary-computer": "Planetary Computer: Sentinel-2, Sentinel-1 and elevation",
    "earth-search": "Earth Search: Sentinel-2 and elevation",
    SYNTHETIC: "Synthetic Earth: made up, needs no network",
    SERVER: "As this server is set up",
}
TOGETHER = {None: "What suits the network", "separate": "One sensor's scene", "joint": "Sentinel-2 with Sentinel-1"}
KEPT = {
    "save_per_timestamp_embedding": "Keep the embedding of every scene: large",
    "save_scenes": "Keep the pixels of every scene",
}
HIDDEN: Final = "page"
"""How long a field keeps what it holds while it is not shown."""


def choice_form(settings: Settings, before: Choice | None) -> Choice:
    """Show the form and return what is chosen.

    Args:
        settings: of the server.
        before: what the visitor has chosen already, on a page that is loaded anew.

    Raises:
        DataError: something is missing, or cannot be made.
    """
    set_defaults(settings, before)
    st.header("1. Choose")
    st.button("Fill in a small example that needs no network", on_click=fill_example)
    left, right = st.columns([3, 2], gap="large")
    with left:
        area = area_fields()
    with right:
        offered = list(range(this_year(), FIRST_YEAR - 1, -1))
        years = st.multiselect("Years", offered, key="years")
        named = imagery_fields(settings)
        named |= further_fields()
    return chosen(**chosen_area(**area), years=chosen_years(years, offered), **named)


def this_year() -> int:
    """Return the year that is not over yet."""
    return datetime.now(UTC).year


def set_defaults(settings: Settings, before: Choice | None) -> None:
    """Fill the fields in before they are shown for the first time: as the server is set up, or as was chosen."""
    selection, product, together = settings.selection, settings.product, settings.observations.together
    fresh = dict(zip(SIDES, FIRST_BOX, strict=True)) | {
        "area_kind": BOX,
        "relation": None,
        "years": [this_year() - 1],
        "source": offered_source(settings),
        "model": offered_model(settings),
        "max_cloud": selection.max_cloud,
        "max_per_quarter": selection.max_per_quarter,
        "s1_per_quarter": selection.s1_per_quarter,
        "together": None if together is None else str(together),
        "gap_fill": settings.observations.gap_fill,
        "fast": settings.inference.precision == "bf16",
        # An area's vectors are float32 unless a dtype is set, as `betaearth generate` has it.
        "small": "dtype" in product.model_fields_set and product.dtype == "int8",
    }
    if before is not None:
        fresh |= fields_of(before)
    for name, value in fresh.items():
        st.session_state.setdefault(name, value)


def offered_source(settings: Settings) -> str:
    """Name the server's source as the form does."""
    return settings.source if settings.source in SOURCES else SERVER


def offered_model(settings: Settings) -> str:
    """Name the server's network as the form does."""
    return settings.model if settings.model in VARIANTS else SERVER


def fields_of(choice: Choice) -> dict[str, Any]:
    """Return what the fields of the form hold where it gives a choice."""
    held = choice.model_dump(exclude={"bbox", "osm_relation", "years", "precision", "dtype"})
    held |= {"years": list(choice.years), "fast": choice.precision == "bf16", "small": choice.dtype == "int8"}
    if choice.bbox is None:
        return held | {"area_kind": RELATION, "relation": choice.osm_relation}
    return held | dict(zip(SIDES, choice.bbox, strict=True))


def fill_example() -> None:
    """Fill in what the synthetic Earth gives within minutes."""
    st.session_state.update(zip(SIDES, EXAMPLE_BOX, strict=True))
    st.session_state.update(area_kind=BOX, years=EXAMPLE_YEARS, source=SYNTHETIC, model="demo")


def take_drawn_box() -> None:
    """Write a box that was drawn into the fields of its sides."""
    if box := drawn_box():
        st.session_state.update(zip(SIDES, box, strict=True))


def area_fields() -> dict[str, Any]:
    """Show the fields of the area; returns the arguments of `chosen_area`."""
    by_relation = st.radio("Area", [BOX, RELATION], key="area_kind", horizontal=True) == RELATION
    relation = None
    box: list[float | None] = [st.session_state.get(side) for side in SIDES]
    if by_relation:
        relation = st.number_input(
            "Number of the relation",
            min_value=1,
            step=1,
            key="relation",
            persist_state=HIDDEN,
            help="The number in its address on openstreetmap.org. Its bounding box and a kilometre more is made. "
            "Nominatim is asked for it, once.",
        )
    else:
        tiles = st.toggle(
            "Street map",
            key="tiles",
            persist_state=HIDDEN,
            help="Loads pictures from tile.openstreetmap.org, which sees your address.",
        )
        known = [value for value in box if value is not None]
        box_map(known if len(known) == len(SIDES) else None, tiles=tiles, on_box=take_drawn_box)
        st.caption("Press “Draw a box” and drag, or hold Shift and drag; or type the numbers, in degrees.")
        for side, column in zip(SIDES, [*st.columns(2), *st.columns(2)], strict=True):
            most = 180.0 if side in {"west", "east"} else 90.0
            column.number_input(
                side.capitalize(),
                min_value=-most,
                max_value=most,
                step=0.01,
                format=f"%.{DECIMALS}f",
                key=side,
                persist_state=HIDDEN,
            )
        box = [st.session_state.get(side) for side in SIDES]
    return {"by_relation": by_relation, "box": box, "relation": relation}


def imagery_fields(settings: Settings) -> dict[str, Any]:
    """Show the fields of imagery and network."""
    sources = list(dict.fromkeys([offered_source(settings), *SOURCES]))
    models = list(dict.fromkeys([offered_model(settings), *VARIANTS]))
    source = st.selectbox("Imagery", sources, key="source", format_func=source_words)
    model = st.selectbox("Network", models, key="model", format_func=variant_words)
    # A select box hands on what a browser sends, whether it was offered or not.
    source, model = one_of(sources, source, "imagery"), one_of(models, model, "network")
    if source == SYNTHETIC and model != "demo":
        st.caption("On the synthetic Earth only the network “demo” means anything: it learned there.")
    if source != SYNTHETIC and model == "demo":
        st.caption("The network “demo” learned on the synthetic Earth: of real imagery it knows nothing.")
    return {"source": source, "model": model}


def source_words(name: str) -> str:
    """Describe a source in a line; a name that is none stays as it is, so that it is not taken for another."""
    return SOURCE_WORDS.get(name, name)


def variant_words(name: str) -> str:
    """Describe a network in a line; a name that is none stays as it is, so that it is not taken for another."""
    variant = VARIANTS.get(name)
    if variant is None:
        return SOURCE_WORDS[SERVER] if name == SERVER else name
    if variant.trained_on_synthetic:
        return f"{name}: small, for the synthetic Earth"
    score = f", published cosine {variant.scores[0].cosine:.3f}" if variant.scores else ""
    needs = "" if variant.any_subset else ", needs all its inputs"
    return f"{name}: {variant.parameters / 1e6:.1f} million parameters{score}{needs}"


def further_fields() -> dict[str, Any]:
    """Show the fields that most visitors leave as they are."""
    with st.expander("More options"):
        together = st.selectbox("Seen at once", list(TOGETHER), format_func=together_words, key="together")
        given: dict[str, Any] = {
            "max_cloud": st.number_input(
                "Cloud of a Sentinel-2 scene, percent at most", 0.0, 100.0, step=1.0, key="max_cloud"
            ),
            "max_per_quarter": st.number_input(
                "Sentinel-2 scenes a quarter, at most", 1, step=1, key="max_per_quarter"
            ),
            "s1_per_quarter": st.number_input("Sentinel-1 scenes a quarter, at most", 1, step=1, key="s1_per_quarter"),
            "together": one_of(list(TOGETHER), together, "seen at once"),
            "gap_fill": st.checkbox("Fill what cloud hides from Sentinel-1 and elevation", key="gap_fill"),
        }
        fast = st.checkbox("Compute in bfloat16 where the device has it: faster, not exact", key="fast")
        small = st.checkbox("Write int8, AlphaEarth's codes: a fifth of the size", key="small")
        given |= {"precision": "bf16" if fast else "float32", "dtype": "int8" if small else "float32"}
        for name, words in KEPT.items():
            given[name] = st.checkbox(words, key=name)
    return given


def together_words(name: str | None) -> str:
    """Describe what is seen at once; a name that is none stays as it is."""
    return TOGETHER.get(name, str(name))
