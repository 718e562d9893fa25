"""Where the cycles of a run went: by layer, by unit and by cause, against what the array and the bus could do."""

from arrayloom.host.analysis.profile.measure import measure
from arrayloom.host.analysis.profile.profile import LayerProfile, Profile, ProfileError

__all__ = ["LayerProfile", "Profile", "ProfileError", "measure"]
