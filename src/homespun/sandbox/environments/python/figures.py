"""Figures that a program shows, kept as files: PNG below ``.pictures``, Plotly's JSON below ``.plotly``.

The libraries are changed as they are imported, so a program without figures pays nothing. Each file's name begins
with the time at which its figure was shown, so that the order of names is the order of showing.
"""

import importlib
import io
import itertools
import os
import sys
import time
from typing import Any

from .hooks import Hooks
from .program import WORK

PICTURES = f"{WORK}/.pictures"
PLOTLY = f"{WORK}/.plotly"
MOST = 20
MOST_BYTES = 5 << 20
MOST_LOOKED_AT = 2000
IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")
WITHOUT_WINDOWS = {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"}


class Figures:
    """Keeps what is shown, at most `MOST` figures of `MOST_BYTES` each."""

    def __init__(self) -> None:
        self._left = {PICTURES: MOST, PLOTLY: MOST}
        self._saved: set[int] = set()
        self._drawn: list[Any] = []
        self._pyplot: Any = None
        self._before = time.time_ns()

    def install(self) -> None:
        """Has the libraries bring their figures here once they are imported."""
        hooks = {
            "matplotlib": self._matplotlib,
            "matplotlib.pyplot": self._matplotlib_pyplot,
            "PIL.Image": self._pillow,
            "cv2": self._opencv,
            "plotly.io": self._plotly_io,
            "plotly.basedatatypes": self._plotly_base,
            "plotly.offline": self._plotly_offline,
        }
        Hooks(hooks).install()

    def finish(self, names: dict[str, Any]) -> None:
        """Keeps figures that were left open, made and not shown, or saved as files in the workspace.

        Args:
            names: The program's global names.
        """
        self._keep_open_figures()
        base: Any = getattr(sys.modules.get("plotly.basedatatypes"), "BaseFigure", None)
        if base is not None:
            for value in list(names.values()):
                if isinstance(value, base) and not any(value is drawn for drawn in self._drawn):
                    self._keep_plotly(value)
        self._keep_saved()

    def keep(self, name: str, png: bytes, at: int | None = None) -> None:
        """Keeps one picture, shown now or at a time in nanoseconds."""
        self._write(PICTURES, f"{name}.png", png, at)

    def _write(self, folder: str, name: str, content: bytes, at: int | None = None) -> None:
        if self._left[folder] <= 0 or len(content) > MOST_BYTES:
            return
        self._left[folder] -= 1
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"{at or time.time_ns():020d}-{name[-80:]}"), "wb") as file:
            file.write(content)

    # matplotlib

    def _matplotlib(self, module: Any) -> None:
        use = module.use

        def use_without_window(backend: str, *, force: bool = True) -> None:
            if str(backend).lower() in WITHOUT_WINDOWS:
                use(backend, force=force)

        module.use = use_without_window

    def _matplotlib_pyplot(self, module: Any) -> None:
        self._pyplot = module
        figure: Any = sys.modules["matplotlib.figure"]
        save = figure.Figure.savefig

        def savefig(drawn: Any, fname: Any, *args: Any, **options: Any) -> Any:
            answer = save(drawn, fname, *args, **options)
            if isinstance(fname, str | os.PathLike) and os.fspath(fname).lower().endswith(IMAGES):
                self._saved.add(id(drawn))
            return answer

        def show(*_: Any, **__: Any) -> None:
            self._keep_open_figures()
            module.close("all")
            self._saved.clear()

        def show_one(drawn: Any, *_: Any, **__: Any) -> None:
            self._keep_figure(drawn)

        figure.Figure.savefig = savefig
        figure.Figure.show = show_one
        module.show = show

    def _keep_open_figures(self) -> None:
        if self._pyplot is None:
            return
        for number in self._pyplot.get_fignums():
            self._keep_figure(self._pyplot.figure(number))

    def _keep_figure(self, figure: Any) -> None:
        if id(figure) in self._saved or self._left[PICTURES] <= 0:
            return
        into = io.BytesIO()
        figure.savefig(into, format="png", dpi=100)
        self._saved.add(id(figure))
        self.keep(f"figure-{getattr(figure, 'number', 1)}", into.getvalue())

    # Pillow

    def _pillow(self, module: Any) -> None:
        def show(image: Any, title: str | None = None) -> None:
            self.keep((title or "image").replace("/", "-"), _png(image))

        module.Image.show = show

    # OpenCV

    def _opencv(self, module: Any) -> None:
        def imshow(name: str, image: Any) -> None:
            made, png = module.imencode(".png", image)
            if made:
                self.keep(str(name).replace("/", "-"), png.tobytes())

        def wait_key(delay: int = 0) -> int:
            return next(keys)

        keys = itertools.cycle((27, ord("q")))  # whoever waits for a key gets those that close windows
        module.imshow = imshow
        module.waitKey = module.waitKeyEx = wait_key
        for name in ("namedWindow", "destroyAllWindows", "destroyWindow", "moveWindow", "resizeWindow"):
            setattr(module, name, _nothing)

    # Plotly

    def _plotly_io(self, module: Any) -> None:
        module.show, module.write_image = self._plotly_functions()

    def _plotly_base(self, module: Any) -> None:
        module.BaseFigure.show, module.BaseFigure.write_image = self._plotly_functions()

    def _plotly_functions(self) -> tuple[Any, Any]:
        def shown(figure: Any, *_: Any, **__: Any) -> None:
            self._keep_plotly(figure)

        def written(figure: Any, file: Any = None, *_: Any, **__: Any) -> None:
            self._keep_plotly(figure)
            sys.stderr.write(f"write_image: {file} was not written, the figure is shown instead\n")

        return shown, written

    def _plotly_offline(self, module: Any) -> None:
        def shown(figure: Any, *_: Any, **__: Any) -> None:
            objects: Any = importlib.import_module("plotly.graph_objects")
            self._keep_plotly(figure if hasattr(figure, "to_json") else objects.Figure(figure))

        module.plot = module.iplot = shown

    def _keep_plotly(self, figure: Any) -> None:
        self._drawn.append(figure)
        self._write(PLOTLY, "figure.json", figure.to_json().encode())

    # files

    def _keep_saved(self) -> None:
        """Pictures among the files that the program left; what is not PNG is turned into it here, not outside."""
        for path in _images():
            try:
                at = os.stat(path).st_mtime_ns
                if at < self._before or os.path.getsize(path) > 4 * MOST_BYTES:
                    continue
                if path.lower().endswith(".png"):
                    with open(path, "rb") as file:
                        png = file.read()
                else:
                    image: Any = importlib.import_module("PIL.Image")
                    with image.open(path) as opened:
                        png = _png(opened)
            except Exception:  # not a picture after all
                continue
            self.keep(os.path.splitext(os.path.basename(path))[0], png, at)


def _nothing(*_: Any, **__: Any) -> None:
    """A window's affair, where there are no windows."""


def _images() -> list[str]:
    found: list[str] = []
    looked_at = 0
    for folder, folders, files in os.walk(WORK):
        folders[:] = [name for name in folders if not name.startswith(".")]
        looked_at += len(files)
        found += [os.path.join(folder, name) for name in files if name.lower().endswith(IMAGES)]
        if looked_at > MOST_LOOKED_AT:
            break
    return found


def _png(image: Any) -> bytes:
    into = io.BytesIO()
    shown = image if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16") else image.convert("RGB")
    shown.save(into, "PNG")
    return into.getvalue()
