"""What a run leaves behind: its folder, and what TensorBoard shows of it."""

import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from reasoning_arena.train.command import exit_status
from reasoning_arena.train.config import Config
from reasoning_arena.train.memory import peak_memory
from reasoning_arena.train.online import train
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def test_a_run_folder_holds_everything(run: Path) -> None:
    assert {"config.json", "results.json", "learning_curves.png", "checkpoints"} <= {
        path.name for path in run.iterdir()
    }
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == [f"episode-{n:06d}" for n in (0, 8, 16)]
    results = json.loads((run / "results.json").read_text())
    assert set(results) >= {"config", "initial", "final", "evaluations", "training", "episodes_per_second"}
    assert [one["episode"] for one in results["evaluations"]] == [0, 8, 16]
    assert [one["episode"] for one in results["training"]] == [4, 8, 12, 16]
    assert set(results["training"][0]) == {"episode", "loss", "reward", "accuracy_before", "accuracy_after"}
    assert set(results["final"]) == {"accuracy", "per_task"}
    assert results["config"]["model"] == Config.from_json(results["config"]).model
    assert (run / "learning_curves.png").read_bytes()[:4] == b"\x89PNG"


def test_tensorboard_holds_the_documented_tags(run: Path) -> None:
    events = EventAccumulator(str(run))
    events.Reload()
    tags = {
        "train/loss", "train/reward", "train/accuracy_before", "train/accuracy_after", "eval/accuracy", "eval/math/accuracy",
        "soft_prompt/grad_norm", "soft_prompt/rms", "speed/episodes_per_second",
    }  # fmt: skip
    assert tags <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("train/loss")] == [4, 8, 12, 16]
    assert [event.step for event in events.Scalars("eval/accuracy")] == [0, 8, 16]
    text = events.Tensors("held_out/answers/text_summary")[-1].tensor_proto.string_val[0].decode()
    assert "| question | before | now | gold |" in text


def test_tensorboard_serves_the_run(run: Path) -> None:
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(run), "--port", "0", "--host", "127.0.0.1"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        assert server.stderr is not None
        address = None
        while address is None:
            line = server.stderr.readline()
            assert line, "TensorBoard ended before it served"
            address = re.search(r"http://127\.0\.0\.1:\d+/", line)
        tags: dict[str, dict[str, object]] = {}
        deadline = time.monotonic() + 60
        while not tags and time.monotonic() < deadline:
            with urllib.request.urlopen(f"{address[0]}data/plugin/scalars/tags") as answer:
                tags = json.loads(answer.read())
            time.sleep(0.5)
        (served,) = tags.values()
        assert {"train/loss", "eval/accuracy", "train/accuracy_after"} <= set(served)
    finally:
        server.terminate()
        server.wait(30)
        assert server.stderr is not None
        server.stderr.close()


def test_every_round_is_recorded_under_its_episode(
    small: Callable[..., Config], lm_folder: Path, tmp_path: Path
) -> None:
    train(small(lm_folder, run_dir=tmp_path / "run", episodes=80, eval_interval=80))  # rounds wait for one another
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert [one["episode"] for one in results["training"]] == list(range(4, 84, 4))
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == list(range(4, 84, 4))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."), "out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory.\nMore."), "out of memory"),
        (OSError(28, "No space left on device"), "No space left"),
    ],
)
def test_a_machine_that_is_too_small_is_told_in_one_line(
    error: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> None:
        thread = threading.Thread(target=fail)
        if isinstance(error, OSError):  # as TensorBoard's writer ends first
            thread.start()
            thread.join()
        fail()

    def fail() -> None:
        raise error

    before = threading.excepthook
    assert exit_status(run) == 2
    assert threading.excepthook is before
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_mistake_of_ours_is_not_hidden() -> None:
    def run() -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        exit_status(run)


def test_memory_is_told_where_the_system_keeps_no_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    assert peak_memory(torch.device("cpu")) > 2**20
    monkeypatch.setattr(Path, "read_text", lambda path: "VmSize: 5 kB")
    assert peak_memory(torch.device("cpu")) > 2**20
