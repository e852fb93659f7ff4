"""The committed catalogue is of the tasks as they are."""

from pathlib import Path

import pytest
from reasoning_arena.envs import REGISTRY, get_task
from reasoning_arena.envs.catalogue import description, examples, main, sections

CATALOGUE = Path(__file__).parents[2] / "envs" / "CATALOGUE.md"


@pytest.mark.parametrize("name", list(REGISTRY))
def test_every_task_is_described_as_it_is(name: str) -> None:
    text, task = CATALOGUE.read_text(encoding="utf-8"), get_task(name)
    assert f"\n## {name}\n" in text
    assert description(task) in text
    assert examples(task) in text


def test_nothing_failed() -> None:
    assert CATALOGUE.read_text(encoding="utf-8").count("| 5 |") == len(REGISTRY)


def test_one_section_is_made_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, text = tmp_path / "catalogue.md", CATALOGUE.read_text(encoding="utf-8")
    out.write_text(text.replace(description(get_task("math")), "Forgotten."), encoding="utf-8")
    assert main(["--out", str(out), "--tasks", "math", "--problems", "20"]) == 0
    assert capsys.readouterr().err == "math: ok\n"
    again = out.read_text(encoding="utf-8")
    assert description(get_task("math")) in again
    old, new = sections(text), sections(again)
    assert list(old) == list(new) == list(REGISTRY)
    assert {name for name in old if old[name] != new[name]} <= {"math"}
    assert main(["--out", str(out), "--tasks", "maths"]) == 2
    assert out.read_text(encoding="utf-8") == again


def test_a_wrong_path_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", "/nowhere/at/all.md"]) == 2
    assert "no folder" in capsys.readouterr().err
