"""Files of the namespace's own are laid over those of the system."""

from pathlib import Path

from meshtrace.checker.isolation.inside import cover_files


def test_files_and_daemons(tmp_path: Path) -> None:
    """What is there is covered; what is not there is left alone."""
    system, own = tmp_path / "system", tmp_path / "own"
    own.mkdir()
    (system / "nscd").mkdir(parents=True)
    (system / "hosts").write_text("192.0.2.1 reviews")
    commands: list[str] = []
    cover_files(
        own,
        {f"{system}/hosts": "127.0.0.1 localhost", f"{system}/resolv.conf": "nameserver"},
        [f"{system}/nscd", f"{system}/other"],
        commands.append,
    )
    assert [
        f"mount --bind {own}/hosts {system}/hosts",
        f"mount --bind {own}/empty {system}/nscd",
    ] == commands
    assert "127.0.0.1 localhost" == (own / "hosts").read_text()
