"""What the studies have in common: their flags, their folder, their table and their command line."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import tyro
from reasoning_arena.envs.files import replacing
from reasoning_arena.train.command import exit_status
from reasoning_arena.train.config import Config
from reasoning_arena.train.errors import TrainingError

NEVER_ASKED = "episodes", "minutes", "eval_interval", "seed", "run_dir", "resume"  # every study decides these itself
Json = dict[str, Any]
Row = Sequence[object]
T = TypeVar("T", bound="Study")


@dataclass(frozen=True)
class Study:
    """Flags that every study has."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Everything is done once with each of them."""
    out: Path | None = None
    """A folder for results.json and results.md; nothing is written without it."""
    training: Config = field(default_factory=Config)
    """How each learner is trained; what the study itself decides is refused."""

    def config(self, **changes: Any) -> Config:
        """A training run's configuration, with what the study decides.

        Raises:
            TrainingError: the flags set something that is decided.
        """
        plain = Config()
        for name in {*changes, *NEVER_ASKED}:
            if getattr(self.training, name) != getattr(plain, name):
                raise TrainingError(f"--training.{name.replace('_', '-')} has no place here: the study decides it")
        return dataclasses.replace(self.training, **changes)


def markdown(head: Row, rows: Sequence[Row]) -> str:
    """A table in Markdown; shares as percentages."""
    lines = ["| " + " | ".join(map(str, head)) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return f"{value:.1%}" if isinstance(value, float) else str(value)


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half the width of its 95% confidence interval by Student's t; 0 for a single value."""
    n = len(values)
    mean = sum(values) / n
    if n == 1:
        return mean, 0.0
    variance = sum((value - mean) ** 2 for value in values) / (n - 1)
    quantile = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
    return mean, quantile.get(n, 2.0) * float((variance / n) ** 0.5)


def write(study: Study, results: Json, table: str) -> None:
    """Put a study's results into its folder, whole or not at all."""
    if study.out is None:
        return
    study.out.mkdir(parents=True, exist_ok=True)
    for name, text in (("results.json", json.dumps(results, indent=1) + "\n"), ("results.md", table + "\n")):
        with replacing(study.out / name) as part:
            part.write_text(text)


def command(
    kind: type[T], run: Callable[[T], tuple[Json, str]], prog: str, arguments: Sequence[str] | None = None
) -> int:
    """A study's command: its table is printed, and what it found is written."""

    def study_and_print() -> None:
        study = tyro.cli(kind, prog=prog, args=arguments)
        results, table = run(study)
        write(study, results, table)
        print(table)

    return exit_status(study_and_print)
