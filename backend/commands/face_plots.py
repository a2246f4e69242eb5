"""Plots of a calibration: score histograms and detection error trade-off (Martin et al. 1997)."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from biometrics.matching.calibration import Candidate

_STEPS = 400


def draw_plots(candidates: Sequence[Candidate], chosen: Candidate, folder: Path) -> None:
    """Write `scores.png` for the chosen method and `det.png` for all candidates. Needs no display."""
    mpl.use("agg")
    _plot_histogram(chosen).savefig(folder / "scores.png", dpi=110)
    _plot_trade_off(candidates).savefig(folder / "det.png", dpi=110)


def _plot_histogram(chosen: Candidate) -> Figure:
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    bins = np.histogram_bin_edges(chosen.scores.value, bins=80).tolist()
    for scores, label in (
        (chosen.scores.impostor, "different people"),
        (chosen.scores.genuine, "one person"),
    ):
        axes.hist(scores, bins=bins, density=True, alpha=0.6, label=f"{label} ({len(scores)})")
    for rate in chosen.rates:
        axes.axvline(
            rate.threshold, color="black", linestyle=":", label=f"FMR {rate.fmr:g}: {rate.threshold:.3f}"
        )
    axes.set(title=f"Scores, {chosen.scoring}", xlabel="score", ylabel="density")
    axes.legend()
    return figure


def _plot_trade_off(candidates: Sequence[Candidate]) -> Figure:
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    for each in candidates:
        impostor, genuine = np.sort(each.scores.impostor), np.sort(each.scores.genuine)
        at = np.quantile(each.scores.value, np.linspace(0, 1, _STEPS))
        false_match = 1 - np.searchsorted(impostor, at) / len(impostor)
        false_non_match = np.searchsorted(genuine, at) / len(genuine)
        axes.plot(false_match, false_non_match, label=str(each.scoring))
    axes.set(
        title="Detection error trade-off",
        xlabel="false match rate",
        ylabel="false non-match rate",
        xscale="log",
        yscale="log",
    )
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    return figure
