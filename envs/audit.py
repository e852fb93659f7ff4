"""Prove the gold answers, measure the leaks, and try the tricks.

python -m reasoning_arena.envs.audit                          # every task and difficulty, 1,000 problems each
python -m reasoning_arena.envs.audit --tasks math --problems 20000

For every task and difficulty: problems are solved from their text by the task's independent solver, whose answer must
exist, be the only one and equal the gold one; policies that do not reason are paid for their answers, and none may earn
more than chance; and the splits are compared over many seeds. The exit status is 1 where anything fails, and the
problem is shown in full.
"""

import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from reasoning_arena.envs.command import command, parser_of
from reasoning_arena.envs.errors import ArenaError
from reasoning_arena.envs.files import replacing
from reasoning_arena.envs.policies import POLICIES, learnt, seen
from reasoning_arena.envs.problem import Problem
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.scoring import score
from reasoning_arena.envs.splits import SPLITS, Split, draw_problem
from reasoning_arena.envs.task import DIFFICULTIES, REGISTRY, Task, get_tasks

OPEN_CHANCE = 0.1  # what a policy may earn where the answers are no closed set
SURE = 5.0  # standard errors by which a policy must exceed chance to count: hundreds of them are tried
TRIED = 3000  # problems that the policies answer, and that each split is compared by, of more: it is enough
REMEMBERED = 100  # questions among which the most similar one is looked for
FREQUENT = "the most frequent answer"
SIMILAR = "the answer to the most similar question"


class Level(NamedTuple):
    """What was found of one task at one difficulty.

    Attributes:
        task: its name.
        difficulty: 1 to 5.
        certified: whether the task has a solver that proves its gold answers.
        problems: how many were solved.
        distinct: how many different contents they had.
        failures: those whose solver's answers are not the gold one alone, with those answers.
        answer_types: which there were.
        tried: how many the policies answered.
        chance: the mean of one over the number of candidates, or None where answers are no closed set.
        earned: the share of problems that each policy got right.
        overlap: contents and texts that two splits have in common.
        problems_per_second: how fast problems are made.
    """

    task: str
    difficulty: int
    certified: bool
    problems: int
    distinct: int
    failures: list[tuple[Problem, list[str]]]
    answer_types: tuple[str, ...]
    tried: int
    chance: float | None
    earned: dict[str, float]
    overlap: int
    problems_per_second: float

    @property
    def bar(self) -> float:
        """What no policy may earn more than: chance, and what luck adds to it in this many problems."""
        chance = OPEN_CHANCE if self.chance is None else max(self.chance, OPEN_CHANCE)
        return chance + SURE * math.sqrt(chance * (1 - chance) / self.tried)

    @property
    def best(self) -> tuple[str, float]:
        """The policy that earned most."""
        return max(self.earned.items(), key=lambda one: one[1])

    @property
    def tricks(self) -> list[str]:
        """Policies that earn more than chance."""
        return [name for name, share in self.earned.items() if share > self.bar]

    @property
    def passed(self) -> bool:
        """Whether there is nothing to complain of."""
        return not self.failures and not self.tricks and not self.overlap


def certify(problems: Iterable[Problem], task: Task) -> list[tuple[Problem, list[str]]]:
    """The problems that do not pay their gold answer, or whose text does not prove just that; what the text allows."""
    failures = []
    for problem in problems:
        try:
            answers = sorted(task.solve(problem.posed.question))
        except ValueError as error:
            answers = [f"unreadable: {error}"]
        if not score(problem.posed.answer, problem.posed).correct:
            answers.append("(the gold answer is not read as such)")
        if answers != [problem.posed.answer]:
            failures.append((problem, answers))
    return failures


def earnings(problems: Sequence[Problem], history: Sequence[Problem]) -> dict[str, float]:
    """The share of problems that each policy without reasoning gets right.

    Args:
        problems: what is asked.
        history: other problems of the kind, whose most frequent answer is a policy too, the answer to that one of the
            first ``REMEMBERED`` which has most words in common with what is asked, and the options that cues gave away.
    """
    policies = {**POLICIES, **learnt((seen(problem.posed), problem.posed.answer) for problem in history)}
    earned = dict.fromkeys((*policies, SIMILAR), 0)
    remembered = [(_words(problem), problem.posed.answer) for problem in history[:REMEMBERED]]
    for problem in problems:
        visible = seen(problem.posed)
        for name, policy in policies.items():
            earned[name] += score(policy(visible), problem.posed).correct
        words = _words(problem)
        similar = max(remembered, key=lambda known: len(known[0] & words))[1]
        earned[SIMILAR] += score(similar, problem.posed).correct
    commonest = Counter(problem.posed.answer for problem in history).most_common(1)[0][0]
    earned[FREQUENT] = sum(score(commonest, problem.posed).correct for problem in problems)
    return {name: right / len(problems) for name, right in earned.items()}


def _words(problem: Problem) -> set[str]:
    return set(problem.posed.question.split())


def overlap(task: Task, difficulty: int, n: int, seeds: int) -> int:
    """How many contents or texts two splits have in common, in n problems a split drawn from many seeds."""
    contents: dict[Split, set[str]] = {split: set() for split in SPLITS}
    texts: dict[Split, set[str]] = {split: set() for split in SPLITS}
    for split in SPLITS:
        for seed in range(seeds):
            rng = Rng(f"overlap {seed}")
            for _ in range(-(-n // seeds)):
                problem = draw_problem(task, rng, difficulty, split)
                contents[split].add(problem.problem_id)
                texts[split].add(problem.posed.question)
    pairs = [(one, other) for i, one in enumerate(SPLITS) for other in SPLITS[i + 1 :]]
    return sum(len(found[one] & found[other]) for found in (contents, texts) for one, other in pairs)


def audit(task: Task, difficulty: int, n: int = 1000, seeds: int = 50) -> Level:
    """Examine one task at one difficulty.

    Args:
        task: which.
        difficulty: 1 to 5.
        n: how many problems; a tenth as many are put in the held-out phrasing besides. The policies answer those of the
            first ``TRIED``, and as many are drawn from each split at most.
        seeds: from how many seeds the splits are drawn that are compared.
    """
    began = time.perf_counter()
    rng = Rng(f"audit {task.name} {difficulty}")
    problems = [draw_problem(task, rng, difficulty, "train") for _ in range(n)]
    seconds = time.perf_counter() - began
    usual = [draw_problem(task, rng, difficulty, "validation") for _ in range(min(n, TRIED))]
    unusual = [draw_problem(task, rng, difficulty, "test", held_out_phrasing=True) for _ in range(-(-n // 10))]
    shares = [1 / len(problem.posed.candidates) for problem in problems if problem.posed.candidates]
    return Level(
        task.name,
        difficulty,
        task.certified,
        len(problems) + len(unusual),
        len({problem.problem_id for problem in problems}),
        certify([*problems, *unusual], task) if task.certified else [],
        tuple(sorted({problem.posed.answer_type for problem in problems})),
        min(n, TRIED),
        sum(shares) / len(shares) if len(shares) == n else None,
        earnings(problems[:TRIED], usual),
        overlap(task, difficulty, min(n, TRIED), seeds),
        n / seconds,
    )


def _row(level: Level) -> str:
    name, share = level.best
    chance = "open" if level.chance is None else f"{level.chance:.1%}"
    proved = f"{level.problems - len(level.failures)}/{level.problems}" if level.certified else "not proved"
    return (
        f"{level.task:<18}{level.difficulty:>2}  {proved:>13}  {level.distinct:>8}  {level.overlap:>7}  {chance:>6}  "
        f"{share:>6.1%} {name:<32}  {level.problems_per_second:>9,.0f}  {'ok' if level.passed else 'FAILED'}"
    )


def _complaints(level: Level) -> Iterable[str]:
    for problem, answers in level.failures[:3]:
        posed = problem.posed
        yield f"\n{problem.problem_id}, difficulty {problem.difficulty}\n{posed.question}"
        yield f"gold: {posed.answer}\nsolved: {answers}\nsolution: {posed.solution}"
    for name in level.tricks:
        yield f"{level.task} {level.difficulty}: {name!r} earns {level.earned[name]:.1%}, more than {level.bar:.1%}"
    if level.overlap:
        yield f"{level.task} {level.difficulty}: the splits have {level.overlap} problems in common"


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 where everything holds, 1 where something does not, 2 where the question makes no sense."""
    parser = parser_of("audit", __doc__)
    parser.add_argument("--tasks", nargs="+", default=list(REGISTRY), help="by default all of them")
    parser.add_argument("--difficulty", nargs="+", type=int, default=list(DIFFICULTIES), help="by default 1 2 3 4 5")
    parser.add_argument("--problems", type=int, default=1000, help="for each task and difficulty (default: 1000)")
    parser.add_argument("--seeds", type=int, default=50, help="whose splits are compared (default: 50)")
    parser.add_argument("--json", type=Path, help="write the findings to this file, too")
    given = parser.parse_args(arguments)
    tasks = get_tasks(given.tasks)
    if given.problems < 1 or given.seeds < 1 or not set(given.difficulty) <= set(DIFFICULTIES):
        raise ArenaError("give at least 1 problem, at least 1 seed, and difficulties from 1 to 5")
    if given.json is not None and not given.json.parent.is_dir():
        raise ArenaError(f"--json {given.json}: there is no folder {given.json.parent}")
    print(
        f"{'task':<18}{'':>2}  {'proved':>13}  {'distinct':>8}  {'overlap':>7}  {'chance':>6}  "
        f"{'the best policy without reasoning':<39}  {'problems/s':>10}"
    )
    levels = []
    for task in tasks:
        for difficulty in given.difficulty:
            level = audit(task, difficulty, given.problems, given.seeds)
            levels.append(level)
            print(_row(level), flush=True)
            for complaint in _complaints(level):
                print(complaint, file=sys.stderr, flush=True)
    failed = sum(not level.passed for level in levels)
    proved = sum(level.problems for level in levels if level.certified)
    print(
        f"{proved:,} problems proved, {sum(level.overlap for level in levels)} shared by two splits, {failed} failures"
    )
    if given.json is not None:
        with replacing(given.json) as part:
            part.write_text(json.dumps([_summary(level) for level in levels], indent=1) + "\n")
    return 1 if failed else 0


def _summary(level: Level) -> dict[str, object]:
    name, share = level.best
    return {
        "task": level.task,
        "difficulty": level.difficulty,
        "problems": level.problems,
        "distinct": level.distinct,
        "failures": len(level.failures),
        "answer_types": level.answer_types,
        "chance": level.chance,
        "best_policy": name,
        "best_policy_earns": share,
        "overlap": level.overlap,
        "problems_per_second": round(level.problems_per_second),
    }


if __name__ == "__main__":
    sys.exit(main())
