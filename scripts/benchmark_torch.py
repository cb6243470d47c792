#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times PyTorch on a GPU, for the report of cuda_benchmark.

usage: scripts/benchmark_torch.py OUT SECONDS

Writes OUT, a line for each measurement with fields separated by tabs: library, cell, precision, variant, H, B, T, ragged,
and lower quartile, median and upper quartile in microseconds per step. Measured are nn.LSTM and nn.GRU, and the refine LSTM
as people write it: a step that torch.compile has compiled, in a Python loop; and the same loop captured as a CUDA graph.
What does not run is named on standard error. After SECONDS nothing new is begun. Ends with 77 without PyTorch or a GPU.
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
if not torch.cuda.is_available():
    print("PyTorch sees no GPU")
    sys.exit(77)

TURNS = 4
SHAPES = [(768, 16, 1024, False), (512, 16, 25, False), (1024, 16, 25, False), (512, 64, 512, True), (128, 64, 256, False),
          (64, 8, 256, False), (1024, 128, 25, False), (768, 1, 256, False)]
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "tf32": torch.float32, "float32": torch.float32}


def set_tf32(allowed):
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def inputs(shape, dtype):
    hidden, batch, steps, _ = shape
    return [torch.rand(steps, batch, hidden, device="cuda", dtype=dtype) * 2 - 1 for _ in range(TURNS)]


def spread_per_step(call, steps):
    """call(turn) puts one call on the current stream."""

    def timed(calls, first):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for i in range(calls):
            call((first + i) % TURNS)
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / calls

    timed(TURNS, 0)
    once = max(timed(2, 0), 1e-3)
    calls = max(1, min(200, round(1 / once)))
    rounds = int(max(5, min(21, 200 / (once * calls))))
    samples = [1e3 * timed(calls, r) / steps for r in range(rounds)]
    return statistics.quantiles(samples, n=4, method="inclusive")


def library_layer(make):
    """nn.LSTM or nn.GRU, which is cuDNN behind PyTorch."""

    def build(shape, dtype):
        hidden, batch, steps, ragged = shape
        layer = make(hidden, hidden).to("cuda", dtype)
        x = inputs(shape, dtype)
        if ragged:
            lengths = torch.randint(1, steps + 1, (batch,))
            lengths[batch // 2] = steps
            x = [nn.utils.rnn.pack_padded_sequence(values, lengths, enforce_sorted=False) for values in x]
        return lambda turn: layer(x[turn])

    return build


def refine_step(x, h, c, w, b):
    r, f, u, o = torch.addmm(x, h, w).add(b).chunk(4, 1)
    r, f = r.sigmoid(), f.sigmoid()
    g = r * (1 - (1 - f) ** 2) + (1 - r) * f**2
    c = g * c + (1 - g) * u.tanh()
    return o.sigmoid() * c.tanh(), c


def compiled_loop(graph):
    def build(shape, dtype):
        hidden, batch, steps, ragged = shape
        if ragged:
            return None
        step = torch.compile(refine_step, dynamic=False)
        bound = hidden**-0.5
        w_x, w_h = ((torch.rand(hidden, 4 * hidden, device="cuda", dtype=dtype) * 2 - 1) * bound for _ in range(2))
        b = torch.zeros(4 * hidden, device="cuda", dtype=dtype)
        x = inputs(shape, dtype)
        zeros = torch.zeros(batch, hidden, device="cuda", dtype=dtype)

        def run(turn):
            projected = x[turn].view(-1, hidden).mm(w_x).view(steps, batch, -1)
            h, c, ys = zeros, zeros, []
            for t in range(steps):
                h, c = step(projected[t], h, c, w_h, b)
                ys.append(h)
            return torch.stack(ys)

        if not graph:
            return run
        run(0)
        torch.cuda.synchronize()
        graphs = []
        for turn in range(TURNS):
            captured = torch.cuda.CUDAGraph()
            with torch.cuda.graph(captured):
                run(turn)
            graphs.append(captured)
        return lambda turn: graphs[turn].replay()

    return build


CONTENDERS = [("lstm", "nn.LSTM", library_layer(nn.LSTM)), ("gru", "nn.GRU", library_layer(nn.GRU)),
              ("lstm_refine", "compiled loop", compiled_loop(False)),
              ("lstm_refine", "compiled loop as a graph", compiled_loop(True))]


def main():
    out_path, limit = sys.argv[1], float(sys.argv[2])
    begun = time.monotonic()
    torch.manual_seed(1)
    print(f"PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}, {torch.cuda.get_device_name()}")
    with open(out_path, "w") as out, torch.no_grad():
        for shape in SHAPES:
            for cell, variant, build in CONTENDERS:
                for precision, dtype in DTYPES.items():
                    if time.monotonic() - begun > limit:
                        print(f"no time for {shape} {variant} and what follows")
                        return
                    if "loop" in variant and precision not in ("bfloat16", "float32"):
                        continue
                    set_tf32(precision == "tf32")
                    try:
                        call = build(shape, dtype)
                        if call is None:
                            continue
                        spread = spread_per_step(call, shape[2])
                    except Exception as error:  # whatever a contender cannot do ends it alone
                        print(f"{shape} {variant} {precision}: {str(error).splitlines()[0]}", file=sys.stderr)
                        continue
                    fields = ["pytorch", cell, precision, variant, *shape[:3], int(shape[3]), *(f"{s:.6g}" for s in spread)]
                    print(*fields, sep="\t", file=out, flush=True)
                    print(*fields[1:], flush=True)


main()
