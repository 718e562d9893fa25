"""How a run spent its cycles: by layer, by unit and by cause, compared with the limits of array and bus."""

from arrayloom.host.analysis.errors import ProfileError
from arrayloom.host.analysis.profile.run_profile import LayerProfile, Profile, measure

__all__ = ["LayerProfile", "Profile", "ProfileError", "measure"]
