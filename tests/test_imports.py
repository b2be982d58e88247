"""Something is done when a module has been imported, and its import stays what it was."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from importlib import resources
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from meshtrace.imports import forget, when_imported

NAME = "meshtrace_test_library"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the folder of a package that can be imported and is not yet."""
    folder = tmp_path / NAME
    folder.mkdir()
    (folder / "__init__.py").write_text("'''A library.'''\nfrom . import part\nNAME = part.NAME\n")
    (folder / "part.py").write_text("NAME = 'part'\n")
    (folder / "data.txt").write_text("data")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", sys.meta_path.copy())
    yield folder
    forget(NAME)
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


@pytest.fixture
def done() -> list[str]:
    """Collect what was done."""
    return []


@pytest.fixture
def waiting(library: Path, done: list[str]) -> Path:
    """Wait for the library."""
    when_imported(NAME, lambda: done.append(sys.modules[NAME].NAME))
    assert [] == done
    return library


class TestWhen:
    """When it is done."""

    def test_at_once(self, done: list[str]) -> None:
        """For a module that is loaded, at once, and no finder is needed."""
        before = sys.meta_path.copy()
        when_imported("sys", lambda: done.append("now"))
        assert ["now"] == done
        assert before == sys.meta_path

    @pytest.mark.usefixtures("waiting")
    def test_after_the_import(self, done: list[str]) -> None:
        """For a module that is not, right after its import, when all of it is there, and once."""
        assert NAME not in sys.modules
        importlib.import_module(NAME)
        importlib.import_module(NAME)
        assert ["part"] == done

    @pytest.mark.usefixtures("waiting")
    def test_by_a_part_of_it(self, done: list[str]) -> None:
        """The import of a part of the package is one of the package."""
        importlib.import_module(f"{NAME}.part")
        assert ["part"] == done

    @pytest.mark.usefixtures("waiting")
    def test_forgotten(self, done: list[str]) -> None:
        """What is forgotten is not done; forgetting what nobody waits for is no error."""
        forget(NAME)
        forget(NAME)
        importlib.import_module(NAME)
        assert [] == done

    @pytest.mark.usefixtures("library")
    def test_the_later_one(self, done: list[str]) -> None:
        """Of two calls of one waiter for the same module, the later one counts."""
        when_imported(NAME, lambda: done.append("first"))
        when_imported(NAME, lambda: done.append("second"))
        importlib.import_module(NAME)
        assert ["second"] == done

    @pytest.mark.usefixtures("library")
    def test_two_waiters(self, done: list[str]) -> None:
        """Two that wait for the same module do not know each other; one of them may leave."""
        for waiter in ("first", "second", "third"):
            when_imported(NAME, lambda waiter=waiter: done.append(waiter), waiter=waiter)  # type: ignore[misc]  # mypy: the lambda's own
        forget(NAME, waiter="second")
        importlib.import_module(NAME)
        assert ["first", "third"] == done

    @pytest.mark.usefixtures("library")
    def test_a_part(self, done: list[str]) -> None:
        """For a part of a package, it is done when the package has the part."""
        part = f"{NAME}.part"
        when_imported(part, lambda: done.append(sys.modules[NAME].part.NAME))
        importlib.import_module(part)
        assert ["part"] == done

    def test_not_for_another(self, waiting: Path, done: list[str]) -> None:
        """Modules of other names are found and loaded as ever."""
        (waiting.parent / f"{NAME}_other.py").write_text("NAME = 'other'\n")
        other = importlib.import_module(f"{NAME}_other")
        del sys.modules[f"{NAME}_other"]
        assert "other" == other.NAME
        assert [] == done

    def test_a_module_that_is_not_there(self, done: list[str]) -> None:
        """A module that cannot be found is the same error as ever."""
        when_imported("meshtrace_test_nowhere", lambda: done.append("never"))
        with pytest.raises(ModuleNotFoundError, match="No module named 'meshtrace_test_nowhere'"):
            importlib.import_module("meshtrace_test_nowhere")
        forget("meshtrace_test_nowhere")
        assert [] == done

    def test_an_import_that_fails(self, waiting: Path, done: list[str]) -> None:
        """An import that fails raises its own error; the next one that succeeds counts."""
        (waiting / "part.py").write_text("raise ValueError('not yet')\n")
        with pytest.raises(ValueError, match="not yet"):
            importlib.import_module(NAME)
        assert ([], False) == (done, NAME in sys.modules)
        (waiting / "part.py").write_text("NAME = 'in the end'\n")
        importlib.invalidate_caches()
        importlib.import_module(NAME)
        assert ["in the end"] == done

    @pytest.mark.usefixtures("waiting")
    def test_reloaded(self, done: list[str]) -> None:
        """Reloading the module works, and is not its first import."""
        module = importlib.import_module(NAME)
        assert module is importlib.reload(module)
        assert ["part"] == done


class TestItStaysWhatItWas:
    """The module knows nothing of it."""

    def test_its_loader(self, waiting: Path) -> None:
        """Its loader is its own, by every name."""
        module = importlib.import_module(NAME)
        spec = module.__spec__
        assert spec is not None
        assert [SourceFileLoader] * 2 == [type(spec.loader), type(module.__loader__)]
        assert spec.loader is module.__loader__
        assert str(waiting / "__init__.py") == spec.origin == module.__file__

    @pytest.mark.usefixtures("waiting")
    def test_its_data_and_its_source(self) -> None:
        """Its data files and its source are found."""
        module = importlib.import_module(NAME)
        assert "data" == resources.files(NAME).joinpath("data.txt").read_text()
        assert inspect.getsource(module).startswith("'''A library.'''")

    def test_its_loader_while_it_runs(self, waiting: Path) -> None:
        """Its own code sees its own loader, too."""
        (waiting / "part.py").write_text(
            f"import sys\nNAME = type(sys.modules[{NAME!r}].__spec__.loader).__name__\n"
        )
        assert "SourceFileLoader" == importlib.import_module(NAME).NAME

    def test_who_only_looks(self, waiting: Path, done: list[str]) -> None:
        """Who looks for the module without importing it finds its file and its source."""
        spec = importlib.util.find_spec(NAME)
        assert spec is not None
        assert spec.loader is not None
        assert str(waiting / "__init__.py") == spec.origin == spec.loader.get_filename(NAME)  # type: ignore[attr-defined]  # of a loader of files
        assert spec.loader.is_package(NAME)  # type: ignore[attr-defined]  # as above
        with pytest.raises(AttributeError):
            _ = spec.loader.no_such_name  # type: ignore[attr-defined]  # that is what is tested
        assert ([], False) == (done, NAME in sys.modules)

    @pytest.mark.usefixtures("waiting")
    def test_loaded_by_hand(self, done: list[str]) -> None:
        """Who loads it from its spec, as some tools do, loads it as ever."""
        spec = importlib.util.find_spec(NAME)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[NAME] = module
        spec.loader.exec_module(module)
        assert "part" == module.NAME
        assert ["part"] == done

    @pytest.mark.usefixtures("waiting")
    def test_run_again_by_hand(self, done: list[str]) -> None:
        """Its code may be run again, in a module without a spec, and that is no first import."""
        spec = importlib.util.find_spec(NAME)
        assert spec is not None
        assert spec.loader is not None
        importlib.import_module(NAME)
        module = ModuleType(NAME)
        module.__package__ = NAME
        spec.loader.exec_module(module)
        assert "part" == module.NAME
        assert ["part"] == done

    def test_a_folder_without_a_module(self, library: Path, done: list[str]) -> None:
        """A namespace package, which has hardly a loader, is imported, and done with."""
        (library / "__init__.py").unlink()
        when_imported(NAME, lambda: done.append("now"))
        module = importlib.import_module(NAME)
        assert [str(library)] == list(module.__path__)


class Delegating(MetaPathFinder):
    """A finder that, like ours, asks all the others."""

    def __init__(self) -> None:
        self.asking = False

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """Ask all finders, but not oneself again."""
        if self.asking:
            return None
        self.asking = True
        try:
            return importlib.util.find_spec(fullname)
        finally:
            self.asking = False


class Old:
    """A finder from before there were specs."""

    def find_module(self, *_: object) -> None:
        """Find nothing."""


class Made(MetaPathFinder):
    """A finder of a module that is made up."""

    def __init__(self, loader: object) -> None:
        self.loader = loader

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        """Find one module."""
        return ModuleSpec(fullname, self.loader) if fullname == NAME else None  # type: ignore[arg-type]  # it may be a strange one


class TestOtherFinders:
    """Others put finders of their own in front."""

    @pytest.mark.usefixtures("library")
    @pytest.mark.parametrize("first", ["ours", "theirs"])
    def test_one_that_asks_all(self, first: str, done: list[str]) -> None:
        """A finder that asks all the others goes together with ours, in either order."""
        theirs = Delegating()
        if first == "theirs":
            sys.meta_path.insert(0, theirs)
        when_imported(NAME, lambda: done.append("now"))
        if first == "ours":
            sys.meta_path.insert(0, theirs)
        module = importlib.import_module(NAME)
        spec = module.__spec__
        assert spec is not None
        assert (["now"], SourceFileLoader) == (done, type(spec.loader))

    @pytest.mark.filterwarnings("ignore::ImportWarning")  # Python's own, about such a finder
    @pytest.mark.usefixtures("waiting")
    def test_one_from_long_ago(self, done: list[str]) -> None:
        """A finder that knows nothing of specs is passed over."""
        sys.meta_path.insert(1, Old())  # type: ignore[arg-type]  # that is what is tested
        importlib.import_module(NAME)
        assert ["part"] == done

    @pytest.mark.filterwarnings("ignore::ImportWarning")  # Python's own, about such a loader
    @pytest.mark.usefixtures("waiting")
    def test_one_with_a_loader_from_long_ago(self, done: list[str]) -> None:
        """A loader that we cannot stand in for loads as it would without us."""

        class Loader:
            def load_module(self, name: str) -> ModuleType:
                module = sys.modules[name] = ModuleType(name)
                return module

        sys.meta_path.insert(1, Made(Loader()))
        assert NAME == importlib.import_module(NAME).__name__
        assert [] == done

    @pytest.mark.usefixtures("waiting")
    def test_one_without_a_loader(self, done: list[str]) -> None:
        """A module without any loader is imported as it would be without us."""
        sys.meta_path.insert(1, Made(None))
        with pytest.raises(ImportError, match="missing loader"):
            importlib.import_module(NAME)
        assert [] == done

    def test_ours_is_there_once(self, waiting: Path, done: list[str]) -> None:
        """However often something is waited for, there is one finder of ours, in front."""
        count = len(sys.meta_path)
        waits: list[Callable[[], None]] = [lambda: done.append("a"), lambda: done.append("b")]
        for then in waits:
            when_imported(NAME, then)
        assert count == len(sys.meta_path)
        assert waiting.exists()
