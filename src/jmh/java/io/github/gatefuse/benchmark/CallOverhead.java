// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * What JMH finds for a method of {@link EmptyForwardBenchmark}. Immutable.
 *
 * @param method the way to call
 * @param nanos mean time of a call
 * @param error half the width of the mean's confidence interval, 99.9 %
 * @param forks processes
 * @param samples iterations in all
 */
record CallOverhead(String method, double nanos, double error, int forks, long samples) {
  /** Runs all methods, each in processes of its own. */
  static List<CallOverhead> run(boolean quick) {
    ChainedOptionsBuilder options =
        new OptionsBuilder()
            .include("\\." + EmptyForwardBenchmark.class.getSimpleName() + "\\.")
            .verbosity(VerboseMode.SILENT)
            .shouldFailOnError(true);
    if (quick) {
      TimeValue time = TimeValue.milliseconds(400);
      options.forks(1).warmupIterations(3).warmupTime(time).measurementIterations(5);
      options.measurementTime(time);
    }
    try {
      Collection<RunResult> results = new Runner(options.build()).run();
      List<CallOverhead> overheads = new ArrayList<>();
      results.forEach(result -> overheads.add(of(result)));
      return overheads;
    } catch (RunnerException e) {
      throw new IllegalStateException("JMH: " + e.getMessage(), e);
    }
  }

  private static CallOverhead of(RunResult run) {
    Result<?> result = run.getPrimaryResult();
    String[] name = run.getParams().getBenchmark().split("\\.");
    return new CallOverhead(
        name[name.length - 1],
        result.getScore(),
        result.getScoreError(),
        run.getParams().getForks(),
        result.getSampleCount());
  }

  /** For JSON. */
  Map<String, Object> facts() {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("method", method);
    facts.put("mean_ns", nanos);
    facts.put("error_ns", error);
    facts.put("forks", forks);
    facts.put("iterations", samples);
    return facts;
  }
}
