"""The project of a call by folder, git, MCP roots, headers and paths."""

import os
import subprocess
from pathlib import Path

import pytest

from engines import system
from mcp_server.project import at, git_root, here, named, of_paths, of_roots, owner
from mcp_server.settings import ProjectSettings
from tools.base import Project


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path.resolve() / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def folder(*parts: Path | str) -> Path:
    made = Path(*parts)
    made.mkdir(parents=True, exist_ok=True)
    return made


def configured(**projects: ProjectSettings) -> dict[str, ProjectSettings]:
    return projects


# The folder a process is started in


def test_the_folder_itself_where_there_is_no_git(home: Path) -> None:
    assert here({}, {}, folder(home, "work")) == Project("work", home / "work")


def test_the_root_of_the_work_tree_from_anywhere_in_it(home: Path) -> None:
    folder(home, "work", ".git")
    assert here({}, {}, folder(home, "work", "deep", "down")) == Project("work", home / "work")


def test_a_linked_work_tree_is_its_own_root(home: Path) -> None:
    main = folder(home, "main")
    git(main, "init", "-q", "-b", "main")
    git(main, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "first")
    git(main, "worktree", "add", "-q", str(home / "linked"))
    assert (home / "linked" / ".git").is_file()
    assert here({}, {}, folder(home, "linked", "sub")) == Project("linked", home / "linked")


def git(where: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=where, check=True, capture_output=True, timeout=30)


def test_the_innermost_of_nested_work_trees(home: Path) -> None:
    folder(home, "outer", ".git")
    folder(home, "outer", "vendor", "inner", ".git")
    assert (
        here({}, {}, folder(home, "outer", "vendor", "inner", "src")).root
        == home / "outer" / "vendor" / "inner"
    )
    assert here({}, {}, home / "outer" / "vendor").root == home / "outer"


def test_a_folder_of_a_monorepo_is_the_monorepo(home: Path) -> None:
    folder(home, "mono", ".git")
    for package in ("a", "b"):
        assert here({}, {}, folder(home, "mono", "packages", package)) == Project("mono", home / "mono")


def test_a_configured_folder_of_a_monorepo_is_seen_by_its_paths_only(home: Path) -> None:
    folder(home, "mono", ".git")
    projects = configured(a=ProjectSettings(paths=(folder(home, "mono", "packages", "a"),), adapter="tuned"))
    assert here(projects, {}, home / "mono" / "packages").name == "mono"
    assert owner(projects, home / "mono" / "packages" / "a" / "x.py") == "a"


def test_a_link_to_a_project_is_the_project(home: Path) -> None:
    folder(home, "work", ".git")
    folder(home, "work", "sub")
    (home / "alias").symlink_to(home / "work" / "sub")
    assert here({}, {}, home / "alias") == Project("work", home / "work")


@pytest.mark.parametrize("where", ["/", "~"])
def test_everything_is_no_project(where: str, home: Path) -> None:
    assert here({}, {}, Path(where.replace("~", str(home)))) == Project()


def test_home_through_a_link_is_still_everything(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "alias").symlink_to(home)
    monkeypatch.setenv("HOME", str(tmp_path / "alias"))
    assert here({}, {}, home) == Project()


def test_home_under_git_does_not_make_every_folder_in_it_everything(home: Path) -> None:
    folder(home, ".git")
    assert here({}, {}, folder(home, "notes")) == Project("notes", home / "notes")


def test_without_a_home_there_still_is_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    assert here({}, {}, folder(tmp_path, "work")).root == (tmp_path / "work").resolve()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("my app (1)", "my-app-1-"),
        ("größe", "größe"),
        ("a\nb", "a-b"),
        ("$(x);'\"", "-x-"),
        ("仕事", "仕事"),
        ("v1.2_b@c", "v1.2_b@c"),
        ("🦙", "-"),
    ],
)
def test_a_folder_of_any_name_has_a_label_fit_for_metrics(name: str, label: str, home: Path) -> None:
    assert here({}, {}, folder(home, name)) == Project(label, home / name)


def test_a_folder_whose_name_is_not_utf8_has_a_label_that_is(home: Path) -> None:
    project = here({}, {}, folder(home, os.fsdecode(b"caf\xe9")))
    assert project.name == "caf-"
    assert project.root is not None


# CLAUDE_PROJECT_DIR and --project


def test_the_host_says_where_the_project_is(home: Path) -> None:
    told = {"CLAUDE_PROJECT_DIR": str(folder(home, "told"))}
    assert here({}, told, folder(home, "cwd")) == Project("told", home / "told")


@pytest.mark.parametrize("told", ["", "/nowhere/at/all", "relative/nowhere", "{home}/file", "~"])
def test_a_host_that_says_nonsense_is_not_heard(told: str, home: Path) -> None:
    (home / "file").write_text("")
    environ = {"CLAUDE_PROJECT_DIR": told.format(home=home)}
    assert here({}, environ, folder(home, "cwd")) == Project("cwd", home / "cwd")


@pytest.mark.parametrize("told", ["/", "{home}"])
def test_a_host_may_not_make_everything_a_project(told: str, home: Path) -> None:
    assert here({}, {"CLAUDE_PROJECT_DIR": told.format(home=home)}, folder(home, "cwd")) == Project()


def test_a_name_wins_and_keeps_the_folder(home: Path) -> None:
    projects = configured(erp=ProjectSettings(paths=(folder(home, "erp"),), adapter="tuned"))
    assert here(projects, {}, folder(home, "cwd"), "erp") == Project(
        "erp", home / "cwd", (home / "erp",), "tuned"
    )
    assert here(projects, {}, home, "erp") == Project("erp", home / "erp", (), "tuned")
    assert here(projects, {}, home / "cwd", "other") == Project("other", home / "cwd")


def test_a_configured_project_is_known_by_the_folder(home: Path) -> None:
    projects = configured(
        outer=ProjectSettings(paths=(folder(home, "work"),), adapter="outer"),
        inner=ProjectSettings(paths=(folder(home, "work", "inner"), folder(home, "data")), adapter="inner"),
    )
    assert here(projects, {}, folder(home, "work", "x")) == Project(
        "outer", home / "work" / "x", (home / "work",), "outer"
    )
    found = here(projects, {}, folder(home, "work", "inner", "y"))
    assert (found.name, found.adapter) == ("inner", "inner")
    assert found.folders == (home / "work" / "inner", home / "data")


def test_a_folder_with_the_same_beginning_is_another_project(home: Path) -> None:
    projects = configured(erp=ProjectSettings(paths=(folder(home, "erp"),)))
    assert owner(projects, home / "erp") == "erp"
    assert owner(projects, home / "erp" / "a") == "erp"
    assert owner(projects, home / "erp2" / "a") is None


def test_two_processes_in_two_projects_do_not_meet(home: Path) -> None:
    projects = configured(
        a=ProjectSettings(paths=(folder(home, "a"),), adapter="one"),
        b=ProjectSettings(paths=(folder(home, "b"),), adapter="two"),
    )
    first, second = here(projects, {}, home / "a"), here(projects, {}, home / "b")
    assert (first.name, first.root, first.adapter) == ("a", home / "a", "one")
    assert (second.name, second.root, second.adapter) == ("b", home / "b", "two")
    assert home / "b" not in (first.root, *first.folders)


# X-Project


def test_a_header_names_a_configured_project(home: Path) -> None:
    projects = configured(
        erp=ProjectSettings(paths=(folder(home, "erp"), folder(home, "more")), adapter="tuned")
    )
    assert named(projects, "erp") == Project("erp", home / "erp", (home / "more",), "tuned")


def test_without_a_header_it_is_the_default_project(home: Path) -> None:
    assert named({}, "") == Project()
    projects = configured(default=ProjectSettings(paths=(folder(home, "all"),)))
    assert named(projects, "").root == home / "all"


@pytest.mark.parametrize("name", ["erp", "../erp", "/etc", "..", "ERP ", "e" * 500, "a\nb", "\0", "é"])
def test_a_header_that_names_no_project_reads_nothing(name: str) -> None:
    project = named(configured(other=ProjectSettings(paths=(Path("/"),))), name)
    assert (project.root, project.folders, project.adapter) == (None, (), None)
    assert 0 < len(project.name) <= 64
    assert not set("/\n\0 ") & set(project.name)


def test_a_project_without_folders_reads_nothing() -> None:
    assert named(configured(erp=ProjectSettings(adapter="tuned")), "erp") == Project("erp", None, (), "tuned")


# Paths in the call


@pytest.mark.parametrize("shape", [list, str])
@pytest.mark.parametrize(
    "path", ["{home}/erp/a.txt", "{home}/erp", "~/erp/*.txt", "{home}/x/../erp/a", "{home}/alias/a"]
)
def test_an_absolute_path_selects_the_project(path: str, shape: type, home: Path) -> None:
    projects = configured(erp=ProjectSettings(paths=(folder(home, "erp"),)))
    (home / "alias").symlink_to(home / "erp")
    given = path.format(home=home)
    assert of_paths(projects, {"paths": given if shape is str else ["relative.txt", given]}) == Project(
        "erp", home / "erp"
    )


@pytest.mark.parametrize(
    "paths",
    [None, [], "", "erp/a.txt", ["a", 3, None, {}], 3, {"a": 1}, "{home}/erp2/a", "{home}/erp/../other",
     "{home}/erp\0", "/"],
)  # fmt: skip
def test_other_paths_select_no_project(paths: object, home: Path) -> None:
    projects = configured(erp=ProjectSettings(paths=(folder(home, "erp"),)))
    given = paths.format(home=home) if isinstance(paths, str) else paths
    assert of_paths(projects, {"paths": given}) is None
    assert of_paths(projects, {}) is None


def test_a_link_out_of_a_project_does_not_select_it(home: Path) -> None:
    projects = configured(erp=ProjectSettings(paths=(folder(home, "erp"),)))
    (home / "erp" / "out").symlink_to(home)
    assert of_paths(projects, {"paths": [f"{home}/erp/out/notes.txt"]}) is None


def test_the_first_path_in_a_project_decides(home: Path) -> None:
    projects = configured(
        a=ProjectSettings(paths=(folder(home, "a"),)), b=ProjectSettings(paths=(folder(home, "b"),))
    )
    found = of_paths(projects, {"paths": [f"{home}/x", f"{home}/b/1", f"{home}/a/1"]})
    assert found is not None
    assert found.name == "b"


# MCP roots


@pytest.mark.parametrize("scheme", ["file://", "file://localhost", "FILE://"])
def test_a_root_of_the_client_is_the_project(scheme: str, home: Path) -> None:
    folder(home, "my app")
    assert of_roots({}, [f"{scheme}{home}/my%20app"]) == Project("my-app", home / "my app")


def test_the_first_root_that_is_a_folder_here_counts(home: Path) -> None:
    folder(home, "second")
    (home / "file").write_text("")
    uris = ["https://example.org/x", f"file://{home}/nowhere", f"file://{home}/file", f"file://{home}/second"]
    found = of_roots({}, uris)
    assert found is not None
    assert found.root == home / "second"


@pytest.mark.parametrize(
    "uri",
    ["", "file://", "file:///", "file://{home}", "{home}/work", "file://other{home}/work", "http://{home}/work",
     "file://[bad{home}", "file://{home}/%00", "file:{home}/work", "file://.", "file://{home}/work/.."],
)  # fmt: skip
def test_other_roots_are_none(uri: str, home: Path) -> None:
    folder(home, "work")
    assert of_roots({}, [uri.format(home=home)]) is None


def test_a_root_in_a_configured_project_is_that_project(home: Path) -> None:
    projects = configured(erp=ProjectSettings(paths=(folder(home, "erp"),), adapter="tuned"))
    found = of_roots(projects, [f"file://{folder(home, 'erp', 'sub')}"])
    assert found == Project("erp", home / "erp" / "sub", (home / "erp",), "tuned")


def test_a_project_at_a_folder_with_no_name_has_one() -> None:
    assert at({}, Path("/")).name == "default"


def test_a_git_folder_that_cannot_be_looked_at_is_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(home, "work", ".git")
    monkeypatch.setattr(os, "stat", _denied)
    assert git_root(home / "work") == home / "work"


def _denied(path: object, **options: object) -> os.stat_result:
    raise PermissionError(13, "Permission denied", str(path))


# Windows and WSL


def test_where_windows_starts_desktop_hosts_is_no_project(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "WINDOWS", True)
    monkeypatch.setenv("SYSTEMROOT", str(folder(home, "Windows")))
    assert here({}, {}, folder(home, "Windows", "System32")) == Project()
    assert here({}, {}, folder(home, "work")) == Project("work", home / "work")


def test_in_wsl_the_root_of_a_client_on_windows_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"file://wsl.localhost/Ubuntu{folder(home, 'work')}"
    assert of_roots({}, [uri]) is None
    monkeypatch.setattr(system, "IN_WSL", True)
    assert of_roots({}, [uri]) == Project("work", home / "work")


def test_a_configured_folder_contains_what_is_in_it_by_another_name(home: Path, tmp_path: Path) -> None:
    projects = configured(erp=ProjectSettings(paths=(folder(home, "erp"),)))
    (tmp_path / "alias").symlink_to(home / "erp")
    assert owner(projects, tmp_path / "alias" / "a.txt") == "erp"
