"""Saved runs are asked again: a checkpoint answers as what it holds does, and what cannot be asked is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from reasoning_arena.agents.models import LoadedModel, load_model
from reasoning_arena.agents.policy import SoftPromptPolicy
from reasoning_arena.train.checkpoint import load_soft_prompt
from reasoning_arena.train.config import Config, LearnerName, Resolved
from reasoning_arena.train.evaluate import Asked, evaluate, main, row
from reasoning_arena.train.held_out import Evaluation, Exchange
from reasoning_arena.train.online import train
from reasoning_arena.train.run import own_model


def test_a_checkpoint_answers_what_its_soft_prompt_answers(run: Path, lm_folder: Path) -> None:
    checkpoints = [run / "checkpoints" / f"episode-{episode:06d}" for episode in (0, 16)]
    lm = load_model(str(lm_folder), "cpu", "float32")
    said = []
    for checkpoint, found in evaluate(Asked((*checkpoints,), problems=4, max_new_tokens=5)):
        policy = SoftPromptPolicy(lm, load_soft_prompt(checkpoint, lm), max_new_tokens=5)
        exchanges = [exchange for one in found.values() for exchange in one.exchanges]
        said.append([one.answer for one in exchanges])
        assert said[-1] == [answer.text for answer in policy.act([one.question for one in exchanges])]
    assert said[0] != said[1]


@pytest.mark.parametrize("learner", ["per-task", "lora"])
def test_runs_of_any_learner_answer_what_is_asked_as_often_of_each_task(
    run: Path,
    small: Callable[..., Config],
    lm_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    learner: LearnerName,
) -> None:
    out, other = tmp_path / "answers.jsonl", tmp_path / "other"
    changes = {"preamble": None, "soft_tokens": None} if learner == "lora" else {}
    train(small(lm_folder, run_dir=other, episodes=4, learner=learner, **changes))
    flags = ["--problems", "6", "--tasks", "math", "causal", "--difficulty", "2", "--held-out-phrasings"]
    assert main([str(other), str(run), *flags, "--answers", str(out)]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head == "| checkpoint | all | math | causal |"
    checkpoints = [other / "checkpoints" / "episode-000004", run / "checkpoints" / "episode-000016"]
    assert [line.split(" | ")[0] for line in rows] == [f"| {checkpoint}" for checkpoint in checkpoints]
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    assert [one["checkpoint"] for one in answers] == [str(one) for one in checkpoints for _ in range(12)]
    assert [one["task"] for one in answers] == [*["math"] * 6, *["causal"] * 6] * 2
    first, second = ([one["question"] for one in answers[k : k + 12]] for k in (0, 12))
    assert first == second
    assert len(set(first)) == 12


def test_tasks_count_alike_however_many_problems_they_have() -> None:
    right, wrong = (Exchange("", "", "", "", "", correct=correct) for correct in (True, False))
    found = {"a": Evaluation(1.0, {}, [right] * 10), "b": Evaluation(0.5, {}, [right, wrong] * 50)}
    assert [cell.split()[0] for cell in row(found)] == ["75.0%", "100.0%", "50.0%"]
    assert row(found)[2] == "50.0% ± 9.6%"
    assert not row(found)[1].endswith(" 0.0%")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--tasks", "nope"], "unknown task"),
        (["--tasks"], "empty"),
        (["--difficulty", "0"], "1 to 5"),
        (["--problems", "0"], "--problems 0"),
        (["--max-new-tokens", "0"], "--max-new-tokens 0"),
        (["--tasks", "sequence", "--problems", "1000"], "found no 1000 different problems of sequence"),
        (["--answers", "/nowhere/at/all.jsonl"], "--answers"),
        (["--answers", "."], "--answers"),
    ],
)
def test_nonsense_is_refused(run: Path, flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), *flags]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last


def test_what_a_run_answered_is_kept_when_the_next_one_fails(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models, out = [own_model], tmp_path / "answers.jsonl"

    def once(config: Resolved) -> LoadedModel:
        if not models:
            raise KeyboardInterrupt
        return models.pop()(config)

    monkeypatch.setattr("reasoning_arena.train.evaluate.own_model", once)
    assert main([str(run), str(run), "--problems", "2", "--tasks", "math", "--answers", str(out)]) == 130
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert len(out.read_text().splitlines()) == 2


def test_without_a_run_there_is_nothing_to_ask(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "at least one run" in capsys.readouterr().err


def test_folders_that_hold_no_run_are_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    shutil.copytree(run, tmp_path / "damaged")
    torch.save({"steering": {}}, tmp_path / "damaged" / "checkpoints" / "episode-000016" / "training_state.pt")
    shutil.copytree(run / "checkpoints" / "episode-000016", tmp_path / "alone")
    shutil.copytree(run, tmp_path / "odd")
    (tmp_path / "odd" / "config.json").write_text('{"difficulty": "1"}')
    whys = {
        "nothing": "no such folder",
        "file": "a file",
        "": "no checkpoint",
        "damaged": "damaged",
        "alone": "in no run folder",
        "odd": "odd/config.json: --difficulty '1'",
    }
    for name, said in whys.items():
        assert main([str(tmp_path / name)]) == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("error: ")
        assert said in last
