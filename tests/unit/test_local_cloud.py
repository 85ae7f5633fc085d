"""What the local cloud kept is made fit for its next start, or refused before it can be lost."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dev import environments
from dev.console import Problem
from dev.local_cloud import LocalCloud, free_port

WHOLE = json.dumps({"__ministack_format__": 2, "payload": {"tables": {}}})
QUEUE = "http://127.0.0.1:4566/000000000000/casefile-Requests.fifo"


class Begun(Exception):
    pass


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalCloud:
    """One that has kept something, and gets as far as beginning."""

    def begin(self: LocalCloud, python: Path) -> None:
        raise Begun

    monkeypatch.setattr(LocalCloud, "_launch", begin)
    monkeypatch.setattr(environments, "prepare", lambda environment: environment.python)
    (tmp_path / "state").mkdir()
    return LocalCloud(state=tmp_path, port=free_port())


def keep(cloud: LocalCloud, **files: str) -> None:
    for name, text in files.items():
        (cloud.state / "state" / f"{name}.json").write_text(text)


def kept(cloud: LocalCloud) -> dict[str, str]:
    return {path.name: path.read_text() for path in (cloud.state / "state").iterdir()}


@pytest.mark.parametrize("name", ["dynamodb", "lambda", "sqs", "cloudformation", "cognito"])
@pytest.mark.parametrize("damaged", [WHOLE[:-20], "", "\0" * 20, "[]", "{}", "null"])
def test_a_damaged_file_is_named_and_nothing_is_started_or_changed(
    cloud: LocalCloud, name: str, damaged: str
) -> None:
    positions = {"payload": {"dynamodb_stream_positions": {"a": 1}}}
    files = {"lambda": json.dumps(positions), "sqs": json.dumps({"payload": {"url": QUEUE}})}
    keep(cloud, **files | {name: damaged})
    before = kept(cloud)
    with pytest.raises(Problem, match=rf"/{name}\.json is damaged.*nothing was changed"):
        cloud.start()
    assert kept(cloud) == before
    keep(cloud, **{name: WHOLE})  # It was put back, and is not held.
    with pytest.raises(Begun):
        cloud.start()


def test_streams_are_read_anew(cloud: LocalCloud) -> None:
    positions = {"dynamodb_stream_positions": {"a": 1}, "esms": {}}
    keep(cloud, **{"lambda": json.dumps({"payload": positions})})
    with pytest.raises(Begun):
        cloud.start()
    assert kept(cloud) == {"lambda.json": json.dumps({"payload": {"esms": {}}})}


def test_queues_have_the_address_of_the_port_and_nothing_else_is_touched(
    cloud: LocalCloud,
) -> None:
    def state(queue: str) -> str:
        said = {"message": f"look at {QUEUE}", "address": QUEUE, "quoted": f"'{QUEUE}'"}
        bodies = [json.dumps({"payload": said}), f"see {QUEUE}", f"it is '{QUEUE}'"]
        messages = [{"body": body} for body in bodies]
        return json.dumps(
            {
                "payload": {
                    "queues": {
                        f"000000000000\0us-east-1\0{queue!r}": {"url": queue, "m": messages}
                    },
                    "queue_name_to_url": {"000000000000\0us-east-1\0'casefile-Requests'": queue},
                    "elsewhere": "http://127.0.0.1:4566/docs",
                }
            }
        )

    table = json.dumps({"payload": {"items": [{"content": {"S": QUEUE}}]}})
    keep(cloud, sqs=state(QUEUE), cloudformation=state(QUEUE), dynamodb=table)
    moved = QUEUE.replace(":4566", f":{cloud.port}")
    for _ in range(2):
        with pytest.raises(Begun):
            cloud.start()
        assert kept(cloud) == {
            "sqs.json": state(moved),
            "cloudformation.json": state(moved),
            "dynamodb.json": table,
        }


def test_who_waits_for_a_stop_does_not_wait_for_the_deletion_of_what_was_unpacked(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(self: LocalCloud, python: Path) -> None:
        (self.state / "tmp").mkdir()
        self._process = subprocess.Popen(["sleep", "60"], start_new_session=True)

    seen: list[bool] = []
    rmtree = shutil.rmtree

    def delete(folder: Path, **_: object) -> None:
        monkeypatch.setattr(shutil, "rmtree", rmtree)
        with LocalCloud(state=cloud.state, port=free_port()):
            seen.extend((folder.exists(), (cloud.state / "tmp").exists()))
        rmtree(folder)

    monkeypatch.setattr(LocalCloud, "_launch", launch)
    monkeypatch.setattr(LocalCloud, "_wait_until_healthy", lambda self: None)
    with cloud:
        monkeypatch.setattr(shutil, "rmtree", delete)
    assert seen == [True, True]
    assert [path.name for path in cloud.state.glob("tmp*")] == []
