// SPDX-License-Identifier: Apache-2.0

/** Gated recurrent networks over whole sequences, in one call. */
@SuppressWarnings("requires-automatic") // Optional libraries have no module declarations.
module io.github.gatefuse {
  requires transitive org.bytedeco.javacpp;
  requires org.slf4j;

  // Only for the cuDNN backend, which says so where it is missing.
  requires static org.bytedeco.cuda;

  // Only for the figures of experiments, which say so where they are missing.
  requires static java.desktop;
  requires static java.xml;
  requires static org.apache.xmlgraphics.batik.svggen;
  requires static org.knowm.xchart;

  // Only for whoever publishes the metrics of serving there.
  requires static micrometer.core;

  exports io.github.gatefuse;
  exports io.github.gatefuse.io;
  exports io.github.gatefuse.onnxruntime;
  exports io.github.gatefuse.reference;
  exports io.github.gatefuse.serving;
  exports io.github.gatefuse.spi;
  exports io.github.gatefuse.tasks;
  exports io.github.gatefuse.training;

  // JavaCPP reads the annotations of the binding.
  opens io.github.gatefuse.binding to
      org.bytedeco.javacpp;

  uses io.github.gatefuse.spi.BackendProvider;
  uses io.github.gatefuse.spi.NativeBundle;

  provides io.github.gatefuse.spi.BackendProvider with
      io.github.gatefuse.cudnn.CudnnBackendProvider,
      io.github.gatefuse.internal.CpuBackendProvider,
      io.github.gatefuse.internal.CudaBackendProvider,
      io.github.gatefuse.reference.ReferenceBackendProvider;
}
