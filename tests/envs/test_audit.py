"""The audit finds what it is there to find."""

import json
from pathlib import Path
from typing import Any

import pytest
from reasoning_arena.envs import audit as audit_module
from reasoning_arena.envs import get_task
from reasoning_arena.envs.audit import FREQUENT, SIMILAR, audit, main
from reasoning_arena.envs.policies import asked, seen
from reasoning_arena.envs.problem import Posed
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.task import Task
from reasoning_arena.envs.tasks.comparison import Comparison
from reasoning_arena.envs.tasks.math import Math
from reasoning_arena.envs.tasks.syllogism import Syllogism

NAMED = "learnt: how often it is named"


class WrongGold(Math):
    def pose(self, facts: Any, rng: Rng, phrasing: int) -> Posed:
        posed = super().pose(facts, rng, phrasing)
        return posed._replace(answer=str(int(posed.answer) + (facts.start % 10 == 0)))


class Leaky(Math):
    def pose(self, facts: Any, rng: Rng, phrasing: int) -> Posed:
        posed = super().pose(facts, rng, phrasing)
        return posed._replace(question=f"{posed.question} {posed.answer}")


class Unreadable(Math):
    """Its answers are proved, and read as none of the type that it says."""

    def pose(self, facts: Any, rng: Rng, phrasing: int) -> Posed:
        return super().pose(facts, rng, phrasing)._replace(answer_type="yes_no")


class Biased(Math):
    def pose(self, facts: Any, rng: Rng, phrasing: int) -> Posed:
        posed = super().pose(facts, rng, phrasing)
        return posed._replace(answer="7") if rng.random() < 0.2 else posed


class Hinting(Math):
    def pose(self, facts: Any, rng: Rng, phrasing: int) -> Posed:
        posed, i = super().pose(facts, rng, phrasing), rng.below(50)
        return posed._replace(
            question=f"{posed.question} {' '.join(f'w{i}v{j}' for j in range(20))}", answer=str(100 + i)
        )


class NamedOnce(Comparison):
    """Without the clue about the ends, which are then named once, and the others twice."""

    def facts(self, rng: Rng, difficulty: int) -> Any:
        facts = super().facts(rng, difficulty)
        return facts._replace(clues=tuple(clue for clue in facts.clues if clue[1] - clue[0] == 1))


class Padded(Syllogism):
    """The right one of the options is named three times more; hardly any question has the words of another."""

    def pose(self, facts: Any, rng: Rng, phrasing: int) -> Posed:
        posed = super().pose(facts, rng, phrasing)
        return posed._replace(question=f"{' '.join([posed.answer] * 3)}. {posed.question}")


class Overlapping(Math):
    def content(self, facts: Any) -> object:
        return facts.person, facts  # the same sum of somebody else, in another split

    def pose(self, facts: Any, rng: Rng, phrasing: int) -> Posed:
        return super().pose(facts._replace(person="Bob"), rng, phrasing)


def test_a_sound_task_passes() -> None:
    level = audit(get_task("math"), 1, 300, seeds=5)
    assert level.passed
    assert level.problems == 330
    assert level.distinct > 200


def test_a_wrong_gold_answer_is_found() -> None:
    level = audit(WrongGold(), 1, 300, seeds=5)
    assert level.failures
    assert all(problem.posed.answer not in answers for problem, answers in level.failures)


def test_a_gold_answer_that_is_not_paid_is_found() -> None:
    assert audit(Unreadable(), 1, 100, seeds=5).failures


def test_an_answer_that_stands_in_the_question_is_found() -> None:
    assert "last number" in audit(Leaky(), 1, 300, seeds=5).tricks


def test_a_frequent_answer_is_found() -> None:
    assert FREQUENT in audit(Biased(), 1, 600, seeds=5).tricks


def test_words_that_go_with_an_answer_are_found() -> None:
    assert audit(Hinting(), 1, 600, seeds=5).tricks == [SIMILAR]


@pytest.mark.parametrize("difficulty", [1, 4])
def test_options_that_are_given_away_by_how_often_they_are_named_are_found(difficulty: int) -> None:
    assert NAMED in audit(NamedOnce(), difficulty, 600, seeds=5).tricks


def test_a_cue_is_learnt_even_where_no_question_has_the_words_of_another() -> None:
    assert NAMED in audit(Padded(), 1, 600, seeds=5).tricks


def test_what_is_asked_is_told_without_what_it_is_about() -> None:
    posed = Posed('Bob says: "Is 3 even?" Ann has 4. Is Ann or Bob taller?', "Ann", "name", ("Ann", "Bob"), "")
    assert asked(seen(posed)) == "Is … or … taller?"


def test_texts_that_two_splits_share_are_found() -> None:
    assert audit(Overlapping(), 1, 600, seeds=5).overlap > 0


def test_the_command_passes_and_writes_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "audit.json"
    arguments = ["--tasks", "math", "grid", "--difficulty", "1", "2", "--problems", "100", "--json", str(out)]
    assert main(arguments) == 0
    assert "440 problems proved, 0 shared by two splits, 0 failures" in capsys.readouterr().out
    assert [(one["task"], one["difficulty"], one["failures"]) for one in json.loads(out.read_text())] == [
        ("math", 1, 0), ("math", 2, 0), ("grid", 1, 0), ("grid", 2, 0),
    ]  # fmt: skip


def test_the_command_fails_and_shows_the_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(names: object) -> tuple[Task, ...]:
        return (WrongGold(),)

    monkeypatch.setattr(audit_module, "get_tasks", wrong)
    assert main(["--tasks", "math", "--difficulty", "1", "--problems", "100"]) == 1
    said = capsys.readouterr()
    assert "FAILED" in said.out
    assert "gold:" in said.err
    assert "How many" in said.err or "number of" in said.err


@pytest.mark.parametrize(
    "arguments",
    [["--tasks", "nope"], ["--problems", "0"], ["--difficulty", "7"], ["--json", "/nowhere/at/all.json"]],
)
def test_the_command_refuses_nonsense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")
