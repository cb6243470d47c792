#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes steps of training with PyTorch on the CPU, for scripts/bench-training.

usage: scripts/benchmark_training_torch.py CELL B T H THREADS

What a step does, and how it is asked for, is that of TrainingStep.java: forward, mean squared error of a linear head at all
steps, backward, clipping of the gradient's norm, Adam. CELL is lstm, for nn.LSTM, or lstm_refine, for the refine LSTM as
people write it: a loop over the steps, compiled by torch.jit.script. Ends with 77 without PyTorch.
"""
import statistics
import sys
import time

try:
    import torch
    from torch import nn
except ImportError:
    print("no PyTorch")
    sys.exit(77)


class RefineLstm(nn.Module):
    def __init__(self, inputs: int, hidden: int):
        super().__init__()
        standard = nn.LSTM(inputs, hidden)
        self.weight_ih = standard.weight_ih_l0
        self.weight_hh = standard.weight_hh_l0
        self.bias_ih = standard.bias_ih_l0
        self.bias_hh = standard.bias_hh_l0

    def forward(self, x):
        hidden = self.weight_hh.size(1)
        h = torch.zeros(x.size(1), hidden)
        c = torch.zeros(x.size(1), hidden)
        projected = torch.nn.functional.linear(x, self.weight_ih, self.bias_ih)
        results = []
        for t in range(x.size(0)):
            a = projected[t] + torch.nn.functional.linear(h, self.weight_hh, self.bias_hh)
            refine, forget, candidate, output = a.chunk(4, 1)
            r = torch.sigmoid(refine)
            f = torch.sigmoid(forget)
            g = f * (f + 2 * r * (1 - f))
            c = g * c + (1 - g) * torch.tanh(candidate)
            h = torch.sigmoid(output) * torch.tanh(c)
            results.append(h)
        return torch.stack(results)


def main(cell, batch, steps, hidden, threads):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    layer = nn.LSTM(hidden, hidden) if cell == "lstm" else torch.jit.script(RefineLstm(hidden, hidden))
    head = nn.Linear(hidden, 1)
    parameters = [*layer.parameters(), *head.parameters()]
    adam = torch.optim.Adam(parameters, lr=1e-3, fused=True)
    x = torch.rand(steps, batch, hidden) * 2 - 1
    target = torch.rand(steps, batch, 1) * 2 - 1

    def step():
        y = layer(x)
        if cell == "lstm":
            y = y[0]
        loss = nn.functional.mse_loss(head(y), target)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        adam.step()

    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            begun = time.perf_counter()
            step()
            times.append(1e3 * (time.perf_counter() - begun))
        print(statistics.median(times), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:6]))
