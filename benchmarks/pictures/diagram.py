"""Block diagrams as SVG: boxes at given places, and arrows along given corners."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from arrayloom.host.analysis.profile.page_markup import element, text

MARGIN = 16
LINE = 17           # from one line of text to the next
FONT = "system-ui, sans-serif"
INK, PAPER, SMALL = "#24292f", "#ffffff", "#57606a"
FILLS = {"memory": "#e8e8e4", "control": "#f3e3ee", "move": "#dcebf7", "compute": "#dcefe6", "reference": "#fbecd2"}

Point = tuple[int, int]


@dataclass(frozen=True)
class Box:
    """A part: ``title`` in bold, ``notes`` under it, in the colour of its kind (a key of ``FILLS``)."""

    title: str
    x: int
    y: int
    width: int
    height: int
    kind: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arrow:
    """A polyline with a head at its end; ``both``: at its beginning too. The lines of ``label`` start at ``at``."""

    points: Sequence[Point]
    label: str = ""
    at: Point = (0, 0)
    both: bool = False
    dashed: bool = False


def draw(title: str, boxes: Iterable[Box], arrows: Iterable[Arrow], width: int, height: int) -> str:
    """The diagram as one SVG file, which names no other file and reads on dark pages too."""
    head = element("marker", element("path", d="M0 0L8 4L0 8z", fill=INK), id="head", markerWidth=8, markerHeight=8, refX=7,
                   refY=4, orient="auto-start-reverse")
    content = [element("title", text(title)), element("defs", head),
               element("rect", width=width, height=height, rx=8, fill=PAPER),
               *map(_arrow, arrows), *map(_box, boxes)]
    return element("svg", content, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}", width=width,
                   height=height, role="img", font_family=FONT, font_size=13) + "\n"


def _box(box: Box) -> str:
    lines = 1 + len(box.notes)
    first = box.y + (box.height - (lines - 1) * LINE) // 2 + 5
    texts = [_text(name, box.x + box.width // 2, first + number * LINE, number == 0)
             for number, name in enumerate((box.title, *box.notes))]
    frame = element("rect", x=box.x, y=box.y, width=box.width, height=box.height, rx=5, fill=FILLS[box.kind], stroke=INK)
    return frame + "".join(texts)


def _text(content: str, x: int, y: int, bold: bool) -> str:
    weight = {"font_weight": "600", "fill": INK} if bold else {"fill": SMALL, "font_size": 12}
    return element("text", text(content), x=x, y=y, text_anchor="middle", **weight)


def _arrow(arrow: Arrow) -> str:
    path = "M" + "L".join(f"{x} {y}" for x, y in arrow.points)
    more = {"stroke_dasharray": "5 4"} if arrow.dashed else {}
    if arrow.both:
        more["marker_start"] = "url(#head)"
    line = element("path", d=path, fill="none", stroke=INK, marker_end="url(#head)", **more)
    x, y = arrow.at
    return line + "".join(element("text", text(part), x=x, y=y + number * LINE, fill=SMALL, font_size=12)
                          for number, part in enumerate(arrow.label.splitlines()))
