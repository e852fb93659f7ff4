"""A run that is interrupted, damaged, gone on with or begun in the wrong place: nothing is lost, nothing written over."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from reasoning_arena.train.checkpoint import latest_checkpoint, load_soft_prompt, load_state
from reasoning_arena.train.config import Config
from reasoning_arena.train.errors import TrainingError
from reasoning_arena.train.online import main, train
from reasoning_arena.train.run import Run
from safetensors.torch import save_file


def soft_prompt(run: Path, episode: int = 16) -> torch.Tensor:
    return load_soft_prompt(run / "checkpoints" / f"episode-{episode:06d}").weight.detach()


@pytest.mark.parametrize("loss", ["supervised", "reward"])
def test_a_resumed_run_equals_an_uninterrupted_one(
    small: Callable[..., Config], lm_folder: Path, tmp_path: Path, loss: str
) -> None:
    settings: dict[str, Any] = {"loss": loss, "estimator": "reinforce", "eval_interval": 4}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(small(lm_folder, run_dir=whole, **settings))
    train(small(lm_folder, run_dir=parts, **settings))
    for episode in (12, 16):  # the run stopped after eight episodes
        for file in sorted((parts / "checkpoints" / f"episode-{episode:06d}").iterdir(), reverse=True):
            file.unlink()
        (parts / "checkpoints" / f"episode-{episode:06d}").rmdir()
    assert main(["--resume", str(parts), "--quiet"]) == 0
    assert torch.equal(soft_prompt(whole), soft_prompt(parts))
    one, other = (json.loads((folder / "results.json").read_text()) for folder in (whole, parts))
    assert one["training"] == other["training"]
    assert one["evaluations"] == other["evaluations"]


def test_a_run_that_is_over_where_it_was_stopped_is_evaluated(
    small: Callable[..., Config], lm_folder: Path, tmp_path: Path
) -> None:
    run = Run(small(lm_folder, run_dir=tmp_path / "run"))
    for progress in run.play(lambda: run.episode == 12):
        assert progress.episode <= 12
    assert [one["episode"] for one in run.records.evaluations] == [0, 8]
    results = train(Config(resume=tmp_path / "run", episodes=12, quiet=True))
    assert [one["episode"] for one in results["evaluations"]] == [0, 8, 12]
    assert [one["episode"] for one in results["training"]] == [4, 8, 12]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("results.json", {}),
        ("results.json", {"training": 5, "evaluations": []}),
        ("results.json", {"training": [], "evaluations": [{"episode": 0, "accuracy": 0.5, "per_task": {}}]}),
        ("results.json", {"training": [{}], "evaluations": [{}]}),
        ("results.json", {"training": [], "evaluations": [{"episode": 0, "accuracy": "x", "per_task": {}}]}),
        ("config.json", {"lr": "x"}),
        ("config.json", {"tasks": 5}),
        ("config.json", {"estimator": "x"}),
        ("config.json", {"target": "x"}),
        ("config.json", {"seed": 1.5}),
        ("config.json", {"model": 5}),
        ("config.json", {"chat_template": "no"}),
        ("training_state.pt", {"rounds": "x", "steering": {}, "optimizer": {}, "learning": []}),
        ("training_state.pt", {}),
    ],
)
def test_damaged_run_folders_are_refused(
    run: Path, tmp_path: Path, file: str, content: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run, tmp_path / "run")
    if file == "training_state.pt":
        torch.save(content, tmp_path / "run" / "checkpoints" / "episode-000016" / file)
    else:
        (tmp_path / "run" / file).write_text(json.dumps(content))
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert main(["--resume", str(tmp_path / "run"), "--episodes", "20", "--quiet"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert all(path.read_bytes() == held for path, held in before.items())


def test_a_run_cannot_be_made_shorter(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run, tmp_path / "run")
    assert main(["--resume", str(tmp_path / "run"), "--episodes", "8", "--quiet"]) == 2
    assert "less than the 16" in capsys.readouterr().err


def test_a_run_stays_what_it_was(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--resume", str(run), "--lr", "5"]) == 2
    assert capsys.readouterr().err.startswith("error: --lr has no place")
    assert main(["--resume", str(run), "--temperature", "1"]) == 2
    assert capsys.readouterr().err.startswith("error: --temperature has no place beside --resume")


def test_a_failed_start_leaves_no_folder(lm_folder: Path, tmp_path: Path) -> None:
    arguments = ["--model", str(lm_folder), "--run-dir", str(tmp_path / "run"), "--init-from", "/nowhere"]
    assert main(arguments) == 2
    assert not (tmp_path / "run").exists()


def test_rounds_that_are_lost_take_their_time_with_them_and_memory_stays(
    small: Callable[..., Config], lm_folder: Path, tmp_path: Path
) -> None:
    done = train(small(lm_folder, run_dir=tmp_path / "run"))
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "episode-000016")
    spent = load_state(latest_checkpoint(tmp_path / "run"))["seconds"]
    assert 0 < spent < done["training_seconds"]
    stored = tmp_path / "run" / "results.json"
    stored.write_text(json.dumps(json.loads(stored.read_text()) | {"peak_memory": 10**15}))
    run = Run(Config(resume=tmp_path / "run", quiet=True))
    assert (run.episode, run.records.seconds) == (8, spent)
    assert run.records.results()["peak_memory"] == 10**15  # of the process that the run had before


def test_an_interrupt_at_the_very_end_is_none(
    small: Callable[..., Config], lm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def interrupted(self: Run, tell: Callable[[str], None]) -> float:
        asked.append(self.episode)
        if self.episode == 16:
            os.kill(os.getpid(), signal.SIGINT)
        return evaluate(self, tell)

    evaluate = Run._evaluate
    monkeypatch.setattr(Run, "_evaluate", interrupted)
    assert train(small(lm_folder, run_dir=tmp_path / "run"))["evaluations"][-1]["episode"] == 16
    assert asked == [0, 8, 16]


def test_processes_that_remember_are_gone_on_with(
    small: Callable[..., Config], lm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(small(lm_folder, adaptive=True, run_dir=tmp_path / "run"))
    state = load_state(latest_checkpoint(tmp_path / "run"))
    monkeypatch.setattr("reasoning_arena.train.run.load_state", lambda _: state | {"learning": state["learning"] * 2})
    with pytest.raises(TrainingError, match="2 processes"):
        Run(Config(resume=tmp_path / "run", episodes=24, quiet=True))


def test_a_run_can_be_made_longer(small: Callable[..., Config], lm_folder: Path, tmp_path: Path) -> None:
    train(small(lm_folder, run_dir=tmp_path / "run"))
    assert main(["--resume", str(tmp_path / "run"), "--episodes", "24", "--quiet"]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert [one["episode"] for one in results["training"]] == [4, 8, 12, 16, 20, 24]


def test_an_interrupted_run_saves_everything(small: Callable[..., Config], lm_folder: Path, tmp_path: Path) -> None:
    settings = [
        f"--{k.replace('_', '-')}={v}"
        for k, v in dataclasses.asdict(small(lm_folder, episodes=100_000)).items()
        if v and k not in ("tasks", "chat_template", "quiet", "samples_per_question")
    ]
    command = [
        sys.executable,
        "-m",
        "reasoning_arena.train.online",
        *settings,
        f"--run-dir={tmp_path / 'run'}",
        "--eval-interval=50000",
    ]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    seen = ""
    while not re.search(r"learning: .* [1-9]\d*/", seen):
        seen += process.stderr.read(1)
        assert process.poll() is None, seen
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    rest = process.stderr.read()
    assert "--resume" in rest
    assert "Traceback" not in rest
    process.stderr.close()
    last = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    episode = int(last.name.split("-")[1])
    assert episode > 0
    assert load_state(last)["rounds"] * 4 == episode
    assert json.loads((tmp_path / "run" / "results.json").read_text())["training"][-1]["episode"] == episode


def test_a_finished_run_is_not_written_over(small: Callable[..., Config], run: Path, lm_folder: Path) -> None:
    with pytest.raises(TrainingError, match="--resume"):
        train(small(lm_folder, run_dir=run))


@pytest.mark.parametrize("end", [50, None])
@pytest.mark.parametrize("damage", ["adapter_model.safetensors", "training_state.pt"])
def test_a_damaged_checkpoint_is_named(
    run: Path, lm_folder: Path, tmp_path: Path, damage: str, end: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run, tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoints" / "episode-000016"
    file = checkpoint / damage
    whole, weights = file.read_bytes(), load_soft_prompt(checkpoint).weight.detach().numpy().tobytes()
    other = whole.replace(weights[:8], b"\xff" * 8)  # no number in a soft prompt; a check sum elsewhere
    assert other != whole
    file.write_bytes(whole[:end] if end else other)
    if damage == "training_state.pt":
        arguments = ["--resume", str(tmp_path / "run"), "--episodes", "20", "--quiet"]
    else:
        arguments = ["--init-from", str(checkpoint), "--model", str(lm_folder), "--run-dir", str(tmp_path / "new")]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "episode-000016" in error
    if damage == "training_state.pt":
        before = sorted(checkpoint.parent.iterdir())[-2].name
        assert f"move this folder away to go on from {before}" in error
        shutil.rmtree(checkpoint)
        assert main(arguments) == 0


def test_no_checkpoint_is_ahead_of_the_records(
    small: Callable[..., Config], lm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, stops = Run(small(lm_folder, run_dir=tmp_path / "run")), iter([False, True])

    write = run.records.write

    def full() -> None:
        if run.episode:
            raise TrainingError("No space left on device")
        write()

    monkeypatch.setattr(run.records, "write", full)
    with pytest.raises(TrainingError, match="No space"):
        list(run.play(lambda: next(stops)))
    assert run.episode == 4
    assert latest_checkpoint(run.folder).name == "episode-000000"


def test_a_full_disk_leaves_the_last_results(
    small: Callable[..., Config], lm_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(small(lm_folder, run_dir=tmp_path / "run"))
    before = (tmp_path / "run" / "results.json").read_text()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("reasoning_arena.envs.files.os.replace", full)
        assert main(["--resume", str(tmp_path / "run"), "--episodes", "24", "--quiet"]) == 2
    assert (tmp_path / "run" / "results.json").read_text() == before
    assert not list((tmp_path / "run").glob(".*.part"))


@pytest.mark.parametrize("tokens", ["4", "-1", "some"])
def test_a_preamble_that_cannot_be_is_refused(tmp_path: Path, tokens: str) -> None:
    file = tmp_path / "adapter_model.safetensors"
    save_file({"prompt_embeddings": torch.zeros(4, 8)}, file, metadata={"preamble_tokens": tokens})
    with pytest.raises(TrainingError, match="checkpoint"):
        load_soft_prompt(tmp_path)
