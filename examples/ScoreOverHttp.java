// SPDX-License-Identifier: Apache-2.0
//
// How surprising is a line of text? A server on the JDK's own HTTP classes, in front of a Batcher:
// lines that come at the same time, from any number of clients, run as one batch.
//
//   java -cp ... examples/ScoreOverHttp.java models/bytes-ur-lstm-256.safetensors 8080
//   curl --data-binary 'a line of text' http://localhost:8080/score
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.github.gatefuse.Cell;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.serving.Batcher;
import io.github.gatefuse.serving.BatcherOptions;
import io.github.gatefuse.serving.Output;
import io.github.gatefuse.serving.Request;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

public final class ScoreOverHttp {
  private static final int LONGEST_LINE = 100_000;

  public static void main(String[] args) throws IOException {
    RnnSpec spec = RnnSpec.of(Cell.LSTM_REFINE, 64, 256).withVocabulary(256).withOutputs(256);
    Rnn rnn = Rnn.load(Path.of(args[0]), spec, "rnn.");
    Batcher batcher = Batcher.start(rnn, BatcherOptions.of(Output.TARGET_LOG_PROBABILITIES));
    HttpServer server =
        HttpServer.create(new InetSocketAddress("localhost", Integer.parseInt(args[1])), 0);
    server.setExecutor(threads());
    server.createContext("/score", exchange -> score(batcher, exchange));
    server.createContext(
        "/metrics", exchange -> answer(exchange, 200, batcher.metrics().toString()));
    server.start();
    System.out.println("http://localhost:" + server.getAddress().getPort() + "/score");
    // No request is accepted any more, those that are there are answered, then the network goes.
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  server.stop(1);
                  batcher.close();
                  rnn.close();
                }));
  }

  /** A thread that waits for its answer costs little if it is a virtual one. */
  private static ExecutorService threads() {
    try {
      return (ExecutorService)
          Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null);
    } catch (ReflectiveOperationException e) {
      return Executors.newCachedThreadPool(); // before Java 21
    }
  }

  private static void score(Batcher batcher, HttpExchange exchange) throws IOException {
    byte[] line = exchange.getRequestBody().readNBytes(LONGEST_LINE + 1);
    if (line.length > LONGEST_LINE) {
      answer(exchange, 413, "expected at most " + LONGEST_LINE + " bytes");
      return;
    }
    int[] tokens = new int[line.length + 1]; // a line feed, then the line
    int[] targets = new int[line.length + 1]; // the line, then a line feed
    tokens[0] = targets[line.length] = '\n';
    for (int i = 0; i < line.length; i++) {
      tokens[i + 1] = targets[i] = line[i] & 0xFF;
    }
    try {
      Request request =
          Request.of(tokens).withTargets(targets).withTimeout(Duration.ofSeconds(5));
      double nats = 0;
      for (float logProbability : batcher.submit(request).join()) {
        nats -= logProbability;
      }
      double bits = nats / Math.log(2) / targets.length;
      answer(exchange, 200, String.format(Locale.ROOT, "%.4f bits per byte", bits));
    } catch (CompletionException e) {
      answer(exchange, 503, e.getCause().getMessage()); // the queue was full, or it took too long
    }
  }

  private static void answer(HttpExchange exchange, int status, String text) throws IOException {
    byte[] bytes = (text + "\n").getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
    exchange.close();
  }

  private ScoreOverHttp() {}
}
