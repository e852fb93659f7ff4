"""Every registered task goes through the same tests."""

import hashlib
from collections import Counter

import pytest
from reasoning_arena.envs import REGISTRY, SPLITS, ArenaError, ProblemSource, extract, get_task, score
from reasoning_arena.envs.arena import CHARSET, MAX_TEXT
from reasoning_arena.envs.audit import audit
from reasoning_arena.envs.problem import Problem
from reasoning_arena.envs.rng import Rng
from reasoning_arena.envs.splits import content_digest, draw_problem, split_of
from reasoning_arena.envs.task import DIFFICULTIES

LEVELS = [(name, level) for name in REGISTRY for level in DIFFICULTIES]
levels = pytest.mark.parametrize(("name", "level"), LEVELS)
tasks = pytest.mark.parametrize("name", list(REGISTRY))


def problems(
    name: str, level: int, n: int, split: str = "train", seed: int = 0, *, held_out: bool = False
) -> list[Problem]:
    rng = Rng(f"{name} {level} {seed}")
    return [draw_problem(get_task(name), rng, level, split, held_out_phrasing=held_out) for _ in range(n)]  # type: ignore[arg-type]


@levels
def test_solver_finds_exactly_the_gold_answer(name: str, level: int) -> None:
    task = get_task(name)
    for problem in problems(name, level, 200) + problems(name, level, 50, held_out=True):
        assert task.solve(problem.posed.question) == {problem.posed.answer}, problem


@levels
def test_what_is_posed_is_well_formed(name: str, level: int) -> None:
    for problem in problems(name, level, 200):
        question, answer, kind, candidates, solution, items = problem.posed
        assert len(question) < MAX_TEXT // 2
        assert set(question + answer + solution) <= set(CHARSET)
        assert score(answer, problem.posed) == (answer, True)
        assert score(solution, problem.posed) == (answer, True), solution
        assert not score(question, problem.posed).correct
        assert not score("", problem.posed).correct
        if candidates:
            assert answer in candidates
            assert len(set(candidates)) == len(candidates)
            assert list(candidates) == sorted(candidates)
            assert extract(", ".join(candidates), kind, candidates) is None
            if kind == "name":
                assert all(candidate in question for candidate in candidates)
        if items and kind != "expression":
            assert list(items) == sorted(set(items))
            assert all(item in question for item in items)
            assert answer == "none" or set(answer.split(", ")) <= set(items)


@tasks
def test_two_thousand_distinct_problems_at_difficulty_1(name: str) -> None:
    task, rng, seen = get_task(name), Rng(0), set()
    for _ in range(60_000):
        seen.add(content_digest(name, task.content(task.facts(rng, 1))))
        if len(seen) >= 2_000:
            return
    pytest.fail(f"only {len(seen)}")


@tasks
def test_splits_share_no_question_over_seeds_and_difficulties(name: str) -> None:
    ids: dict[str, set[str]] = {split: set() for split in SPLITS}
    texts: dict[str, set[str]] = {split: set() for split in SPLITS}
    for split in SPLITS:
        for seed in range(10):
            for level in DIFFICULTIES:
                for problem in problems(name, level, 30, split, seed):
                    ids[split].add(problem.problem_id)
                    texts[split].add(problem.posed.question)
    for one in SPLITS:
        for other in SPLITS:
            if one != other:
                assert not ids[one] & ids[other]
                assert not texts[one] & texts[other]


@tasks
def test_neighbouring_seeds_ask_different_questions(name: str) -> None:
    first, second = ({p.posed.question for p in problems(name, 3, 100, seed=seed)} for seed in (1, 2))
    assert len(first & second) < 20


@tasks
def test_problems_of_equal_text_have_equal_ids(name: str) -> None:
    by_text: dict[str, str] = {}
    for level in DIFFICULTIES:
        for problem in problems(name, level, 400):
            assert by_text.setdefault(problem.posed.question, problem.problem_id) == problem.problem_id


@levels
def test_no_answer_without_reasoning_earns_more_than_chance(name: str, level: int) -> None:
    found = audit(get_task(name), level, 600, seeds=6)
    assert not found.tricks, (found.best, found.bar)
    assert not found.overlap
    assert not found.failures


def test_what_makes_no_difference_to_an_answer_makes_none_to_the_content() -> None:
    rng = Rng(0)
    rates, ordering, calendar = get_task("rates"), get_task("ordering"), get_task("calendar")
    bare = next(facts for _ in range(1000) if (facts := rates.facts(rng, 1)).query.startswith("unit"))
    assert rates.content(bare) == rates.content(bare._replace(maker=bare.maker + 1))
    placed = ordering.facts(rng, 1)
    assert ordering.content(placed) == ordering.content(
        placed._replace(places=tuple(place + 1 for place in placed.places))
    )
    dated = next(facts for _ in range(1000) if (facts := calendar.facts(rng, 2)).year)
    assert calendar.content(dated) == calendar.content(dated._replace(year=dated.year + 1))


def fingerprint(name: str) -> str:
    digest = hashlib.sha256()
    for level in DIFFICULTIES:
        for split in SPLITS:
            for problem in problems(name, level, 20, split):
                digest.update(repr(problem).encode())
    return digest.hexdigest()[:16]


# A changed fingerprint is a changed environment: it needs a new version of the package.
FINGERPRINTS: dict[str, str] = {
    "comparison": "6344f106a8f63142",
    "sequence": "d2df837d444b0573",
    "causal": "4bd532646e643a92",
    "math": "6c7b3e97c2b64bfc",
    "grid": "c50d352ed9250d44",
    "syllogism": "caf0c3a5109c8d3a",
    "propositional": "24812366be55a50e",
    "knights_knaves": "d979a66f66e3269b",
    "sets": "964b2513014c2ac9",
    "ordering": "510910aace882696",
    "counting": "746b8b86ca01d5a0",
    "family": "183f9895e395849c",
    "directions": "0f8a5f6ab33cf710",
    "calendar": "9e88f2c7c162383e",
    "rates": "afcc1cc740dd678b",
    "program": "f83260e55ff6a630",
    "strings": "491cb653c2eb4b49",
    "lists": "99ba237516198c2c",
    "story": "db9f8fd41d45f138",
    "summary": "7f71860a4ce4e4db",
    "code": "0277841f9dc3c3be",
}


@pytest.mark.parametrize("name", list(FINGERPRINTS))
def test_the_same_seed_makes_the_same_problems_for_ever(name: str) -> None:
    assert fingerprint(name) == FINGERPRINTS[name]


def test_random_choices_are_uniform() -> None:
    rng = Rng(0)
    counts = Counter(tuple(rng.pick_distinct("abcd", 2)) for _ in range(24_000))
    assert len(counts) == 12
    assert all(abs(count - 2000) < 250 for count in counts.values())
    assert {rng.between(3, 5) for _ in range(200)} == {3, 4, 5}


def test_split_shares() -> None:
    counts = Counter(split_of(content_digest("x", i)) for i in range(20_000))
    assert abs(counts["train"] / 20_000 - 0.8) < 0.02
    assert abs(counts["test"] / 20_000 - 0.1) < 0.02


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"tasks": ()}, "empty"),
        ({"tasks": ("nope",)}, "comparison"),
        ({"tasks": ("math", "math")}, "twice"),
        ({"difficulty": 0}, "1 to 5"),
        ({"difficulty": (3, 2)}, "low above high"),
        ({"difficulty": True}, "1 to 5"),
        ({"difficulty": 2.5}, "1 to 5"),
        ({"difficulty": None}, "1 to 5"),
        ({"tasks": None}, "names of tasks"),
        ({"tasks": 5}, "names of tasks"),
        ({"split": "all"}, "train, validation, test"),
        ({"split": ["train"]}, "train, validation, test"),
        ({"held_out_phrasings": "no"}, "True or False"),
    ],
)
def test_wrong_arguments_are_refused_with_what_is_allowed(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ArenaError, match=said):
        ProblemSource(**({"tasks": "math", "difficulty": 1, "split": "train"} | arguments))  # type: ignore[arg-type]


def test_an_empty_split_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    task = get_task("math")
    monkeypatch.setattr(
        task, "content", lambda facts: next(i for i in range(99) if split_of(content_digest("math", i)) == "train")
    )
    with pytest.raises(ArenaError, match="empty"):
        draw_problem(task, Rng(0), 1, "test")
