"""What the bars, lines and matrices of figures show is what the results hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from betaearth.errors import DataError
from betaearth.evaluation.embedder import DateMode
from betaearth.evaluation.figures.ablation import draw_ablation, reaches
from betaearth.evaluation.figures.confusion_matrix import draw_confusion
from betaearth.evaluation.figures.paper import footer_of
from betaearth.evaluation.figures.saturation import draw_saturation, panels_by_stratum, panels_of
from tests.evaluation.figures.made import FOOTER, confusion, model, results, score, subsets, temporal


def words(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def said(figure: Figure) -> str:
    return " ".join(text.get_text().replace("\n", " ") for text in figure.texts)


def widths(figure: Figure) -> list[float]:
    return [patch.get_width() for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]


def test_every_subset_and_treatment_of_the_date_has_its_bar() -> None:
    figure = draw_ablation(subsets(), FOOTER, model="mine")
    assert len(widths(figure)) == 45
    assert sorted(widths(figure)) == pytest.approx(sorted(entry.score.mean for entry in subsets()))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "L2A + L1C + S1 + DEM"
    assert sorted(labels[-4:]) == ["DEM", "L1C", "L2A", "S1"]
    assert set(words(figure)) == {"constant mean vector", "day of the year", "day 0", "no date"}


def test_the_longest_bars_are_those_of_the_subset_beside_them() -> None:
    high = [entry for entry in subsets() if entry.inputs == ("s2_l1c", "s1")]
    raised = tuple(
        entry.model_copy(update={"score": score(0.95)}) if entry in high else entry.model_copy() for entry in subsets()
    )
    axes = draw_ablation(raised, FOOTER, model="mine").axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    longest = [round(bar.get_y() + bar.get_height() / 2) for bar in bars if bar.get_width() == 0.95]
    assert {labels[place] for place in longest} == {"L1C + S1"}


def test_a_model_without_a_date_has_one_bar_a_subset() -> None:
    figure = draw_ablation(subsets((DateMode.NONE,)), FOOTER, model="mine")
    assert len(widths(figure)) == 15
    assert "day 0" not in words(figure)
    with pytest.raises(DataError, match="mine has no subset"):
        draw_ablation((), FOOTER, model="mine")


def test_reaches_are_never_negative_and_nothing_without_an_interval() -> None:
    whole = score(0.5, reach=0.1)
    bare = whole.model_copy(update={"interval": None})
    beside = whole.model_copy(update={"mean": 0.3})
    np.testing.assert_allclose(reaches([whole, bare, beside]), ([0.1, 0, 0], [0.2, 0, 0.4]), atol=1e-12)


def test_a_line_an_arm_in_a_panel_a_choice_of_pixels() -> None:
    figure = draw_saturation(panels_of(temporal()), FOOTER, model="mine", fill=("s1", "dem"))
    common, every = figure.axes
    assert [len(axes.containers) for axes in (common, every)] == [3, 2]
    drawn = [np.asarray(line.get_ydata(), np.float64) for line in common.lines if len(line.get_xdata()) == 3]  # type: ignore[arg-type]
    assert any(np.allclose(heights, [0.72, 0.74, 0.78]) for heights in drawn)
    assert [label.get_text() for label in common.get_xticklabels()] == ["1", "2", "4"]
    assert words(figure) == ["all pixels", "clear pixels only", "clouds filled from S1 + DEM"]
    assert (common.get_xlabel(), "cosine of mine" in common.get_ylabel()) == ("dates averaged", True)
    with pytest.raises(DataError, match="no means over dates"):
        draw_saturation((), FOOTER, model="mine", fill=())


def test_the_legend_names_what_fills_gaps() -> None:
    figure = draw_saturation(panels_of(temporal()), FOOTER, model="mine", fill=("s1",))
    assert words(figure)[-1] == "clouds filled from S1"
    data = results().data.model_copy(update={"sensors": ("s2_l2a", "s2_l1c", "dem")})
    assert model().fill(data) == ("dem",)


def test_a_panel_a_word_of_a_stratum() -> None:
    panels = panels_by_stratum(temporal(), "biome")
    assert [panel.title for panel in panels] == ["biome: dry (24 tiles)", "biome: humid (24 tiles)"]
    many = [replace(panels[0], title=str(number)) for number in range(6)]
    figure = draw_saturation(many, FOOTER, model="mine", fill=("s1",))
    assert [axes.get_visible() for axes in figure.axes] == [True] * 6 + [False] * 2


def test_shares_of_a_confusion_are_of_the_true_class() -> None:
    figure = draw_confusion(confusion(), FOOTER, title="mine")
    axes = figure.axes[0]
    shown = axes.images[0].get_array()
    assert shown is not None
    np.testing.assert_allclose(np.asarray(shown, np.float64), [[0.0, 1.0, 0.0], [0.0, 2 / 3, 1 / 3], [0.0, 0.0, 1.0]])
    assert {text.get_text() for text in axes.texts} == {"1.00\n1", "0.67\n2", "0.33\n1", "1.00\n2"}
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "crops\n(n = 1)",
        "trees\n(n = 3)",
        "water\n(n = 2)",
    ]
    assert "accuracy 0.667" in axes.get_title()


def test_a_footer_says_which_data_and_how_many() -> None:
    figure = draw_ablation(subsets(), FOOTER, model="mine")
    assert "fields of nowhere (abcdef012345), SYNTHETIC: says nothing about the real Earth" in said(figure)
    assert "n = 24 tiles" in said(figure)
    real = footer_of(results(synthetic=False).data, "3 cells")
    assert real.text == f"Data: fields of nowhere ({'d' * 12}), real. n = 3 cells, split test."
    assert "not known" in replace(real, synthetic=None).text


def test_what_is_drawn_stays_above_the_footer() -> None:
    figure = draw_saturation(panels_of(temporal()), FOOTER, model="mine", fill=("s1",))
    figure.draw_without_rendering()
    footer = figure.texts[0].get_window_extent()
    lowest = min(box.y0 for axes in figure.axes if (box := axes.get_tightbbox()) is not None)
    assert lowest >= footer.y1
