"""A split as a file: JSON Lines, or a data set of Hugging Face's package datasets.

python -m reasoning_arena.envs.export --split test --problems 1000 --out test.jsonl
python -m reasoning_arena.envs.export --tasks math grid --difficulty 1 3 --problems 5000 --out train_set

A name that ends in .jsonl makes a file of JSON Lines, any other one a folder for ``datasets.load_from_disk``.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reasoning_arena.envs.command import command, parser_of
from reasoning_arena.envs.errors import ArenaError
from reasoning_arena.envs.files import replacing
from reasoning_arena.envs.problem import Problem
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.splits import SPLITS, ProblemSource
from reasoning_arena.envs.task import DIFFICULTIES, ORIGINAL_FIVE

_REPEATS = 10_000  # so many problems in a row that were had before: there seem to be no others


def distinct_problems(source: ProblemSource, n: int, seed: int = 0) -> Iterator[Problem]:
    """``n`` problems of which no two have the same text.

    Raises:
        ArenaError: there are not so many.
    """
    rng, texts, repeats = Rng(f"export {seed}"), set[str](), 0
    while len(texts) < n:
        problem = source.draw(rng)
        if problem.posed.question in texts:
            repeats += 1
            if repeats == _REPEATS:
                raise ArenaError(f"{n} different problems are more than there are; {len(texts)} were found")
            continue
        repeats = 0
        texts.add(problem.posed.question)
        yield problem


def row(problem: Problem, split: str) -> dict[str, Any]:
    """A problem in JSON's types."""
    posed = problem.posed
    return {
        "question": posed.question,
        "answer": posed.answer,
        "answer_type": posed.answer_type,
        "candidates": list(posed.candidates),
        "items": list(posed.items),
        "solution": posed.solution,
        "task": problem.task,
        "difficulty": problem.difficulty,
        "split": split,
        "problem_id": problem.problem_id,
    }


def as_dataset(
    tasks: str | tuple[str, ...] = ORIGINAL_FIVE,
    difficulty: int | tuple[int, int] = 1,
    split: str = "train",
    n: int = 1000,
    seed: int = 0,
) -> Any:
    """Distinct problems of a split as a ``datasets.Dataset``.

    Raises:
        ArenaError: an argument is not allowed, or the package datasets is missing.
    """
    try:
        import datasets
    except ImportError as error:
        raise ArenaError("this needs the package datasets; pip install 'reasoning-arena[datasets]'") from error
    source = ProblemSource(tasks, difficulty, split)
    return datasets.Dataset.from_list([row(problem, split) for problem in distinct_problems(source, n, seed)])


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 when the file is written, 2 when it cannot be."""
    parser = parser_of("export", __doc__)
    parser.add_argument("--tasks", nargs="+", default=list(ORIGINAL_FIVE), help="by default the five original ones")
    parser.add_argument(
        "--difficulty", nargs="+", type=int, default=[1], help="one, or the lowest and the highest (default: 1)"
    )
    parser.add_argument("--split", choices=SPLITS, default="train", help="(default: train)")
    parser.add_argument("--problems", type=int, default=1000, help="how many different ones (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--out", type=Path, required=True, help="NAME.jsonl, or a folder for a Hugging Face data set")
    given = parser.parse_args(arguments)
    if given.problems < 1:
        raise ArenaError(f"--problems {given.problems} is not allowed; give at least 1")
    if given.out.exists():
        raise ArenaError(f"--out {given.out} exists already")
    if not given.out.parent.is_dir():
        raise ArenaError(f"--out {given.out}: there is no folder {given.out.parent}")
    if len(given.difficulty) > 2:
        raise ArenaError(f"--difficulty takes one or two of {', '.join(map(str, DIFFICULTIES))}")
    difficulty = given.difficulty[0] if len(given.difficulty) == 1 else tuple(given.difficulty)
    with replacing(given.out) as part:
        if given.out.suffix == ".jsonl":
            source = ProblemSource(tuple(given.tasks), difficulty, given.split)
            with part.open("w", encoding="utf-8") as file:
                for problem in distinct_problems(source, given.problems, given.seed):
                    file.write(json.dumps(row(problem, given.split)) + "\n")
        else:
            as_dataset(tuple(given.tasks), difficulty, given.split, given.problems, given.seed).save_to_disk(part)
    print(f"{given.problems:,} problems → {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
