"""What the options for class names say, wherever they are."""

from arrayloom.host.vision.class_names import BUILT_IN

LABELS_HELP = f"class names: a file with one a line, or {', '.join(BUILT_IN)}"
