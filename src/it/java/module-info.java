// SPDX-License-Identifier: Apache-2.0

/** A user's program. It requires GateFuse and nothing of what that is made of. */
module io.github.gatefuse.example {
  requires io.github.gatefuse;
}
