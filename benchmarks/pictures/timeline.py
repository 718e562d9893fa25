"""The timeline of a digit on the RTL: what each unit did in every cycle, as one SVG file."""

from arrayloom.compiler import compile_model
from arrayloom.host.analysis.profile import measure
from arrayloom.host.analysis.profile.page_markup import colour, element, text
from arrayloom.host.analysis.profile.page_timeline import plot
from arrayloom.host.analysis.profile.run_profile import Profile
from arrayloom.host.models import digits
from arrayloom.host.runtime.inputs import load_inputs
from benchmarks.pictures.diagram import FONT, INK, PAPER, SMALL

PRESET = "tiny"
IMAGE = digits.IMAGES / "digit_7_1496.png"
WIDTH, LEFT, TOP, FOOT = 900, 96, 40, 62
COLUMNS = 400       # as many as a reader can tell apart, which keeps the file small


def digit() -> str:
    """The picture of the run that ``arrayloom demo`` makes."""
    program = compile_model(digits.MODEL, PRESET)
    return draw(measure(program, load_inputs(IMAGE, program.model_inputs, "digits"), None, "a digit"))


def draw(profile: Profile) -> str:
    """A profile's timeline with its labels, ticks and legend."""
    drawn = plot(profile, COLUMNS, x=LEFT, y=TOP, width=WIDTH - LEFT - 16)
    height = TOP + drawn.height + FOOT
    title = (f"{profile.title} on {profile.config.name}: {profile.cycles:,} cycles, "
             f"{profile.utilization:.1%} of the multipliers")
    labels = [_text(name, LEFT - 8, TOP + middle + 5, "end") for name, middle in drawn.lanes.items()]
    ends = [_text("0", LEFT, TOP + drawn.height + 18, "start"),
            _text(f"{profile.cycles:,} cycles", WIDTH - 16, TOP + drawn.height + 18, "end")]
    content = [element("title", text(title)), element("rect", width=WIDTH, height=height, rx=8, fill=PAPER),
               element("text", text(title), x=LEFT, y=24, fill=INK, font_weight="600"), *labels, drawn.svg, *ends,
               *_legend(drawn.causes, TOP + drawn.height + 46)]
    return element("svg", content, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {height}", width=WIDTH,
                   height=height, role="img", font_family=FONT, font_size=13) + "\n"


def _legend(causes: list[str], y: int) -> list[str]:
    step = (WIDTH - LEFT - 16) // max(len(causes), 1)
    return [part for number, cause in enumerate(causes) for part in (
        element("rect", x=LEFT + number * step, y=y - 11, width=12, height=12, fill=colour(cause)),
        _text(cause, LEFT + number * step + 17, y, "start"))]


def _text(content: str, x: int, y: int, anchor: str) -> str:
    return element("text", text(content), x=x, y=y, text_anchor=anchor, fill=SMALL, font_size=12)
