"""What saved runs answer right of held-out problems: more of them than while learning, as many of each task, or others.

python -m train.evaluate runs/mine
python -m train.evaluate runs/*-supervised-* --difficulty 2 --max-new-tokens 160
python -m train.evaluate runs/mine/checkpoints/episode-000240 --answers answers.jsonl
"""

import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, NamedTuple

import tyro
from reasoning_arena.agents.models import DtypeName
from reasoning_arena.envs import ArenaError
from reasoning_arena.envs.files import replacing
from reasoning_arena.train.checkpoint import STATE, fitting, latest_checkpoint, load_state
from reasoning_arena.train.command import exit_status
from reasoning_arena.train.config import MOST_AT_ONCE, Config, Resolved
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.held_out import Evaluation, Evaluator
from reasoning_arena.train.records import read_json
from reasoning_arena.train.run import new_policy, own_model
from tqdm import tqdm
from transformers.utils.logging import disable_progress_bar


@dataclass(frozen=True)
class Asked:
    """Ask saved runs held-out problems, as many of each task, the same ones each time.

    Shares of right answers are printed with half the width of their 95% intervals, which leave out that another seed
    would have learnt something else.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, whose last checkpoints answer, or checkpoints in them."""
    problems: int = 200
    """How many of each task, all different."""
    split: Literal["validation", "test"] = "test"
    """Which; choose settings on validation."""
    tasks: tuple[str, ...] | None = None
    """What is asked (by default what the run has learnt)."""
    difficulty: int | None = None
    """1 to 5 (by default that of the run)."""
    held_out_phrasings: bool = False
    """Ask in words that no question of training uses."""
    max_new_tokens: int | None = None
    """The longest answer, in tokens (by default that of the run; an answer to a hard problem may need more)."""
    answers: Path | None = None
    """A file for all questions and answers, as JSON Lines; of each run as soon as it has answered."""
    device: str = "auto"
    """As for train.online."""
    dtype: DtypeName | None = None
    """Likewise (by default that of the run)."""


class Saved(NamedTuple):
    """A checkpoint that is to be asked: where it is, how it was trained, what it holds, and its questions by task."""

    folder: Path
    config: Resolved
    state: dict[str, Any]
    questions: dict[str, Evaluator]


def saved(folder: Path, asked: Asked) -> Saved:
    """A run's last checkpoint, or that one.

    Raises:
        ArenaError, TrainingError: there is none, it cannot be read, or there are no such questions.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder}: {'this is a file' if folder.exists() else 'there is no such folder'}")
    checkpoint = folder if (folder / STATE).exists() else latest_checkpoint(folder)
    trained = dataclasses.replace(_trained(checkpoint), device=asked.device)
    changes = {name: getattr(asked, name) for name in ("tasks", "difficulty", "dtype", "max_new_tokens")}
    given = {name: value for name, value in changes.items() if value is not None}
    wanted = dataclasses.replace(
        trained, eval_split=asked.split, eval_episodes=asked.problems, curriculum=False, **given
    )
    wanted.check()
    questions = {
        task: Evaluator(dataclasses.replace(wanted, tasks=(task,)), held_out_phrasings=asked.held_out_phrasings)
        for task in wanted.tasks
    }
    # What steers it has the tasks that it has learnt.
    config = dataclasses.replace(wanted, tasks=trained.tasks)
    return Saved(checkpoint, config.resolved(), load_state(checkpoint), questions)


def _trained(checkpoint: Path) -> Config:
    """How a checkpoint was trained, which its run says."""
    path = checkpoint.resolve().parent.parent / "config.json"
    if not path.exists():
        raise TrainingError(f"{checkpoint} is in no run folder: there is no {path}, which says how it was trained")
    try:
        return Config.from_json(read_json(path))
    except (ArenaError, TrainingError) as error:
        raise TrainingError(f"{path}: {error}") from error


def evaluate(asked: Asked) -> Iterator[tuple[Path, dict[str, Evaluation]]]:
    """What each checkpoint answers right of each task, one checkpoint after another.

    Raises:
        ArenaError, AgentError, TrainingError: something that was asked for cannot be had; all messages say what.
    """
    if not asked.runs:
        raise TrainingError("give at least one run folder or checkpoint")
    if not 1 <= asked.problems <= MOST_AT_ONCE:
        raise TrainingError(f"--problems {asked.problems} is not allowed; give 1 to {MOST_AT_ONCE}")
    every = [saved(folder, asked) for folder in asked.runs]  # what the last would fail for is known before the first
    for one in every:
        policy = new_policy(one.config, own_model(one.config))
        with fitting(one.folder):
            policy.soft_prompt.load_state_dict(one.state["steering"])
        with tqdm(one.questions.items(), unit="task", leave=False, disable=None) as bar:
            found = {task: evaluator(policy, bar.set_description) for task, evaluator in bar}
        del policy  # before another model is loaded
        yield one.folder, found


def row(found: dict[str, Evaluation]) -> list[str]:
    """The share of right answers, over all tasks and of each, with half the width of its 95% interval.

    Only the choice of problems is in that interval, as wide as Agresti's and Coull's: with two more right and two more
    wrong answers it is not empty where all are alike.
    """
    shares, variances = [], []
    for one in found.values():
        n = len(one.exchanges)
        likely = (sum(exchange.correct for exchange in one.exchanges) + 2) / (n + 4)
        shares.append(one.accuracy)
        variances.append(likely * (1 - likely) / (n + 4))
    both = [(fmean(shares), sum(variances) / len(variances) ** 2), *zip(shares, variances, strict=True)]
    return [f"{share:.1%} ± {1.96 * variance**0.5:.1%}" for share, variance in both]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 when all have answered, 2 when it cannot be done as asked, 130 when it was interrupted."""

    def run() -> None:
        asked = tyro.cli(Asked, prog="python -m train.evaluate", args=arguments)
        if asked.answers is not None and (asked.answers.is_dir() or not asked.answers.parent.is_dir()):
            raise TrainingError(f"--answers {asked.answers}: give a file in a folder that is there")
        disable_progress_bar()  # transformers' own, of loading
        heads: list[str] = []
        lines: list[str] = []
        for folder, found in evaluate(asked):
            if [*found] != heads:
                heads = [*found]
                print(f"| checkpoint | all | {' | '.join(heads)} |\n|{'---|' * (2 + len(heads))}")
            print(f"| {folder} | {' | '.join(row(found))} |", flush=True)
            for one in found.values():
                lines += [json.dumps({"checkpoint": str(folder), **each._asdict()}) for each in one.exchanges]
            if asked.answers is not None:
                with replacing(asked.answers) as part:
                    part.write_text("\n".join(lines) + "\n", encoding="utf-8")

    return exit_status(run)


if __name__ == "__main__":
    sys.exit(main())
