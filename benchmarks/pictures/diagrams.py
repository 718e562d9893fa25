"""The two block diagrams: what flows where, and the units of the accelerator."""

from benchmarks.pictures.diagram import Arrow, Box, draw


def flow() -> str:
    """From a photograph and an ONNX model to classes, and what is compared on the way."""
    boxes = [
        Box("photograph", 20, 20, 120, 44, "memory"),
        Box("tensor", 220, 20, 120, 44, "memory"),
        Box("int8 ONNX", 20, 110, 120, 58, "memory", ("QOperator or QDQ",)),
        Box("integer graph", 220, 110, 120, 58, "memory"),
        Box("program", 460, 110, 120, 58, "memory", ("and constants",)),
        Box("session", 460, 20, 120, 44, "control"),
        Box("emulator", 680, 20, 130, 58, "compute", ("NumPy",)),
        Box("RTL", 680, 110, 130, 58, "compute", ("Verilator",)),
        Box("classes", 890, 65, 110, 44, "memory"),
        Box("ONNX Runtime", 680, 210, 130, 44, "reference"),
    ]
    arrows = [
        Arrow([(140, 42), (220, 42)], "preprocess", (147, 35)),
        Arrow([(140, 139), (220, 139)], "import,\nlower", (157, 132)),
        Arrow([(340, 139), (460, 139)], "fuse, place,\ntile, schedule", (358, 132)),
        Arrow([(340, 42), (460, 42)]),
        Arrow([(520, 110), (520, 64)]),
        Arrow([(580, 42), (680, 42)]),
        Arrow([(580, 52), (630, 52), (630, 139), (680, 139)]),
        Arrow([(810, 49), (850, 49), (850, 80), (890, 80)]),
        Arrow([(810, 139), (850, 139), (850, 96), (890, 96)]),
        Arrow([(735, 78), (735, 110)], "every word\nequal", (745, 91), both=True, dashed=True),
        Arrow([(680, 232), (655, 232), (655, 64), (680, 64)], "every tensor equal", (538, 205), both=True, dashed=True),
    ]
    return draw("What flows where", boxes, arrows, 1020, 274)


def accelerator() -> str:
    """The units, the memories between them, and what passes."""
    boxes = [
        Box("memory, AXI4", 20, 20, 860, 40, "memory"),
        Box("FETCH", 20, 110, 130, 50, "move"),
        Box("LOAD", 200, 110, 150, 50, "move"),
        Box("STORE", 750, 110, 130, 50, "move"),
        Box("queues, tokens", 20, 215, 130, 60, "control", ("order the units",)),
        Box("weight FIFO", 200, 215, 150, 60, "memory"),
        Box("scratchpad", 420, 215, 250, 60, "memory", ("banked, one word per cycle and bank",)),
        Box("control", 20, 335, 130, 90, "control", ("AXI4-Lite", "counters, interrupt")),
        Box("ARRAY", 200, 335, 150, 90, "compute", ("size x size, int8", "weight-stationary", "two weight planes")),
        Box("accumulators", 440, 350, 130, 60, "memory", ("two banks",)),
        Box("POST", 640, 335, 240, 90, "compute", ("requantize, clamp, add,", "pool, table; lanes")),
    ]
    arrows = [
        Arrow([(85, 60), (85, 110)], "instructions", (92, 90)),
        Arrow([(275, 60), (275, 110)]),
        Arrow([(815, 110), (815, 60)], "results", (822, 90)),
        Arrow([(85, 160), (85, 215)]),
        Arrow([(85, 335), (85, 275)], both=True),
        Arrow([(275, 160), (275, 215)], "tiles", (283, 192)),
        Arrow([(275, 275), (275, 335)]),
        Arrow([(350, 145), (500, 145), (500, 215)], "activations", (508, 185)),
        Arrow([(350, 125), (710, 125), (710, 335)], "bias, scale, tables", (470, 117)),
        Arrow([(450, 275), (450, 310), (320, 310), (320, 335)], "a pixel of size channels", (325, 302)),
        Arrow([(350, 380), (440, 380)], "int32 sums", (362, 372)),
        Arrow([(570, 380), (640, 380)]),
        Arrow([(655, 335), (655, 275)], "residual,\nresult", (600, 300), both=True),
        Arrow([(670, 245), (780, 245), (780, 160)]),
    ]
    return draw("The accelerator", boxes, arrows, 900, 445)
