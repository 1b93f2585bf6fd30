"""Adam over one flat tensor, against PyTorch's own, alone and under a gradient scaler."""

import torch

from cnn_engine.adam import Adam

SCALE = 2.0**16


def flat():
    weights = torch.linspace(-1, 1, 1000).requires_grad_()
    weights.grad = torch.zeros_like(weights)
    return weights


def gradients(step):
    return torch.randn(1000, generator=torch.Generator().manual_seed(step))


def test_it_is_pytorchs():
    ours, theirs = flat(), flat()
    optimizer, plain = Adam(ours, lr=0.1), torch.optim.Adam([theirs], lr=0.1, fused=True)
    for step in range(5):
        ours.grad.copy_(gradients(step))
        theirs.grad.copy_(gradients(step))
        optimizer.step()
        plain.step()
    assert torch.equal(ours, theirs)


def test_a_scaler_scales_back_and_passes_over_what_overflowed():
    ours, theirs = flat(), flat()
    optimizer, plain = Adam(ours, lr=0.1), Adam(theirs, lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)
    for step in range(3):
        scaler.scale(torch.zeros(1))  # a scaler begins when it first scales a loss
        ours.grad.copy_(gradients(step) * scaler.get_scale())
        if step == 1:
            ours.grad[7] = torch.inf
        else:
            theirs.grad.copy_(gradients(step))
            plain.step()
        scaler.step(optimizer)
        scaler.update()
    assert torch.equal(ours, theirs)
    assert optimizer.state_dict()["steps"] == 2
    assert scaler.get_scale() == SCALE / 2
