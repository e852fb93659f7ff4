"""The catalogue of tasks, CATALOGUE.md, made from their docstrings, their problems and the audit.

python -m reasoning_arena.envs.catalogue --out envs/CATALOGUE.md
python -m reasoning_arena.envs.catalogue --out envs/CATALOGUE.md --tasks math    # the others' sections stay
"""

import sys
from collections.abc import Mapping, Sequence
from inspect import cleandoc
from pathlib import Path

from reasoning_arena.envs.audit import Level, audit
from reasoning_arena.envs.command import command, parser_of
from reasoning_arena.envs.errors import ArenaError
from reasoning_arena.envs.files import replacing
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.splits import draw_problem
from reasoning_arena.envs.task import DIFFICULTIES, REGISTRY, Task, get_task

DRAWN = 20_000  # draws among which different problems are counted


def distinct(task: Task, difficulty: int) -> int:
    """How many different contents there are in ``DRAWN`` draws."""
    rng = Rng(f"catalogue {task.name} {difficulty}")
    return len({repr(task.content(task.facts(rng, difficulty))) for _ in range(DRAWN)})


def description(task: Task) -> str:
    """What the module says of its task."""
    return cleandoc(sys.modules[type(task).__module__].__doc__ or "")


def examples(task: Task) -> str:
    """One problem of the train split at each difficulty."""
    parts = []
    for level in DIFFICULTIES:
        posed = draw_problem(task, Rng(f"example {task.name} {level}"), level, "train").posed
        question = posed.question.replace("\n", "\n    ")
        parts.append(f"Difficulty {level}:\n\n    {question}\n\n    → {posed.answer}\n    ({posed.solution})")
    return "\n\n".join(parts)


def table(levels: Sequence[Level], counts: Sequence[int]) -> str:
    """What the audit found, a row a difficulty."""
    lines = [
        f"| difficulty | answers | proved | different in {DRAWN:,} draws | chance | best policy without reasoning |",
        "|---|---|---|---|---|---|",
    ]
    for level, count in zip(levels, counts, strict=True):
        chance = "open" if level.chance is None else f"{level.chance:.1%}"
        name, share = level.best
        lines.append(
            f"| {level.difficulty} | {', '.join(level.answer_types)} | {level.problems - len(level.failures)} of "
            f"{level.problems} | {count:,} | {chance} | {share:.1%} ({name}) |"
        )
    return "\n".join(lines)


def section(name: str, problems: int) -> str:
    """All that the catalogue says of one task."""
    task = get_task(name)
    levels = [audit(task, level, problems, seeds=10) for level in DIFFICULTIES]
    counts = [distinct(task, level) for level in DIFFICULTIES]
    print(f"{name}: {'ok' if all(level.passed for level in levels) else 'FAILED'}", file=sys.stderr)
    return "\n\n".join([f"## {name}", description(task), table(levels, counts), examples(task)])


def catalogue(problems: int, kept: Mapping[str, str]) -> str:
    """The whole document.

    Args:
        problems: audited for each task and difficulty.
        kept: sections by their task's name that stay as they are.
    """
    parts = [
        "# Catalogue of tasks",
        f"Made by `python -m reasoning_arena.envs.catalogue --problems {problems}`. *Proved*: the independent solver "
        "found exactly the gold answer from the question's text. *Chance*: one over the number of candidates; *open* "
        "where the answers are no closed set. The last column is the highest of some 40 policies that do not reason, "
        "the answer to the most similar question seen before among them. *Learnt* are those that choose the option "
        "whose cue was right most often in other problems that ask the same.",
    ]
    parts += [kept[name] if name in kept else section(name, problems) for name in REGISTRY]
    return "\n\n".join(parts) + "\n"


def sections(text: str) -> dict[str, str]:
    """The sections of a catalogue by their task's name."""
    parts = [f"## {part}".strip() for part in f"\n{text}".split("\n## ")[1:]]
    return {part.partition("\n")[0].removeprefix("## "): part for part in parts}


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 when the catalogue is written, 2 when it cannot be."""
    parser = parser_of("catalogue", __doc__)
    parser.add_argument("--problems", type=int, default=1000, help="audited for each task and difficulty")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    parser.add_argument("--tasks", nargs="+", help="make only their sections anew, and leave the others in the file")
    given = parser.parse_args(arguments)
    if given.problems < 1:
        raise ArenaError(f"--problems {given.problems} is not allowed; give at least 1")
    if not given.out.parent.is_dir():
        raise ArenaError(f"--out {given.out}: there is no folder {given.out.parent}")
    kept = sections(given.out.read_text(encoding="utf-8")) if given.tasks and given.out.exists() else {}
    for name in given.tasks or ():
        kept.pop(get_task(name).name, None)
    with replacing(given.out) as part:
        part.write_text(catalogue(given.problems, kept), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
