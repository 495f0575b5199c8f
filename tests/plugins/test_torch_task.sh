#!/bin/bash
# Checks the task family `python` with a PyTorch model. The test covers gradients and the digests on several numbers
# of ranks. The losses must equal those that PyTorch computes without Warploom.
. "$WL_SOURCE/tests/harness/training.sh"
: "${WL_PYTHON:?}"
"$WL_PYTHON" -c 'import torch, numpy' 2>/dev/null || skip "no PyTorch"
cp "$WL_SOURCE"/examples/plugins/curve_torch.{py,yaml} .
interpreter=(--set "task.python=$WL_PYTHON")
"$WL_BIN" check curve_torch.yaml "${interpreter[@]}" --directions 1 --set rule.hidden=[2] --set episode.steps=4 --set window.steps=2 \
  >check.out 2>check.err || { cat check.* >&2; fail "check"; }
grep -q '^All passed' check.out || fail "check: $(cat check.out)"
for ranks in 1 2; do
  "$WL_MPIEXEC" -n $ranks "$WL_BIN" train curve_torch.yaml "${interpreter[@]}" --set outer.steps=4 --set output=run-$ranks --quiet >run-$ranks.out
  expect_same "$ranks ranks" "$(digest_line run-1.out)" "$(digest_line run-$ranks.out)"
done

# Compares plain gradient descent in Warploom with the SGD optimizer of PyTorch. Warploom and PyTorch use the same
# problem, the same start and the same batches.
cat >fixed.py <<'P'
import torch
from curve_torch import Curve


class Fixed(Curve):
    def sample(self, rng):
        return {"amplitude": 1.5, "phase": 0.5}

    def start(self, model, rng):
        for number, p in enumerate(model.parameters()):
            p.copy_(torch.linspace(-0.5, 0.4 + 0.1 * number, p.numel()).reshape(p.shape))

    def loss(self, model, problem, rng, split):
        x = torch.linspace(-3.0, 3.0, 16).reshape(-1, 1)
        return torch.nn.functional.mse_loss(model(x), problem["amplitude"] * torch.sin(x + problem["phase"]))


def make_task():
    return Fixed(8)
P
cat >fixed.yaml <<Y
seed: 1
task: {family: python, module: ./fixed.py, python: $WL_PYTHON}
rule: {name: sgd, rate: 0.1, learn: [rate]}
episode: {steps: 20}
window: {steps: 20}
outer: {steps: 1, units: 1}
trajectory: {every: 1}
Y
"$WL_BIN" train fixed.yaml --set output=fixed --quiet >fixed.out || fail "fixed.yaml"
"$WL_BIN" export fixed --output fixed.h5 --quiet
"$WL_PYTHON" - <<'P' || fail "losses differ from those of torch.optim.SGD"
import json
import torch
from fixed import make_task
task, losses = make_task(), []
with torch.no_grad():
    task.start(task.model, None)
optimizer = torch.optim.SGD(task.model.parameters(), lr=0.1)
for step in range(21):
    loss = task.loss(task.model, task.sample(None), None, "train")
    losses.append(loss.item())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
ours = json.loads(open("fixed/metrics.jsonl").readline())["meta_loss"]
print(f"ok: sum of 21 losses {ours:.6f}, by torch.optim.SGD {sum(losses):.6f}")
assert abs(ours - sum(losses)) < 1e-5 * sum(losses) and losses[20] < 0.8 * losses[0]
P
