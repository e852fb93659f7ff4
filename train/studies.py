"""What the studies have in common: their flags, their folder, their table and their command line."""

import dataclasses
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import tyro
from reasoning_arena.agents.errors import AgentError
from reasoning_arena.envs import ArenaError
from reasoning_arena.envs.files import replacing
from reasoning_arena.train.config import Config
from reasoning_arena.train.errors import TrainingError

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
    """How each learner is trained; what the study itself decides is overridden."""

    def config(self, **changes: Any) -> Config:
        """A training run's configuration.

        Raises:
            TrainingError: the flags set something that the study itself decides.
        """
        for name in ("episodes", "minutes", "eval_interval", "run_dir", "resume"):
            if getattr(self.training, name) is not None:
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
    """A study's command: 0 when it is done, 2 when it cannot be done as asked, 130 when it was interrupted."""
    try:
        study = tyro.cli(kind, prog=prog, args=arguments)
        results, table = run(study)
        write(study, results, table)
    except (ArenaError, AgentError, TrainingError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(table)
    return 0
