"""The charts of README and docs, drawn from results; runs in an environment that has matplotlib."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

from benchmarks import scale

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/charts"

OURS, NAIVE, OTHERS = "#0b6e4f", "#555555", "#c8553d"
STYLE = {
    "svg.hashsalt": "casefile",  # The same results give the same bytes.
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
}


def main() -> None:
    """Draw them all."""
    stores: dict[str, Any] = json.loads((ROOT / "benchmarks/results.json").read_text())["stores"]
    FOLDER.mkdir(exist_ok=True)
    with mpl.rc_context(STYLE):
        write_units(stores)
        lost(stores)
        starts(stores)
        hot_session()
        follower()


def hot_session() -> None:
    """More writers on one session: as many records, more attempts."""
    races = scale.races()
    figure, axes = plt.subplots(figsize=(7.2, 3))
    axes.plot(list(races), [race.per_second for race in races.values()], color=OURS, marker="o")
    axes.set(xscale="log", xlabel="writers", ylabel="records a second", ylim=(0, 200))
    axes.set_xticks(list(races), [str(writers) for writers in races])
    axes.minorticks_off()
    other = axes.twinx()
    other.plot(list(races), [race.calls_each for race in races.values()], color=OTHERS, marker="o")
    other.set(ylabel="calls a record", ylim=(0, 6))
    other.yaxis.label.set_color(OTHERS)
    axes.yaxis.label.set_color(OURS)
    _save(figure, "scale-race")


def follower() -> None:
    """How busy the stream's follower is, with one update at a time and with several."""
    figure, axes = plt.subplots(figsize=(7.2, 3))
    for at_once, color in ((1, OTHERS), (scale.AT_ONCE, OURS)):
        found = scale.followings(10, at_once)
        axes.plot(list(found), [each.busy for each in found.values()], color=color, marker="o")
        last = list(found)[-1]
        axes.annotate(f"  {at_once} at once", (last, found[last].busy), color=color, va="center")
    axes.axhline(1, color=NAIVE, linewidth=1, linestyle="--")
    axes.annotate("falls behind", (25, 1.1), color=NAIVE, fontsize=9)
    axes.set(xscale="log", yscale="log", xlabel="appends a second on a shard", ylabel="busy")
    axes.set_xlim(20, 2_000)
    _save(figure, "scale-follower")


def write_units(stores: dict[str, Any]) -> None:
    """Write units of the n-th message, on logarithmic axes."""
    figure, axes = plt.subplots(figsize=(7.2, 4.2))
    ends: list[tuple[float, int, str, str]] = []
    for name, store in stores.items():
        points = store.get("append", {})
        if store["lives_in"] != "DynamoDB" or not points:
            continue
        is_full = "ended" in (store["ended"] or {})
        in_s3 = store.get("to_s3")
        at = {seen.get("at") or int(point): seen for point, seen in points.items()}
        at |= {in_s3["at"]: in_s3} if in_s3 else {}
        at = {number: seen["write_units"] for number, seen in at.items() if not seen["puts"]}
        numbers = sorted(at)
        axes.plot(
            numbers,
            [at[number] for number in numbers],
            color=_color(name),
            linewidth=2.5 if name == "casefile" else 1.2,
            marker="o",
            markersize=3,
            linestyle="--" if name in {"casefile_turns", "deflated"} else "-",
            zorder={"casefile": 3, "deflated": 4}.get(name, 2),  # One lies upon the other.
        )
        label = ("✕ " if is_full else "▸ " if in_s3 else "") + store["title"]
        ends.append((at[numbers[-1]], numbers[-1], name, label))
    height = 0.0
    most = max(number for _, number, _, _ in ends)
    for units, number, name, label in sorted(ends):  # Labels stand above each other.
        height = max(units, height * 1.3)
        is_beside = height == units or label[0] in "✕▸"
        place = number if is_beside else most  # Beside its line, or beyond all others.
        axes.annotate(f"   {label}", (place, height), color=_color(name), fontsize=8, va="center")
    axes.set(xscale="log", yscale="log", xlim=(9, 400_000), xlabel="messages in the session")
    axes.set_ylim(0.8, height * 1.3)
    axes.set_xticks([10, 100, 1000, 5000], ["10", "100", "1,000", "5,000"])
    axes.set_yticks([1, 10, 100], ["1", "10", "100"])
    axes.minorticks_off()
    marks = "✕: the item is full" + "; ▸: then in S3" * any(label[0] == "▸" for *_, label in ends)
    axes.set_title(f"Write units to append one more message ({marks})", loc="left")
    _save(figure, "write-units")


def lost(stores: dict[str, Any]) -> None:
    """What eight writers were told was stored, and isn't in the session then."""

    def bar(name: str, race: dict[str, int]) -> tuple[float, str, str]:
        forked = race.get("branched", 0)
        share = (race["lost"] + forked) / race["sent"]
        return share, f"{share:.0%}" + " on other branches" * bool(forked), name

    _bars(
        "lost",
        "Eight writers, one session: acknowledged messages that aren't in it",
        {
            store["title"]: bar(name, store["race"]["8"])
            for name, store in stores.items()
            if "8" in store["race"] and name not in {"deflated"}
        },
        (0, 1.3),
    )


def starts(stores: dict[str, Any]) -> None:
    """Cold starts of agents beside a bare boto3 client; Casefile's function is in none."""
    _bars(
        "cold-start",
        "What an agent's process loads: times a bare boto3 client",
        {
            store["title"]: (store["start"]["ratio"], f"{store['start']['ratio']:.1f} ×", name)
            for name, store in stores.items()
            if store["start"] and name not in {"casefile", "deflated", "raw"}
        },
        None,
    )


def _bars(
    file: str,
    title: str,
    values: dict[str, tuple[float, str, str]],
    limits: tuple[float, float] | None,
) -> None:
    figure, axes = plt.subplots(figsize=(7.2, 0.8 + 0.32 * len(values)))
    for place, (label, (value, told, name)) in enumerate(reversed(values.items())):
        axes.barh(place, value, color=_color(name), height=0.6)
        axes.annotate(f" {told}", (value, place), va="center", fontsize=9, color=_color(name))
        axes.annotate(f"{label}  ", (0, place), va="center", ha="right", fontsize=9)
    axes.set_yticks([])
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    if limits:
        axes.set_xlim(*limits)
    axes.set_title(title, loc="left", x=-0.45)
    figure.subplots_adjust(left=0.36)
    _save(figure, file)


def _color(name: str) -> str:
    if name.startswith("casefile"):
        return OURS
    return NAIVE if name in {"raw", "deflated"} else OTHERS


def _save(figure: Any, name: str) -> None:
    figure.savefig(FOLDER / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
