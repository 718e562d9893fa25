"""Train the digits network, quantize it, write the files in the package: `python -m arrayloom.host.models.digits.train`.

Everything is seeded; only the summation order of another BLAS can change the weights.
"""

import numpy as np
from numpy.typing import NDArray

from arrayloom.host.models.digits import evaluate
from arrayloom.host.models.digits.evaluate import Split, load_splits
from arrayloom.host.models.digits.export_onnx import write_images, write_labels, write_models
from arrayloom.host.models.digits.resnet import CLASSES, Array, Conv, Sequential, digits_resnet

SEED = 0
EPOCHS = 40
BATCH = 64
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-2
LABEL_SMOOTHING = 0.1


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019) over the parameters of some layers."""

    def __init__(self, layers: list[Conv], betas: tuple[float, float] = (0.9, 0.99), epsilon: float = 1e-8):
        self.layers, self.betas, self.epsilon, self.step_count = layers, betas, epsilon, 0
        self.moments = [[(np.zeros_like(g), np.zeros_like(g)) for g in layer.grads] for layer in layers]

    def step(self, rate: float) -> None:
        """Update all parameters by the gradients that the layers hold."""
        self.step_count += 1
        for layer, moments in zip(self.layers, self.moments, strict=True):
            layer.weight *= np.float32(1 - rate * WEIGHT_DECAY)
            for value, gradient, moment in zip((layer.weight, layer.bias), layer.grads, moments, strict=True):
                value[...] -= np.float32(rate) * self._direction(gradient, moment)

    def _direction(self, gradient: Array, moment: tuple[Array, Array]) -> Array:
        unbiased: list[Array] = []
        for average, sample, beta in zip(moment, (gradient, gradient * gradient), self.betas, strict=True):
            average[...] += np.float32(1 - beta) * (sample - average)
            unbiased.append(average / np.float32(1 - beta**self.step_count))
        mean, square = unbiased
        root: Array = np.sqrt(square)
        return mean / (root + np.float32(self.epsilon))


def train(images: Split, epochs: int = EPOCHS) -> Sequential:
    """Return the network trained on `images`; prints the loss of every tenth epoch."""
    rng = np.random.default_rng(SEED)
    network = digits_resnet(rng)
    optimizer = AdamW(list(network.weighted()))
    batches = len(images.labels) // BATCH
    for epoch in range(epochs):
        losses = []
        for number, chosen in enumerate(np.split(rng.permutation(len(images.labels))[: batches * BATCH], batches)):
            x = _shifted(rng, images.inputs[chosen].transpose(0, 2, 3, 1))
            loss, gradient = _cross_entropy(network.forward(x), images.labels[chosen])
            network.backward(gradient)
            progress = (epoch * batches + number) / (epochs * batches)
            optimizer.step(LEARNING_RATE * (1 + np.cos(np.pi * progress)) / 2)
            losses.append(loss)
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}", flush=True)
    return network


def _shifted(rng: np.random.Generator, x: Array) -> Array:
    """Shift each image [B, H, W, C] by up to one pixel in each direction, filling with zeros."""
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    offsets = rng.integers(0, 3, (len(x), 2))
    return np.stack([image[y : y + height, c : c + width] for image, (y, c) in zip(padded, offsets, strict=True)])


def _cross_entropy(logits: Array, labels: NDArray[np.int64]) -> tuple[float, Array]:
    """Return the mean loss against smoothed labels, and its gradient with respect to the logits [B, 1, 1, classes]."""
    target = np.eye(CLASSES, dtype=np.float32)[labels][:, np.newaxis, np.newaxis]
    target = target * np.float32(1 - LABEL_SMOOTHING) + np.float32(LABEL_SMOOTHING / CLASSES)
    shifted = logits - logits.max(axis=3, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(axis=3, keepdims=True))
    loss = -(target * log_probability).sum() / len(labels)
    return float(loss), (np.exp(log_probability) - target) / np.float32(len(labels))


def main() -> None:
    """Train, write every shipped file, and print the accuracies."""
    images, held_out = load_splits()
    write_models(train(images), images.inputs)
    write_labels()
    write_images(held_out)
    evaluate.main()


if __name__ == "__main__":
    main()
