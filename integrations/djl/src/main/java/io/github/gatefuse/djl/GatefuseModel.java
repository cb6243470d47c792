// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import ai.djl.BaseModel;
import ai.djl.Device;
import ai.djl.MalformedModelException;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.io.Safetensors;
import io.github.gatefuse.io.StoredModel;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * A model of DJL that is a network of a safetensors file.
 *
 * <p>Once loaded, any number of threads may make predictors of it and use them at the same time.
 */
final class GatefuseModel extends BaseModel {
  private static final String SUFFIX = ".safetensors";

  private final Device device;
  private Rnn rnn;

  GatefuseModel(String name, NDManager manager, Device device) {
    super(name);
    this.manager = manager;
    this.device = device;
    manager.setName("GateFuse model");
    dataType = DataType.FLOAT32;
  }

  /**
   * Loads a network.
   *
   * @param path a .safetensors file, or a folder with one: it is called as prefix says, or as the
   *     model or the folder, or model.safetensors, or is the only one
   * @param prefix the file's name without its ending; null for the usual names
   * @param options those of {@link ModelOptions}; null for none
   * @throws FileNotFoundException if there is no such file, or several that may be meant
   * @throws MalformedModelException if it is not what its format promises, or not a network
   * @throws IllegalArgumentException naming an option that does not fit
   * @throws GatefuseException if the backend does not run here, or memory runs out
   */
  @Override
  public void load(Path path, String prefix, Map<String, ?> options)
      throws IOException, MalformedModelException {
    if (block != null) {
      throw new IllegalStateException("block: expected none, since the file says what runs");
    }
    ModelOptions parsed = ModelOptions.of(options == null ? Map.of() : options, device);
    setModelDir(path);
    StoredModel model = read(file(prefix), parsed);
    List<Output> outputs = Output.of(model.spec(), parsed.outputs());
    rnn = model.create(parsed.network());
    block = new RecurrentBlock(rnn, model.regularization(), parsed, outputs);
    setProperty("backend", rnn.backend().id());
    wasLoaded = true;
  }

  private Path file(String prefix) throws IOException {
    if (Files.isRegularFile(modelDir)) {
      return modelDir;
    }
    if (!Files.isDirectory(modelDir)) {
      throw new FileNotFoundException(modelDir + ": expected a folder or a " + SUFFIX + " file");
    }
    Path folder = modelDir.toAbsolutePath().getFileName();
    Stream<String> usual = Stream.of(modelName, Objects.toString(folder, null), "model");
    List<String> names =
        (prefix == null ? usual : Stream.of(prefix)).filter(Objects::nonNull).toList();
    for (String name : names) {
      Path file = modelDir.resolve(name + SUFFIX);
      if (Files.isRegularFile(file)) {
        return file;
      }
    }
    List<Path> all;
    try (Stream<Path> files = Files.list(modelDir)) {
      all = files.filter(file -> file.toString().endsWith(SUFFIX)).sorted().toList();
    }
    if (prefix != null || all.size() != 1) {
      throw new FileNotFoundException(
          (modelDir + ": expected one file, or one of the name " + String.join(" or ", names))
              + (", and the ending " + SUFFIX + ", got " + all));
    }
    return all.get(0);
  }

  private static StoredModel read(Path file, ModelOptions options)
      throws IOException, MalformedModelException {
    try (Safetensors tensors = Safetensors.open(file)) {
      return StoredModel.read(tensors, options.cell());
    } catch (IllegalArgumentException e) {
      throw new MalformedModelException(file + ": " + e.getMessage(), e);
    } catch (GatefuseException e) {
      switch (e.code()) {
        case BAD_FILE -> throw new MalformedModelException(e.getMessage(), e);
        case IO_FAILED -> throw new IOException(e.getMessage(), e);
        default -> throw e;
      }
    }
  }

  /**
   * Closes all predictors and frees the network. A second close does nothing.
   *
   * @throws IllegalStateException if a prediction is running; the network is then freed by a second
   *     close after it
   */
  @Override
  public void close() {
    super.close();
    if (block != null) {
      ((RecurrentBlock) block).close();
      rnn.close();
    }
  }
}
