"""The snippet from the original service's documentation, verbatim."""

import contextlib
import io

import numpy as np
import serving

from arrayloom.host.models import digits
from arrayloom.host.serving.client import PredictionClient
from arrayloom.host.vision.classify import load_labels

SNIPPET = """
# Score image with input and output tensor names
results = client.score_file(path="./snowleopardgaze.jpg",
                            input_name=input_tensors,
                            outputs=output_tensors)

# map results [class_id] => [confidence]
results = enumerate(results)
# sort results by confidence
sorted_results = sorted(results, key=lambda x: x[1], reverse=True)
# print top 5 results
for top in sorted_results[:5]:
    print(classes_entries[top[0]], 'confidence:', top[1])
"""


def test_the_best_five_classes(server: serving.Server) -> None:
    image, labels = digits.IMAGES / "digit_7_1496.png", load_labels(digits.LABELS)
    printed = io.StringIO()
    with PredictionClient("127.0.0.1", server.port) as client, contextlib.redirect_stdout(printed):
        exec(SNIPPET.replace("./snowleopardgaze.jpg", str(image)),
             {"client": client, "input_tensors": "image:0", "output_tensors": "logits:0", "classes_entries": labels})
        scores = client.score_file(image, outputs="logits")
    lines = [line.split(" confidence: ") for line in printed.getvalue().splitlines()]
    best = np.argsort(-scores, kind="stable")[:5]
    assert [label for label, _ in lines] == [labels[index] for index in best]
    assert lines[0][0] == "7"
    assert len({label for label, _ in lines}) == 5
