"""Where the cycles of a run went: by layer, by unit and by cause, against what the array and the bus could do."""

from arrayloom.host.analysis.errors import ProfileError
from arrayloom.host.analysis.profile.run_profile import LayerProfile, Profile, measure

__all__ = ["LayerProfile", "Profile", "ProfileError", "measure"]
