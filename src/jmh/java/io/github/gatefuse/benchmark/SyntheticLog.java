// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.SplittableRandom;

/** Writes lines that look like a system's log, the same each time. Not thread-safe. */
final class SyntheticLog {
  private static final String[] USERS = {"root", "admin", "backup", "guest", "oracle", "www-data"};
  private static final String[] DEVICES = {"eth0", "sda1", "nvme0n1", "cpu3", "usb 1-4", "md127"};

  private final SplittableRandom random = new SplittableRandom(20180704);
  private int second;

  private SyntheticLog() {}

  /** So many bytes, and what it takes to end the last line. */
  static byte[] bytes(int count) {
    SyntheticLog log = new SyntheticLog();
    ByteArrayOutputStream out = new ByteArrayOutputStream(count + 256);
    while (out.size() < count) {
      out.writeBytes(log.line().getBytes(StandardCharsets.US_ASCII));
    }
    return out.toByteArray();
  }

  private String line() {
    second += random.nextInt(4);
    String time =
        "Dec 10 %02d:%02d:%02d host ".formatted(second / 3600 % 24, second / 60 % 60, second % 60);
    return time + message() + "\n";
  }

  private String message() {
    return switch (random.nextInt(5)) {
      case 0 ->
          "sshd[%d]: Failed password for invalid user %s from %s port %d ssh2"
              .formatted(process(), pick(USERS), address(), 1024 + random.nextInt(60000));
      case 1 ->
          "sshd[%d]: Accepted publickey for %s from %s"
              .formatted(process(), pick(USERS), address());
      case 2 ->
          "kernel: [%d.%06d] %s: link is up, %d Mbps full duplex, flow control rx/tx"
              .formatted(second, random.nextInt(1000000), pick(DEVICES), 10 << random.nextInt(8));
      case 3 -> "CRON[%d]: (%s) CMD (/usr/lib/sysstat/sa1 1 1)".formatted(process(), pick(USERS));
      default ->
          "nginx: %s \"GET /api/v1/items/%x HTTP/1.1\" %d %d \"-\" \"curl/7.88.1\""
              .formatted(
                  address(),
                  random.nextLong() >>> 16,
                  200 + random.nextInt(3) * 102,
                  random.nextInt(90000));
    };
  }

  private int process() {
    return 300 + random.nextInt(32000);
  }

  private String address() {
    return "10.%d.%d.%d".formatted(random.nextInt(256), random.nextInt(256), random.nextInt(256));
  }

  private String pick(String[] of) {
    return of[random.nextInt(of.length)];
  }
}
