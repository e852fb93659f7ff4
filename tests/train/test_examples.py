"""The examples that the soft prompt starts from: proved, paid by the environment, and none of them held out."""

import re
from collections.abc import Callable

import pytest
from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.scoring import score
from reasoning_arena.envs.splits import content_digest, split_of
from reasoning_arena.envs.task import get_task
from reasoning_arena.envs.tasks.causal import EVENTS
from reasoning_arena.envs.tasks.grid import KINDS
from reasoning_arena.envs.tasks.math import ITEMS
from reasoning_arena.envs.vocabulary import PEOPLE
from reasoning_arena.train.examples import EXAMPLES, brief, few_shot, plain, worked

ALL = [pytest.param(task, posed, id=posed.solution) for task, some in EXAMPLES.items() for posed in some]
NAMES = {*PEOPLE, *EVENTS, *ITEMS, *KINDS, *(thing for things in KINDS.values() for thing in things)}


@pytest.mark.parametrize(("task", "posed"), ALL)
def test_the_answer_is_proved(task: str, posed: Posed) -> None:
    assert get_task(task).solve(posed.question) == {posed.answer}


@pytest.mark.parametrize("answered", [worked, plain, brief])
@pytest.mark.parametrize(("task", "posed"), ALL)
def test_what_is_said_is_paid(task: str, posed: Posed, answered: Callable[[Posed], str]) -> None:
    assert score(answered(posed), posed).correct


@pytest.mark.parametrize(("task", "posed"), ALL)
def test_is_no_held_out_problem(task: str, posed: Posed) -> None:
    words = re.findall(r"\w+", posed.question)
    if task == "sequence":
        terms = tuple(int(word) for word in words if word.isdecimal())
        assert split_of(content_digest(task, terms)) == "train"
    else:
        assert not NAMES & set(words)


def test_closed_questions_can_be_answered_plainly() -> None:
    assert "Answer: smog\n" in few_shot(plain, 3)
    assert "Answer: coal brings smog\n" in few_shot(worked, 1)
    assert " 27 28, so 28\n" in few_shot(plain, 3)
    assert "Answer: 28\n" in few_shot(brief, 3)
    assert "Answer: 9 - 6 = 3\n" in few_shot(brief, 3)
