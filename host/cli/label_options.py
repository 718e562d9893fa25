"""The help text shared by all options for class names."""

from arrayloom.host.vision.class_names import BUILT_IN

LABELS_HELP = f"class names: a file with one per line, or {', '.join(BUILT_IN)}"
