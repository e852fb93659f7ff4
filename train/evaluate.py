"""What saved runs answer right of held-out problems: more of them than while learning, or other ones.

python -m train.evaluate runs/mine
python -m train.evaluate runs/*-supervised-* --difficulty 2
python -m train.evaluate runs/mine/checkpoints/episode-000240 --answers answers.jsonl
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from reasoning_arena.agents.models import DtypeName
from reasoning_arena.envs.files import replacing
from reasoning_arena.train.checkpoint import STATE, fitting, latest_checkpoint, load_state
from reasoning_arena.train.command import exit_status
from reasoning_arena.train.config import MOST_AT_ONCE, Config, Resolved
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.held_out import Evaluation, Evaluator
from reasoning_arena.train.records import read_json
from reasoning_arena.train.run import new_policy, own_model
from reasoning_arena.train.studies import markdown
from tqdm import tqdm
from transformers.utils.logging import disable_progress_bar


@dataclass(frozen=True)
class Asked:
    """Ask saved runs held-out problems, the same ones each time."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, whose last checkpoints answer, or checkpoint folders."""
    problems: int = 1000
    """How many."""
    split: Literal["validation", "test"] = "test"
    """Which; choose settings on validation."""
    tasks: tuple[str, ...] | None = None
    """What is asked (by default what the run has learnt)."""
    difficulty: int | None = None
    """1 to 5 (by default that of the run)."""
    held_out_phrasings: bool = False
    """Ask in words that no question of training uses."""
    answers: Path | None = None
    """A file for all questions and answers, as JSON Lines."""
    device: str = "auto"
    """As for train.online."""
    dtype: DtypeName | None = None
    """Likewise (by default that of the run)."""


def evaluate(asked: Asked) -> dict[Path, Evaluation]:
    """What each checkpoint answers right.

    Raises:
        ArenaError, AgentError, TrainingError: something that was asked for cannot be had; all messages say what.
    """
    if not 1 <= asked.problems <= MOST_AT_ONCE:
        raise TrainingError(f"--problems {asked.problems} is not allowed; give 1 to {MOST_AT_ONCE}")
    # What the last one would fail for is known before the first is asked.
    configs = {checkpoint: _config(checkpoint, asked) for checkpoint in map(_checkpoint, asked.runs)}
    found = {}
    with tqdm(configs.items(), unit="run", disable=None) as bar:
        for checkpoint, (trained, wanted) in bar:
            policy, state = new_policy(trained, own_model(trained)), load_state(checkpoint)
            with fitting(checkpoint):
                policy.soft_prompt.load_state_dict(state["steering"])
            evaluator = Evaluator(wanted, held_out_phrasings=asked.held_out_phrasings)
            found[checkpoint] = evaluator(policy, bar.set_description)
    return found


def table(found: dict[Path, Evaluation]) -> str:
    """The share of right answers of each checkpoint, with the 95% interval that the number of problems leaves."""
    tasks = sorted({task for one in found.values() for task in one.per_task})
    rows = []
    for checkpoint, one in found.items():
        error = 1.96 * (one.accuracy * (1 - one.accuracy) / len(one.exchanges)) ** 0.5
        shares = [one.per_task.get(task, "") for task in tasks]
        rows.append([checkpoint, f"{one.accuracy:.1%} ± {error:.1%}", *shares])
    return markdown(["checkpoint", "all", *tasks], rows)


def _checkpoint(folder: Path) -> Path:
    """The checkpoint that a folder is, or the last one in it."""
    if not folder.is_dir():
        raise TrainingError(f"{folder}: {'this is a file' if folder.exists() else 'there is no such folder'}")
    return folder if (folder / STATE).exists() else latest_checkpoint(folder)


def _config(checkpoint: Path, asked: Asked) -> tuple[Resolved, Resolved]:
    """How a checkpoint was trained, and what it is asked."""
    trained = Config.from_json(read_json(checkpoint.absolute().parents[1] / "config.json"))
    trained = dataclasses.replace(trained, device=asked.device, dtype=asked.dtype or trained.dtype)
    wanted = dataclasses.replace(
        trained,
        curriculum=False,
        tasks=trained.tasks if asked.tasks is None else asked.tasks,
        difficulty=trained.difficulty if asked.difficulty is None else asked.difficulty,
        eval_split=asked.split,
        eval_episodes=asked.problems,
    )
    return trained.resolved(), wanted.resolved()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 when all have answered, 2 when it cannot be done as asked, 130 when it was interrupted."""

    def run() -> None:
        asked = tyro.cli(Asked, prog="python -m train.evaluate", args=arguments)
        if asked.answers is not None and not asked.answers.parent.is_dir():
            raise TrainingError(f"--answers {asked.answers}: there is no folder {asked.answers.parent}")
        disable_progress_bar()  # transformers' own, of loading
        found = evaluate(asked)
        print(table(found))
        if asked.answers is not None:
            with replacing(asked.answers) as part, part.open("w", encoding="utf-8") as file:
                for checkpoint, one in found.items():
                    for exchange in one.exchanges:
                        file.write(json.dumps({"checkpoint": str(checkpoint), **exchange._asdict()}) + "\n")

    return exit_status(run)


if __name__ == "__main__":
    sys.exit(main())
