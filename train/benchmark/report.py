"""The figures of a benchmark, as JSON and as a table with ratios."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from reasoning_arena.train.benchmark.arithmetic import TrainingStep
from reasoning_arena.train.benchmark.contest import Measurement
from reasoning_arena.train.benchmark.contestants import CONTESTANTS
from reasoning_arena.train.benchmark.settings import ContestantName, ResolvedSettings

MEGABYTE = 1e6


@dataclass
class Result:
    """What is known of one contestant.

    Attributes:
        measurements: one a repeat.
        problem: why there is none.
    """

    measurements: list[Measurement] = field(default_factory=list)
    problem: str | None = None

    @property
    def rate(self) -> float | None:
        """The median over the repeats."""
        return median(one.rate for one in self.measurements) if self.measurements else None


Results = dict[ContestantName, Result]


def ratios(results: Results) -> dict[str, dict[str, float]]:
    """How many times a peer's rate each of ours is, by ours and by peer; only rates that count the same."""
    found: dict[str, dict[str, float]] = {}
    for mine, own in results.items():
        if CONTESTANTS[mine].ours and own.rate:
            found[mine] = {
                name: own.rate / peer.rate
                for name, peer in results.items()
                if peer.rate and not CONTESTANTS[name].ours and CONTESTANTS[name].unit == CONTESTANTS[mine].unit
            }
    return found


def to_json(
    settings: ResolvedSettings, machine: dict[str, Any], results: Results, step: TrainingStep | None
) -> dict[str, Any]:
    """All figures in JSON's types."""
    contestants = {
        name: {
            "unit": CONTESTANTS[name].unit,
            "rate": one.rate,
            "peak_memory": max((each.peak_memory for each in one.measurements), default=None),
            "problem": one.problem,
            "measurements": [asdict(each) for each in one.measurements],
        }
        for name, one in results.items()
    }
    return {
        "settings": settings.to_json(),
        "machine": machine,
        "contestants": contestants,
        "ratios": ratios(results),
        "training_step": None if step is None else {**asdict(step), "floor_seconds": step.floor_seconds},
    }


def table(settings: ResolvedSettings, machine: dict[str, Any], results: Results, step: TrainingStep | None) -> str:
    """The same for people to read."""
    name, versions = machine["device"], ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [f"{settings.model} on {name}, {machine['threads']} threads; {versions}", ""]
    to = f"to {settings.accuracy:.0%}"
    lines.append(f"{'':<20}{'dtype':>9}{'rate':>10}  {'':<14}{'memory':>9}{to:>22}")
    for who, one in results.items():
        lines.append(f"{who:<20}" + (_row(who, one) if one.measurements else f"  {one.problem}"))
    found = ratios(results)
    peers = [who for who in results if any(who in row for row in found.values())]
    if peers:
        lines += ["", f"{'times faster than':<20}" + "".join(f"{who:>17}" for who in found)]
        for who in peers:
            cells = (f"{row[who]:.1f} ×" if who in row else "–" for row in found.values())
            lines.append(f"{who:<20}" + "".join(f"{cell:>17}" for cell in cells))
    if step is not None:
        lines += [
            "",
            f"training step of {settings.batch_size}: {step.seconds:.3f} s, {step.product_flops / 1e9:.1f} GFLOP of "
            f"matrix products, which alone run at {step.product_rate / 1e9:.0f} GFLOP/s: the step reaches "
            f"{step.share:.0%} of that rate ({step.counted_share:.0%} counting only what it needs: no pads, no "
            "attention scores, and once what all rows begin with)",
            "if nothing took time but these products, and those for the answers after the step: "
            f"{settings.batch_size / step.floor_seconds:.1f} episodes/s",
        ]
    return "\n".join(lines)


def _row(who: ContestantName, one: Result) -> str:
    first: Sequence[Measurement] = one.measurements
    memory = max(each.peak_memory for each in first) / MEGABYTE
    climb = next((each.climb for each in first if each.climb), None)
    reached = ""
    if climb is not None:
        reached = f"never (best {climb.best:.0%})" if climb.seconds is None else f"{climb.seconds:.0f} s"
    return f"{first[0].dtype:>9}{one.rate:>10.2f}  {CONTESTANTS[who].unit:<14}{memory:>6.0f} MB{reached:>22}"
