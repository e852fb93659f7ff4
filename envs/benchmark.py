"""How fast problems are made and environments step, beside reasoning-gym's nearest equivalents in the same run.

python -m reasoning_arena.envs.benchmark
pip install 'reasoning-arena[reasoning-gym]'    # for the comparison

Every figure is the best of many short rounds: what the code takes, not what else the machine was doing.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import gymnasium as gym
from reasoning_arena.envs.command import command, parser_of
from reasoning_arena.envs.errors import ArenaError
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.splits import draw_problem
from reasoning_arena.envs.task import DIFFICULTIES, REGISTRY, get_tasks
from reasoning_arena.envs.tasks.reasoning_gym import ITEMS

LANES = 64
ROUND = 0.02  # seconds: short enough for a busy machine to leave some of them alone
# The data set of reasoning-gym that asks the most similar thing, where there is one.
NEAREST = {
    "sequence": "number_sequence",
    "math": "gsm_symbolic",
    "grid": "zebra_puzzles",
    "syllogism": "syllogism",
    "propositional": "propositional_logic",
    "knights_knaves": "knights_knaves",
    "family": "family_relationships",
    "calendar": "calendar_arithmetic",
    "counting": "leg_counting",
    "rates": "time_intervals",
    "program": "codeio",
    "strings": "spell_backward",
    "lists": "number_sorting",
}
# Other settings than the data set's own: by default number_sequence squares squares, and an item can take 13 s.
SETTINGS = {"number_sequence": {"max_complexity": 1}}


def rate(work: Callable[[], object], seconds: float) -> float:
    """How often a second something can be done: the best of as many rounds as there is time for, and of at least 3."""
    work()
    best, rounds, end = 0.0, 0, time.perf_counter() + seconds
    while (began := time.perf_counter()) < end or rounds < 3:
        done, rounds = 0, rounds + 1
        while (passed := time.perf_counter() - began) < ROUND:
            work()
            done += 1
        best = max(best, done / passed)
    return best


def _problems(task: str, difficulty: int, seconds: float) -> float:
    drawn, rng = get_tasks(task)[0], Rng(0)

    def work() -> None:
        for _ in range(50):
            draw_problem(drawn, rng, difficulty, "train")

    return 50 * rate(work, seconds)


def _theirs(dataset: str, seconds: float) -> float | None:
    try:
        import reasoning_gym
    except ImportError:
        return None
    items: Any = reasoning_gym.create_dataset(dataset, size=ITEMS, seed=0, **SETTINGS.get(dataset, {}))
    numbers = count()
    return rate(lambda: items[next(numbers) % ITEMS], seconds)


def _single(seconds: float) -> float:
    env = gym.make("ReasoningArena-v0")
    env.reset(seed=0)

    def work() -> None:
        for _ in range(50):
            env.reset()
            env.step("Bob")

    return 50 * rate(work, seconds)


def _vector(seconds: float) -> float:
    envs = gym.make_vec("ReasoningArena-v0", num_envs=LANES)
    envs.reset(seed=0)
    answers = ["Bob"] * LANES
    return LANES * rate(lambda: envs.step(answers), seconds)


def _import_seconds() -> float:
    """What importing the environments takes in a new process, Gymnasium included: the best of five."""
    code = "import time; t = time.perf_counter(); import reasoning_arena.envs; print(time.perf_counter() - t)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(5)]
    return min(float(run.stdout) for run in runs)


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """The command: prints the tables."""
    parser = parser_of("benchmark", __doc__)
    parser.add_argument("--tasks", nargs="+", default=list(REGISTRY), help="by default all of them")
    parser.add_argument("--seconds", type=float, default=0.3, help="for each figure (default: 0.3)")
    given = parser.parse_args(arguments)
    get_tasks(given.tasks)
    if not given.seconds > 0:
        raise ArenaError(f"--seconds {given.seconds} is not allowed; give a number above 0")
    print("problems/s by difficulty")
    print(f"{'':<18}" + "".join(f"{level:>9}" for level in DIFFICULTIES) + "   reasoning-gym's nearest")
    for task in given.tasks:
        rates = [_problems(task, level, given.seconds) for level in DIFFICULTIES]
        line = f"{task:<18}" + "".join(f"{one:>9,.0f}" for one in rates)
        theirs = _theirs(NEAREST[task], given.seconds) if task in NEAREST else None
        if theirs:
            settings = [f"{key} {value}" for key, value in SETTINGS.get(NEAREST[task], {}).items()]
            line += f"   {' '.join([NEAREST[task], *settings]):<34}{theirs:>9,.0f}   {rates[0] / theirs:>8,.1f} ×"
        print(line, flush=True)
    print(f"\n{'reset and step of one environment':<40}{_single(3 * given.seconds):>9,.0f}/s")
    print(f"{f'steps of a vector of {LANES} lanes, autoreset':<40}{_vector(3 * given.seconds):>9,.0f}/s")
    print(f"{'import reasoning_arena.envs':<40}{_import_seconds():>9.3f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
