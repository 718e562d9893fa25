"""The inputs of a float network."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Port:
    """An input of a float network: its name, and its shape behind the batch."""

    name: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"'{self.name}' float32 [N, {', '.join(map(str, self.shape))}]"
