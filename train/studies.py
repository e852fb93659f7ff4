"""What the studies have in common: their flags, their folder, their table and their command line."""

import dataclasses
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import tyro
from reasoning_arena.envs.files import replacing
from reasoning_arena.train.command import exit_status
from reasoning_arena.train.config import Config
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.records import Json, write_json

NEVER_ASKED = "episodes", "minutes", "eval_interval", "seed", "run_dir", "resume"  # every study decides these itself
Row = Sequence[object]
T = TypeVar("T", bound="Study")


@dataclass(frozen=True)
class Study:
    """Flags that every study has."""

    goes_on: ClassVar[bool] = False  # with what an earlier one left in its folder
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
    return mean, _quantile(n - 1) * float((variance / n) ** 0.5)


def _quantile(freedom: int) -> float:
    """The 97.5% quantile of Student's t, within 1%: known for few degrees of freedom, then Cornish and Fisher's."""
    few = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}
    z = 1.95996
    return few.get(freedom, z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2))


def share_and_error(shares: Sequence[float]) -> str:
    """Their mean, and its 95% confidence interval over the seeds where there are several, as percentages."""
    mean, error = mean_and_error(shares)
    return f"{mean:.1%} ± {error:.1%}" if len(shares) > 1 else f"{mean:.1%}"


def write(study: Study, results: Json, table: str) -> None:
    """Put a study's results so far into its folder, whole or not at all, and how each learner was trained."""
    if study.out is None:
        return
    write_json(study.out / "results.json", results | {"seeds": study.seeds, "training": study.training.to_json()})
    with replacing(study.out / "results.md") as part:
        part.write_text(table + "\n")


def command(
    kind: type[T], run: Callable[[T], tuple[Json, str]], prog: str, arguments: Sequence[str] | None = None
) -> int:
    """A study's command: its table is printed, and what it found is written."""

    def study_and_print() -> None:
        study = tyro.cli(kind, prog=prog, args=arguments)
        if not study.seeds or len(set(study.seeds)) < len(study.seeds):
            raise TrainingError("--seeds must name at least one, and none twice")
        if study.out is not None:
            if (study.out / "results.json").exists() and not study.goes_on:
                raise TrainingError(f"--out {study.out} holds the results of something else; name another folder")
            study.out.mkdir(parents=True, exist_ok=True)  # before anything is computed that could not be written
        results, table = run(study)
        print(table)
        write(study, results, table)

    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGTERM, _stop)
    return exit_status(study_and_print)


def _stop(number: int, frame: object) -> None:
    """What a scheduler sends does what Ctrl-C does, which reaches the runs in other processes by itself."""
    for process in multiprocessing.active_children():
        process.terminate()
    raise KeyboardInterrupt
