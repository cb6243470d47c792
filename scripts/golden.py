#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes golden vectors: every cell in several shapes, in float64, with gradients from PyTorch's autograd.

usage: scripts/golden.py OUT SEED

Writes OUT/<cell>.<case>.safetensors. The tests read any folder of them through -Dgatefuse.golden.dir=OUT. A new cell is a
row in CELLS and a function; nothing here is shared with the implementations that the vectors judge.

A file holds the parameters under PyTorch's names, x [T,B,I], h0 and c0 [L*D,B,H], lengths [B], the outputs y [T,B,D*H], hn
and cn, cotangents dy, dhn and dcn, and under grad.<name> the gradient of sum(y*dy) + sum(hn*dhn) + sum(cn*dcn) by every
input and parameter. GRUs have no c0, cn and dcn.
"""
import json
import math
import pathlib
import struct
import sys

import torch
from torch import sigmoid, tanh

torch.set_default_dtype(torch.float64)


# ---- Cells -------------------------------------------------------------------------------------
# An LSTM is a function of its pre-activations by block, the cell state and the chunk, and gives the new cell state and the
# pre-activation of the output gate.


def cumax(a, chunk):
    return a.softmax(-1).cumsum(-1).repeat_interleave(chunk, -1)


def refined(f, r):
    upper = 1 - (1 - f).square()
    lower = f.square()
    return r * upper + (1 - r) * lower


def mix(keep, old, new):
    return keep * old + (1 - keep) * new


def lstm(a, c, chunk):
    return sigmoid(a["forget"]) * c + sigmoid(a["input"]) * tanh(a["candidate"])


def lstm_tied(a, c, chunk):
    return mix(sigmoid(a["forget"]), c, tanh(a["candidate"]))


def lstm_refine(a, c, chunk):
    return mix(refined(sigmoid(a["forget"]), sigmoid(a["refine"])), c, tanh(a["candidate"]))


def lstm_cumax(a, c, chunk):
    return mix(cumax(a["forget"], chunk), c, tanh(a["candidate"]))


def lstm_cumax_refine(a, c, chunk):
    keep = refined(cumax(a["forget"], chunk), sigmoid(a["refine"]))
    return mix(keep, c, tanh(a["candidate"]))


def onlstm(a, c, chunk):
    master_forget = cumax(a["master_forget"], chunk)
    master_input = 1 - cumax(a["master_input"], chunk)
    both = master_forget * master_input
    keep = sigmoid(a["forget"]) * both + master_forget - both
    write = sigmoid(a["input"]) * both + master_input - both
    return keep * c + write * tanh(a["candidate"])


LSTM_GATES = ["input", "forget", "candidate", "output"]
REFINE_GATES = ["refine", "forget", "candidate", "output"]
GRU_GATES = ["reset", "update", "candidate"]

# Blocks in the order of their rows; one that ends in / has H/chunk rows. GRUs have no function: see gru_step.
CELLS = {
    "lstm": (LSTM_GATES, lstm),
    "lstm_tied": (["forget", "candidate", "output"], lstm_tied),
    "lstm_refine": (REFINE_GATES, lstm_refine),
    "lstm_cumax": (["forget/", "candidate", "output"], lstm_cumax),
    "lstm_cumax_refine": (["refine", "forget/", "candidate", "output"], lstm_cumax_refine),
    "onlstm": (LSTM_GATES + ["master_input/", "master_forget/"], onlstm),
    "gru": (GRU_GATES, None),
    "gru_refine": (GRU_GATES + ["refine"], None),
    "gru_reset_before": (GRU_GATES, None),
    "gru_refine_reset_before": (GRU_GATES + ["refine"], None),
}


class Network:
    """Stacked layers of one cell, step by step and without any trick."""

    def __init__(self, cell, inputs, hidden, layers=1, directions=1, chunk=1):
        self.cell, self.inputs, self.hidden = cell, inputs, hidden
        self.layers, self.directions, self.chunk = layers, directions, chunk
        self.blocks, self.lstm = CELLS[cell]
        self.names = [block.rstrip("/") for block in self.blocks]
        self.sizes = [hidden // chunk if block.endswith("/") else hidden for block in self.blocks]

    def slots(self):
        for layer in range(self.layers):
            for direction in range(self.directions):
                yield layer, direction, f"_l{layer}" + ("_reverse" if direction else "")

    def width(self, layer):
        return self.inputs if layer == 0 else self.directions * self.hidden

    def by_block(self, rows, dim):
        return dict(zip(self.names, rows.split(self.sizes, dim)))

    def lstm_step(self, from_x, weight, bias, h, c):
        a = self.by_block(from_x + h @ weight.T + bias, -1)
        c = self.lstm(a, c, self.chunk)
        return sigmoid(a["output"]) * tanh(c), c

    def gru_step(self, from_x, weight, bias, h, c):
        x, w, b = self.by_block(from_x, -1), self.by_block(weight, 0), self.by_block(bias, 0)

        def gate(name):
            return sigmoid(x[name] + h @ w[name].T + b[name])

        reset, keep = gate("reset"), gate("update")
        if "refine" in self.names:
            keep = refined(keep, gate("refine"))
        if self.cell.endswith("reset_before"):
            recurrent = (reset * h) @ w["candidate"].T + b["candidate"]
        else:
            recurrent = reset * (h @ w["candidate"].T + b["candidate"])
        return mix(keep, h, tanh(x["candidate"] + recurrent)), c

    def run(self, p, x, h0, c0, lengths):
        """Gives y, hn and cn; past its end a sequence stands still and gives zeros."""
        step = self.lstm_step if self.lstm else self.gru_step
        steps, finals, outputs = len(x), [], []
        for slot, (layer, direction, suffix) in enumerate(self.slots()):
            if direction == 0:
                x = torch.cat(outputs, -1) if layer else x
                outputs = []
            h, c, y = h0[slot], c0[slot], {}
            for t in reversed(range(steps)) if direction else range(steps):
                valid = (lengths > t).unsqueeze(-1)
                from_x = x[t] @ p["weight_ih" + suffix].T + p["bias_ih" + suffix]
                h1, c1 = step(from_x, p["weight_hh" + suffix], p["bias_hh" + suffix], h, c)
                h, c = torch.where(valid, h1, h), torch.where(valid, c1, c)
                y[t] = torch.where(valid, h1, torch.zeros_like(h1))
            outputs.append(torch.stack([y[t] for t in range(steps)]))
            finals.append((h, c))
        return torch.cat(outputs, -1), *(torch.stack(states) for states in zip(*finals))


# ---- Cases -------------------------------------------------------------------------------------

CASES = {
    "small": dict(T=5, B=3, I=5, H=6, chunk=2),
    "layers2": dict(T=6, B=2, I=3, H=8, layers=2),
    "bidi_ragged": dict(T=7, B=4, I=5, H=9, directions=2, chunk=3, ragged=True),
    "stack": dict(T=6, B=3, I=4, H=6, layers=2, directions=2, chunk=2, ragged=True),
    "saturated": dict(T=12, B=2, I=4, H=16, gates="saturated"),
    "wide": dict(T=9, B=5, I=24, H=40, scale=1.5),
}


def parameters(network, scale, saturated, normal, uniform):
    p = {}
    rows = sum(network.sizes)
    for layer, _, suffix in network.slots():
        width = network.width(layer)
        p["weight_ih" + suffix] = normal(rows, width) * scale / math.sqrt(width)
        p["weight_hh" + suffix] = normal(rows, network.hidden) * scale / math.sqrt(network.hidden)
        p["bias_ih" + suffix] = normal(rows) * 0.3
        p["bias_hh" + suffix] = normal(rows) * 0.3
        if saturated:  # memory so long that 1 - g is tiny
            for name, bias in network.by_block(p["bias_ih" + suffix], 0).items():
                if name in ("forget", "update", "refine"):
                    bias += 6 + 6 * uniform(len(bias))
    return p


def compare_with_torch(network, p, x, h0, c0, lengths, y, hn):
    """Holds this file's loop to PyTorch's own modules, where PyTorch has the cell."""
    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(network.cell)
    if module is None:
        return
    bidirectional = network.directions == 2
    theirs = module(network.inputs, network.hidden, network.layers, bidirectional=bidirectional)
    theirs.load_state_dict(p)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    with torch.no_grad():
        out, final = theirs(packed, (h0, c0) if network.lstm else h0)
    out, _ = torch.nn.utils.rnn.pad_packed_sequence(out, total_length=len(x))
    final = final[0] if network.lstm else final
    torch.testing.assert_close(y, out, rtol=0, atol=1e-12)
    torch.testing.assert_close(hn, final, rtol=0, atol=1e-12)


def make(cell, seed, T, B, I, H, layers=1, directions=1, chunk=1, ragged=False, gates="plain", scale=1.0):
    """One case as tensors and metadata."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    chunk = chunk if any(block.endswith("/") for block in CELLS[cell][0]) else 1
    network = Network(cell, I, H, layers, directions, chunk)
    p = parameters(network, scale, gates == "saturated", normal, uniform)
    state = (layers * directions, B, H)
    x, h0, c0 = normal(T, B, I), normal(*state) / 2, normal(*state) / 2
    lengths = torch.full((B,), T)
    if ragged:
        lengths = torch.randint(1, T + 1, (B,), generator=generator)
        lengths[B // 2] = T

    inputs = {**p, "x": x, "h0": h0} | ({"c0": c0} if network.lstm else {})
    for tensor in inputs.values():
        tensor.requires_grad_(True)
    y, hn, cn = network.run(p, x, h0, c0, lengths)
    outputs = {"y": y, "hn": hn} | ({"cn": cn} if network.lstm else {})
    cotangents = {"d" + name: normal(*value.shape) for name, value in outputs.items()}
    loss = sum((outputs[name] * cotangents["d" + name]).sum() for name in outputs)
    gradients = torch.autograd.grad(loss, list(inputs.values()))
    with torch.no_grad():
        compare_with_torch(network, {k: v.detach() for k, v in p.items()}, x, h0, c0, lengths, y, hn)

    tensors = {**inputs, "lengths": lengths, **outputs, **cotangents}
    tensors |= {"grad." + name: gradient for name, gradient in zip(inputs, gradients)}
    metadata = dict(cell=cell, T=T, B=B, I=I, H=H, layers=layers, directions=directions, chunk=chunk)
    metadata |= dict(ragged=int(ragged), gates=gates, blocks=",".join(network.blocks))
    return tensors, metadata


def save(path, tensors, metadata):
    """The safetensors format by hand: header length, JSON header, data."""
    dtypes = {torch.float64: "F64", torch.int64: "I64"}
    header = {"__metadata__": {key: str(value) for key, value in metadata.items()}}
    data = bytearray()
    for name, tensor in tensors.items():
        begin = len(data)
        data += tensor.detach().contiguous().numpy().tobytes()
        entry = dict(dtype=dtypes[tensor.dtype], shape=list(tensor.shape), data_offsets=[begin, len(data)])
        header[name] = entry
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder, seed = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for i, cell in enumerate(CELLS):
        for j, (case, shape) in enumerate(CASES.items()):
            save(folder / f"{cell}.{case}.safetensors", *make(cell, 1000 * seed + len(CASES) * i + j, **shape))


if __name__ == "__main__":
    main()
