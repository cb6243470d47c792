// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.training.ParameterStore;
import io.github.gatefuse.Cell;
import io.github.gatefuse.Weights;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.List;

/**
 * Libtorch through the Deep Java Library: the operator that {@code nn.LSTM} calls, or the refine
 * LSTM as a loop of TorchScript with one product for the inputs of all steps. Input and weights are
 * tensors made once, the output is read where libtorch has put it. One thread at a time.
 */
final class TorchContender implements Contender {
  private static final String LSTM =
      """
      def forward(self: __torch__.Network, x: Tensor, zero: Tensor, wx: Tensor, wh: Tensor,
          bx: Tensor, bh: Tensor) -> Tensor:
        y, h, c, = torch.lstm(x, [zero, zero], [wx, wh, bx, bh], True, 1, 0., False, False, False)
        return y
      """;

  /** See {@link RefineForm} for the rows and for s. */
  private static final String REFINE =
      """
      def forward(self: __torch__.Network, x: Tensor, zero: Tensor, wx: Tensor, wh: Tensor,
          b: Tensor) -> Tensor:
        p = torch.matmul(x, torch.t(wx)) + b
        r = torch.t(wh)
        h = zero
        c = zero
        ys = annotate(List[Tensor], [])
        for z in torch.unbind(p):
          us, fo, = torch.chunk(torch.addmm(z, h, r), 2, 1)
          u, s, = torch.chunk(torch.tanh(us), 2, 1)
          f, o, = torch.chunk(torch.sigmoid(fo), 2, 1)
          g = torch.addcmul(f, torch.sub(f, torch.mul(f, f)), s)
          c = torch.lerp(u, c, g)
          h = torch.mul(o, torch.tanh(c))
          _0 = torch.append(ys, h)
        return torch.stack(ys)
      """;

  private final Race race;
  private final NDManager manager = NDManager.newBaseManager("PyTorch");
  private final Model model = Model.newInstance("network", "PyTorch");
  private final ParameterStore parameters = new ParameterStore(manager, false);
  private final NDList arguments;
  private NDList results = new NDList();

  /** What a process needs to be started with, for DJL to use so many threads and no network. */
  static List<String> javaOptions(int threads, Path cache) {
    return List.of(
        "-Dai.djl.pytorch.num_threads=" + threads,
        "-Dai.djl.pytorch.num_interop_threads=1",
        "-Dai.djl.offline=true",
        "-DDJL_CACHE_DIR=" + cache.toAbsolutePath(),
        "-Dorg.slf4j.simpleLogger.log.ai.djl=error");
  }

  TorchContender(Race race, Shape shape) {
    this.race = race;
    String source = race == Race.REFINE ? REFINE : LSTM;
    try {
      model.load(new ByteArrayInputStream(TorchArchive.of(source)));
    } catch (IOException | MalformedModelException e) {
      throw new IllegalStateException("libtorch: " + e.getMessage(), e);
    }
    arguments = race == Race.REFINE ? refineArguments(shape) : lstmArguments(shape);
  }

  private NDList lstmArguments(Shape shape) {
    int hidden = shape.size();
    Weights weights = shape.weights(Cell.LSTM);
    return new NDList(
        input(shape),
        tensor(new float[shape.batch() * hidden], 1, shape.batch(), hidden),
        tensor(weights.floats("weight_ih_l0"), 4 * hidden, hidden),
        tensor(weights.floats("weight_hh_l0"), 4 * hidden, hidden),
        tensor(weights.floats("bias_ih_l0"), 4 * hidden),
        tensor(weights.floats("bias_hh_l0"), 4 * hidden));
  }

  private NDList refineArguments(Shape shape) {
    int hidden = shape.size();
    RefineForm form = RefineForm.of(shape);
    return new NDList(
        input(shape),
        tensor(new float[shape.batch() * hidden], shape.batch(), hidden),
        tensor(form.input(), 4 * hidden, hidden),
        tensor(form.recurrent(), 4 * hidden, hidden),
        tensor(form.bias(), 4 * hidden));
  }

  private NDArray input(Shape shape) {
    ai.djl.ndarray.types.Shape dimensions =
        new ai.djl.ndarray.types.Shape(shape.steps(), shape.batch(), shape.size());
    return manager.create(shape.input(), dimensions);
  }

  private NDArray tensor(float[] values, long... dimensions) {
    return manager.create(values, new ai.djl.ndarray.types.Shape(dimensions));
  }

  @Override
  public String name() {
    return race == Race.REFINE ? "libtorch TorchScript loop" : "libtorch nn.LSTM";
  }

  @Override
  public String path() {
    Engine engine = Engine.getEngine("PyTorch");
    return "libtorch "
        + engine.getVersion()
        + " through DJL "
        + Engine.getDjlVersion()
        + ", intra-op threads "
        + JniUtils.getNumThreads()
        + ", inter-op "
        + JniUtils.getNumInteropThreads()
        + ", no gradients";
  }

  @Override
  public void run() {
    results.close();
    results = model.getBlock().forward(parameters, arguments, false);
  }

  @Override
  public FloatBuffer output() {
    return ((PtNDArray) results.singletonOrThrow())
        .toByteBuffer(true)
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer();
  }

  @Override
  public void close() {
    results.close();
    model.close();
    manager.close();
  }
}
