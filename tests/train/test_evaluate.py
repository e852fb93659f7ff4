"""Saved runs are asked again: the same gives the same, and what cannot be asked is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from reasoning_arena.agents.models import load_model
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.train.checkpoint import load_soft_prompt
from reasoning_arena.train.config import Config
from reasoning_arena.train.evaluate import Asked, evaluate, main
from reasoning_arena.train.online import train


def test_a_checkpoint_answers_what_its_soft_prompt_answers(run: Path, lm_folder: Path) -> None:
    checkpoints = [run / "checkpoints" / f"episode-{episode:06d}" for episode in (0, 16)]
    found = evaluate(Asked((*checkpoints,), problems=10))
    lm = load_model(str(lm_folder), "cpu", "float32")
    said = []
    for checkpoint in checkpoints:
        policy = SoftPromptPolicy(lm, load_soft_prompt(checkpoint, lm), max_new_tokens=6)
        exchanges = found[checkpoint].exchanges
        said.append([one.answer for one in exchanges])
        assert said[-1] == [answer.text for answer in policy.act([one.question for one in exchanges])]
    assert said[0] != said[1]


def test_it_is_as_right_as_it_was_while_learning(run: Path) -> None:
    checkpoint = run / "checkpoints" / "episode-000016"
    found = evaluate(Asked((run,), problems=10))[checkpoint]
    final = json.loads((run / "results.json").read_text())["final"]
    assert {"accuracy": found.accuracy, "per_task": found.per_task} == final


def test_the_last_checkpoint_of_each_run_answers_what_is_asked(
    run: Path, small: Callable[..., Config], lm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, other = tmp_path / "answers.jsonl", tmp_path / "other"
    train(small(lm_folder, run_dir=other, episodes=4, learner="per-task"))
    flags = ["--problems", "12", "--tasks", "math", "causal", "--difficulty", "2", "--held-out-phrasings"]
    assert main([str(other), str(run), *flags, "--answers", str(out)]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head == "| checkpoint | all | causal | math |"
    checkpoints = [other / "checkpoints" / "episode-000004", run / "checkpoints" / "episode-000016"]
    assert [row.split(" | ")[0] for row in rows] == [f"| {checkpoint}" for checkpoint in checkpoints]
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert [one["checkpoint"] for one in answers] == [str(one) for one in checkpoints for _ in range(12)]
    first, second = ([one["question"] for one in answers[k : k + 12]] for k in (0, 12))
    assert first == second
    assert {one["task"] for one in answers} == {"math", "causal"}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--tasks", "nope"], "unknown task"),
        (["--tasks"], "empty"),
        (["--difficulty", "0"], "1 to 5"),
        (["--problems", "0"], "--problems 0"),
        (["--answers", "/nowhere/at/all.jsonl"], "there is no folder"),
    ],
)
def test_nonsense_is_refused(run: Path, flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), *flags]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last


def test_folders_that_hold_no_run_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    shutil.copytree(run, tmp_path / "damaged")
    torch.save({"steering": {}}, tmp_path / "damaged" / "checkpoints" / "episode-000016" / "training_state.pt")
    for name, said in {
        "nothing": "no such folder",
        "file": "a file",
        "": "no checkpoint",
        "damaged": "damaged",
    }.items():
        assert main([str(tmp_path / name)]) == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("error: ")
        assert said in last
