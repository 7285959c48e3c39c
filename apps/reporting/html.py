"""The report of a run: one HTML file with everything inside, put together from blocks.

    Report("Handwritten digits", "convnet on mnist").headline({"test accuracy": "99.6 %"}).write(run / "report.html")

The page needs no network and no JavaScript, follows the reader's light or dark mode, and prints. Everything given by
a user (labels, file names, reasons) is escaped.
"""

import base64
import io
import math
import re
import warnings
import wave
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from convmedia.apps.reporting import charts
from convmedia.data.storage.files import replacing, shown

ENLARGED_PX = 64  # pictures up to this side are shown pixel for pixel and enlarged, larger ones as thumbnails
SHOWN_PX = 128
LISTED_PROBLEMS = 500

CSS = """
:root{color-scheme:light dark;--paper:#fff;--card:#f4f6f8;--ink:#1b1f24;--soft:#57606a;--line:#d5dae0;--accent:#1f5fbf}
@media (prefers-color-scheme:dark){
:root{--paper:#14171a;--card:#1e2226;--ink:#e8eaed;--soft:#a3adb8;--line:#363c43;--accent:#8ab4f8}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif}
main{max-width:64rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:2rem;line-height:1.2;margin:0;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:1.25rem;line-height:1.3;margin:3rem 0 .75rem;overflow-wrap:anywhere}
p{max-width:44rem;margin:.75rem 0}
.subtitle,figcaption,.note{color:var(--soft)}
.subtitle{margin:.35rem 0 0}
nav{margin:1.5rem 0 0;font-size:.9rem;display:flex;flex-wrap:wrap;gap:.25rem 1.1rem}
a{color:var(--accent)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:.75rem;margin:1.75rem 0}
.cards div{background:var(--card);border-radius:.6rem;padding:.9rem 1.1rem;break-inside:avoid;display:flex;
flex-direction:column-reverse;justify-content:flex-end}
.cards dt{color:var(--soft);font-size:.9rem}
.cards dd{margin:0;font-size:1.4rem;font-weight:650;line-height:1.25;font-variant-numeric:tabular-nums;
overflow-wrap:break-word}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .9rem .35rem 0;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
thead th{color:var(--soft);font-weight:600;white-space:nowrap}
tbody th{font-weight:500}
.number{text-align:right;padding-left:.9rem}
figure{margin:0;break-inside:avoid}
figcaption{font-size:.85rem;line-height:1.4;white-space:pre-line;overflow-wrap:anywhere}
.figure figcaption{max-width:44rem;margin-top:.4rem}
.figure img{display:block;max-width:100%;height:auto}
.gallery{display:flex;flex-wrap:wrap;gap:1.1rem 1rem;align-items:flex-start}
.gallery figure{min-width:7.5rem;max-width:100%}
.gallery figcaption{width:0;min-width:100%;margin-top:.3rem}
.gallery img{display:block;max-width:100%;height:auto;border-radius:3px}
.pair{display:flex;gap:.3rem;align-items:flex-start}
.exact{image-rendering:pixelated}
.facts{display:grid;grid-template-columns:minmax(7rem,max-content) 1fr;gap:.3rem 1.5rem;font-size:.92rem;margin:0}
.facts dt{color:var(--soft)}
.facts dd{margin:0;overflow-wrap:anywhere}
summary{cursor:pointer}
audio{display:block;width:18rem;max-width:100%}
@media print{:root{--paper:#fff;--card:#f4f6f8;--ink:#000;--soft:#444;--line:#bbb}nav{display:none}
main{max-width:none;padding:0}h2{break-after:avoid}body{font-size:11pt;print-color-adjust:exact}}
"""

# The page may load nothing: what is not inside is not shown, and no script runs.
POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"


class Report:
    """A page that grows by blocks, each of which returns the report, and is written once."""

    def __init__(self, title: str, subtitle: str = ""):
        self._title, self._subtitle = title, subtitle
        self._sections: list[str] = []
        self._blocks: list[str] = []

    def headline(self, numbers: Mapping[str, Any]) -> "Report":
        """The few numbers that matter, large: {"test accuracy": "99.6 %"}."""
        cards = (f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in numbers.items())
        return self._add("", f'<dl class="cards">{"".join(cards)}</dl>')

    def text(self, paragraph: str, title: str = "") -> "Report":
        """One paragraph of plain text."""
        return self._add(title, f"<p>{_text(paragraph)}</p>")

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[Any]], note: str = "") -> "Report":
        """A table; the first cell of a row is its heading, numbers are set to the right, None and NaN are a dash."""
        head = "".join(
            f'<th scope="col"{_number(rows[0][place]) if rows and place else ""}>{_text(name)}</th>'
            for place, name in enumerate(header)
        )
        body = "".join(f"<tr>{_row(row)}</tr>" for row in rows)
        below = f'<p class="note">{_text(note)}</p>' if note else ""
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return self._add(title, _scrolling(table) + below)

    def facts(self, title: str, values: Mapping[str, Any]) -> "Report":
        """A list of names and values: arguments, versions, the digest of the data, seconds."""
        pairs = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in values.items())
        return self._add(title, f'<dl class="facts">{pairs}</dl>')

    def figure(self, title: str, figure: Figure, caption: str = "", alt: str = "") -> "Report":
        """A Matplotlib figure as SVG; what is drawn in `charts.INK` follows light and dark mode.

        Args:
            alt: what a reader who does not see the figure should know; empty repeats the title.
        """
        width = round(figure.get_figwidth() * 96)
        size = f"width:{width}px;min-width:{width * 3 // 5}px"  # a narrow page scrolls it before it gets illegible
        image = f'<img src="{_svg(figure)}" alt="{_text(alt or title)}" style="{size}">'
        below = f"<figcaption>{_text(caption)}</figcaption>" if caption else ""
        return self._add(title, f'<figure class="figure">{_scrolling(image)}{below}</figure>')

    def pictures(
        self, title: str, items: Sequence[tuple[np.ndarray, str]], zoom: int | None = None, side_px: int = 160
    ) -> "Report":
        """A gallery of pictures with captions.

        Args:
            items: (picture, caption); pictures are uint8, (h, w) or (h, w, 1, 3 or 4), of any size.
            zoom: shows each pixel exactly, as zoom x zoom. None does so for pictures of at most 64 pixels a side,
                enlarged to about 128, and makes thumbnails of the others.
            side_px: the longer side of a thumbnail.

        Raises:
            ValueError: a picture is not uint8 or not of such a shape.
        """
        figures = "".join(_gallery_item(picture, caption, zoom, side_px) for picture, caption in items)
        return self._add(title, f'<div class="gallery">{figures}</div>')

    def pairs(self, title: str, items: Sequence[tuple[np.ndarray, np.ndarray, str]], note: str = "") -> "Report":
        """A gallery of two pictures side by side each, with a caption below: (first, second, caption).

        Args:
            items: pictures as of `pictures`; thumbnails of them are shown.
            note: a paragraph above.
        """
        figures = "".join(
            f'<figure><div class="pair">{_thumbnail(first, caption)}{_thumbnail(second, "")}</div>'
            f"<figcaption>{_text(caption)}</figcaption></figure>"
            for first, second, caption in items
        )
        above = f"<p>{_text(note)}</p>" if note else ""
        return self._add(title, f'{above}<div class="gallery">{figures}</div>')

    def sounds(self, title: str, items: Sequence[tuple[np.ndarray, str]], sample_rate: int) -> "Report":
        """Sounds to play: (samples, caption) with float samples (n,) in -1..1, kept as 16-bit mono WAV."""
        players = (
            f'<figure><audio controls preload="metadata" src="{_wav(samples, sample_rate)}"></audio>'
            f"<figcaption>{_text(caption)}</figcaption></figure>"
            for samples, caption in items
        )
        return self._add(title, f'<div class="gallery">{"".join(players)}</div>')

    def problems(self, title: str, items: Sequence[tuple[str | Path, str]]) -> "Report":
        """Files that were left out, each with its reason, as a folded list; nothing where there are none."""
        if not items:
            return self
        listed = [(path, reason.removeprefix(f"{shown(path)} ")) for path, reason in items[:LISTED_PROBLEMS]]
        rows = "".join(f"<tr>{_row(item)}</tr>" for item in listed)
        rest = len(items) - LISTED_PROBLEMS
        more = f'<p class="note">and {rest} more</p>' if rest > 0 else ""
        count = "1 file" if len(items) == 1 else f"{len(items)} files"
        head = '<thead><tr><th scope="col">file</th><th scope="col">reason</th></tr></thead>'
        table = _scrolling(f"<table>{head}<tbody>{rows}</tbody></table>")
        return self._add(title, f"<details><summary>{count}</summary>{table}{more}</details>")

    def write(self, path: str | Path) -> None:
        """Write the page, beside and renamed. Undecodable bytes of file names are written as escapes.

        Raises:
            OSError: no space left, no permission.
        """
        with replacing(path) as beside:
            beside.write_text(self._page(), encoding="utf-8", errors="backslashreplace")

    def _add(self, title: str, block: str) -> "Report":
        if title:
            self._sections.append(title)
            block = f'<h2 id="s{len(self._sections)}">{_text(title)}</h2>{block}'
        self._blocks.append(f"<section>{block}</section>")
        return self

    def _page(self) -> str:
        links = (f'<a href="#s{place}">{_text(name)}</a>' for place, name in enumerate(self._sections, start=1))
        contents = f'<nav aria-label="On this page">{"".join(links)}</nav>' if len(self._sections) > 2 else ""
        blocks = "\n".join(self._blocks)
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{_text(self._title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
            f'<header><h1>{_text(self._title)}</h1><p class="subtitle">{_text(self._subtitle)}</p>{contents}</header>\n'
            f"{blocks}\n</main>\n</body>\n</html>\n"
        )


def _left_out(rows: Sequence[tuple]) -> str:
    absent = [row[0] for row in rows if not row[-1]]
    return f"Balanced accuracy and macro F1 leave out the labels without examples: {', '.join(absent)}." * bool(absent)


def _scrolling(content: str) -> str:
    return f'<div class="scroll" tabindex="0">{content}</div>'


def _text(value: Any) -> str:
    return escape(_shown(value), quote=True)


def _shown(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if value is None or (isinstance(value, float | np.floating) and not math.isfinite(value)):
        return "\N{EN DASH}"
    if isinstance(value, float | np.floating):
        return f"{value:.4g}" if abs(float(value)) < 1e4 else f"{value:.0f}"
    if isinstance(value, Mapping):
        value = [f"{name} {_shown(item)}" for name, item in value.items()]
    return ", ".join(map(_shown, value)) if isinstance(value, list | tuple) else str(value)


def _number(value: Any) -> str:
    percent = isinstance(value, str) and value.endswith(" %")
    return ' class="number"' if percent or isinstance(value, int | float | np.number) else ""


def _row(row: Sequence[Any]) -> str:
    cells = "".join(f"<td{_number(value)}>{_text(value)}</td>" for value in row[1:])
    return f'<th scope="row">{_text(row[0])}</th>{cells}'


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _svg(figure: Figure) -> str:
    """The figure as a data URI, its text kept as text in the page's font, its ink following the reader's mode."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "convmedia"}), warnings.catch_warnings():
        # Only measured with Matplotlib's font: the browser draws the text, with a font that has the characters.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font", category=UserWarning)
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue().replace(charts.INK, "currentColor")
    drawing = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, Arial, sans-serif", drawing)
    ink = f"svg{{color:{charts.INK}}}@media (prefers-color-scheme:dark){{svg{{color:#e8eaed}}}}"
    drawing = drawing.replace("<defs>", f"<style>{ink}</style><defs>", 1)
    return _data_uri("image/svg+xml", drawing.encode("utf-8"))


def _gallery_item(picture: np.ndarray, caption: str, zoom: int | None, side_px: int) -> str:
    image = _image(picture)
    longer = max(image.size)
    if zoom is None and longer <= ENLARGED_PX:
        zoom = max(1, SHOWN_PX // longer)
    if zoom is None:
        image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    source = _encoded(image, exact=zoom is not None)
    kind = ' class="exact"' if zoom else ""
    size = f'width="{image.width * (zoom or 1)}" height="{image.height * (zoom or 1)}"'
    return (
        f'<figure><img src="{source}"{kind} {size} alt="{_text(caption)}" loading="lazy">'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
    )


def _thumbnail(picture: np.ndarray, alt: str, side_px: int = 144) -> str:
    image = _image(picture)
    image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    size = f'width="{image.width}" height="{image.height}"'
    return f'<img src="{_encoded(image, exact=False)}" {size} alt="{_text(alt)}" loading="lazy">'


def _image(picture: np.ndarray) -> Image.Image:
    picture = np.asarray(picture)
    if picture.ndim == 3 and picture.shape[-1] == 1:
        picture = picture[..., 0]
    fits = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[-1] in (3, 4))
    if picture.dtype != np.uint8 or not fits or picture.size == 0:
        received = f"{picture.dtype} {picture.shape}"
        raise ValueError(f"a picture must be uint8, (h, w) or (h, w, 1, 3 or 4); received {received}")
    return Image.fromarray(picture)


def _encoded(image: Image.Image, exact: bool) -> str:
    """PNG where every pixel counts or alpha is kept, else JPEG, a quarter of the size for photographs."""
    buffer = io.BytesIO()
    if exact or image.mode == "RGBA":
        image.save(buffer, "PNG", optimize=True)
        return _data_uri("image/png", buffer.getvalue())
    image.save(buffer, "JPEG", quality=85, optimize=True)
    return _data_uri("image/jpeg", buffer.getvalue())


def _wav(samples: np.ndarray, sample_rate: int) -> str:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return _data_uri("audio/wav", buffer.getvalue())
