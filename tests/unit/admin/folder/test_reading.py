"""Files of a folder become one document, each object with its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from admin.cli import main
from admin.config_file import read_document
from admin.documents.faults import DocumentError
from admin.folder import reading
from admin.folder.reading import read_folder, signature_of
from proxy.errors import Fault
from tests.peers.kubelet import ConfigMapMount

LISTENERS = "listeners: {public: {bind: '127.0.0.1:0'}}\n"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def faults(folder: Path) -> list[str]:
    with pytest.raises(DocumentError) as refused:
        read_folder(folder)
    return [f"{fault.path} {fault.message}" for fault in refused.value.faults]


def test_documents_are_put_together_by_the_names_of_their_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        b_yaml="version: 1\npools: {two: {}}\nx-note: b\n",
        a_json='{"pools": {"one": {}}, "routes": {}}',
        c_yml=LISTENERS,
        notes_txt="]not a document",
    )
    (tmp_path / ".hidden.yaml").write_text("]")
    (tmp_path / "folder.yaml").mkdir()
    said = read_folder(tmp_path)
    assert said.document == {
        "version": 1,
        "pools": {"one": {}, "two": {}},
        "routes": {},
        "x-note": "b",
        "listeners": {"public": {"bind": "127.0.0.1:0"}},
    }
    assert said.files == {
        "/pools/one": "a.json",
        "/pools/two": "b.yaml",
        "/x-note": "b.yaml",
        "/listeners/public": "c.yml",
    }
    assert read_document(tmp_path) == said.document


def test_every_fault_of_every_file_is_found_with_its_file(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_yaml="pools: {one: {}, two: {}}\nx-note: 1\n",
        b_yaml="pools: {two: {}}\nx-note: 1\n",
        c_json="[]",
        d_json="{",
        e_yaml="version: 2\nroutes: []\n",
    )
    assert faults(tmp_path) == [
        "b.yaml:/pools/two a.yaml has it too",
        "b.yaml:/x-note a.yaml has it too",
        "c.json: a document is an object",
        "d.json: not JSON at line 1, column 2: Expecting property name enclosed in double quotes",
        "e.yaml:/version this version's format is 1",
        "e.yaml:/routes it holds objects by name",
    ]


def test_folder_that_is_empty_or_gone_is_refused(tmp_path: Path) -> None:
    write(tmp_path, notes_txt="")
    assert faults(tmp_path) == [f"{tmp_path} there is no document in it"]
    gone = tmp_path / "gone"
    assert faults(gone) == [f"{gone} cannot be read: No such file or directory"]
    with pytest.raises(FileNotFoundError):
        signature_of(gone)


def test_faults_of_the_whole_lead_to_their_files(tmp_path: Path) -> None:
    said = read_folder(write(tmp_path, a_yaml="pools: {one: {}}\nx-note: 1\n"))
    located = [
        said.located(Fault(path, "")).path for path in ("/pools/one/x", "/x-note", "/pools/a")
    ]
    assert located == ["a.yaml:/pools/one/x", "a.yaml:/x-note", "/pools/a"]


def test_configmap_is_read_behind_its_link_alone(tmp_path: Path) -> None:
    mount = ConfigMapMount(tmp_path, {"a.yaml": "pools: {one: {}}", "b.yaml": "pools: {two: {}}"})
    before = signature_of(tmp_path)
    assert signature_of(tmp_path) == before
    # The kubelet links new names after the swap: what is served is what ..data has.
    write(tmp_path, z_yaml="]")
    assert list(read_folder(tmp_path).files) == ["/pools/one", "/pools/two"]
    mount.update({"b.yaml": "pools: {three: {}}"})
    assert signature_of(tmp_path) != before
    assert read_folder(tmp_path).files == {"/pools/three": "b.yaml"}


def test_swap_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = ConfigMapMount(tmp_path, {"a.yaml": "pools: {one: {}}", "b.yaml": "pools: {two: {}}"})
    files = reading._files
    swaps = [{"a.yaml": "pools: {one: {}}", "c.yaml": "pools: {three: {}}"}]

    def found(root: Path) -> list[Path]:
        listed = files(root)
        if swaps:
            mount.update(swaps.pop())  # the files just listed are gone with it
        return listed

    monkeypatch.setattr(reading, "_files", found)
    assert read_folder(tmp_path).files == {"/pools/one": "a.yaml", "/pools/three": "c.yaml"}


def test_check_tells_the_files_of_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, a_yaml="pools: {one: {}}", b_yaml=LISTENERS)
    assert main(["check", str(tmp_path)]) == 0
    write(tmp_path, c_yaml="routes: {all: {path: {prefix: /}, pool: noe}}")
    assert main(["check", str(tmp_path)]) == 2
    assert "c.yaml:/routes/all/pool: there is no pool 'noe'" in capsys.readouterr().out
