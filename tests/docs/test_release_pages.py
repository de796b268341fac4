"""The pages on releases do what they say: every command of theirs is run, in the order in which it stands there."""

from __future__ import annotations

import json
import re
import shlex
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path

import pytest

from bedplate.cli.main import main
from bedplate.release.publish.roles import RULES
from bedplate.testing.releases import VERSION, prepared_release
from bedplate.testing.store import MemoryStore
from tests.unit.release.publisher import Publisher, exchanging, publishing

HOW_TO = Path(__file__).parents[2] / "docs/how-to"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FIRST = "publish-a-release.md"


class Reader:
    """Somebody who types what a page says, in a folder with a release that is ready."""

    FILES = ("repository", "keys", "prepared", "bundle.zip")

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys
        prepared_release(folder / "prepared", VERSION)

    def commands(self, page: str) -> list[str]:
        lines = "".join(BLOCK.findall((HOW_TO / page).read_text())).splitlines()
        return [line for line in lines if line.startswith("bedplate ")]

    def follow(self, commands: list[str]) -> None:
        for line in commands:
            self.run(*[self.a_root_key() if word == "KEY" else word for word in shlex.split(line)[1:]])

    def run(self, *words: str) -> str:
        code = main([str(self.folder / word) if word in self.FILES else word for word in words])
        out, err = self.capsys.readouterr()
        assert code == 0, f"{shlex.join(words)}\n{err}"
        return out

    def a_root_key(self) -> str:
        shown = json.loads(self.run("release", "show", "--repository", "repository", "--output", "json"))
        return str(shown["holders"][0]["keys"][0])


@pytest.fixture
def reader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Reader:
    return Reader(tmp_path, capsys)


def test_the_page_on_publishing_can_be_followed(reader: Reader) -> None:
    commands = reader.commands(FIRST)
    assert len(commands) >= 9
    reader.follow(commands)


@pytest.mark.parametrize("role", RULES)
def test_nodes_can_look_at_the_server_after_each_copy_of_the_page(tmp_path: Path, role: str) -> None:
    publisher = Publisher(tmp_path)
    publisher.do(publishing())
    served = MemoryStore(dict(publisher.store.files))
    publisher.do(exchanging(publisher, role))
    whole, publisher.store = publisher.store.files, served
    lines = re.findall(r"^rsync .*", (HOW_TO / FIRST).read_text(), re.MULTILINE)
    for line in lines:
        copied = [path for path in whole if is_copied(line, path)]
        assert copied, line
        served.files |= {path: whole[path] for path in copied}
        assert publisher.node(f"node-{lines.index(line)}").release(VERSION).version == VERSION, line
    assert served.files == whole


def is_copied(line: str, path: str) -> bool:
    """Whether rsync(1), told so, takes a file of the repository; a pattern without a slash goes by the name alone."""
    *words, source, _ = shlex.split(line)
    excluded = [word for before, word in pairwise(words) if before == "--exclude"]
    name = path.rpartition("/")[2]
    among = fnmatchcase(f"repository/{path}", f"{source}*" if source.endswith("/") else source)
    return among and not any(fnmatchcase(path if "/" in pattern else name, pattern) for pattern in excluded)


@pytest.mark.parametrize("page", ["rotate-keys.md", "update-without-a-network.md"])
def test_the_page_can_be_followed_after_that_on_publishing(reader: Reader, page: str) -> None:
    before = [line for line in reader.commands(FIRST) if " withdraw " not in line]
    commands = reader.commands(page)
    assert commands
    reader.follow([*before, *commands])
    reader.run("release", "verify", "--repository", "repository")
