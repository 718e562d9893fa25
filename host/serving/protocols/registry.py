"""The protocols that a service supports. To add one, add a folder and a line here."""

from arrayloom.host.serving.protocols.health.protocol import HEALTH
from arrayloom.host.serving.protocols.open_inference.protocol import OPEN_INFERENCE
from arrayloom.host.serving.protocols.page.protocol import PAGE
from arrayloom.host.serving.protocols.reflection.protocol import REFLECTION
from arrayloom.host.serving.protocols.tensorflow.protocol import TENSORFLOW

PROTOCOLS = (TENSORFLOW, OPEN_INFERENCE, HEALTH, REFLECTION, PAGE)
