// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import java.util.Arrays;

/**
 * Rooms of {@link MatchTask}, side by side. What a room shows is a pure function of a seed and the
 * room's number; where it goes is up to who acts in it. Not thread-safe.
 */
final class MatchRooms {
  static final int COLORS = 4;
  static final int WIDTH = 5;
  static final int CUE_STEPS = 2;
  static final int CHOICE_STEPS = 6;

  /** Left, stay, right. */
  static final int ACTIONS = 3;

  /** The phase, the colour ahead, the colours at both ends, the place. */
  static final int INPUTS = 3 + 3 * COLORS + WIDTH;

  private static final int MIDDLE = WIDTH / 2;

  private final int delay;
  private final int count;
  private final int[] cue;

  /** The colour ahead at each step of the delay [delay, count]. */
  private final int[] distractions;

  private final int[] left;
  private final int[] right;
  private final int[] place;
  private final int[] ended;
  private final boolean[] matched;

  /**
   * Opens rooms.
   *
   * @param delay the steps between the cue and the choice
   * @param first the number of the first room
   * @param count of rooms
   */
  MatchRooms(int delay, long seed, long first, int count) {
    this.delay = delay;
    this.count = count;
    cue = new int[count];
    distractions = new int[delay * count];
    left = new int[count];
    right = new int[count];
    place = new int[count];
    ended = new int[count];
    matched = new boolean[count];
    Arrays.fill(place, MIDDLE);
    Arrays.fill(ended, -1);
    for (int b = 0; b < count; b++) {
      furnish(b, Draw.of(seed, first + b));
    }
  }

  private void furnish(int b, Draw draw) {
    cue[b] = draw.below(COLORS);
    int other = (cue[b] + 1 + draw.below(COLORS - 1)) % COLORS;
    boolean isLeft = draw.chance();
    left[b] = isLeft ? cue[b] : other;
    right[b] = isLeft ? other : cue[b];
    for (int t = 0; t < delay; t++) {
      distractions[t * count + b] = draw.below(COLORS);
    }
  }

  /** The steps of a room from the cue to the last moment to choose. */
  static int steps(int delay) {
    return CUE_STEPS + delay + CHOICE_STEPS;
  }

  int firstChoice() {
    return CUE_STEPS + delay;
  }

  /** Whether an action at a step counts: it is time to choose, and nothing is chosen yet. */
  boolean isOpen(int t, int b) {
    return t >= firstChoice() && (ended[b] < 0 || ended[b] >= t);
  }

  boolean isMatched(int b) {
    return matched[b];
  }

  /** The step whose action ended the room; -1 where none has. */
  int endedAt(int b) {
    return ended[b];
  }

  /**
   * What is seen at a step; nothing in a room that has ended.
   *
   * @param x receives the inputs of all rooms [count, INPUTS], from a place on
   */
  void look(int t, float[] x, int begin) {
    for (int b = 0; b < count; b++) {
      int at = begin + b * INPUTS;
      Arrays.fill(x, at, at + INPUTS, 0);
      if (t < CUE_STEPS) {
        x[at] = 1;
        x[at + 3 + cue[b]] = 1;
      } else if (t < firstChoice()) {
        x[at + 1] = 1;
        x[at + 3 + distractions[(t - CUE_STEPS) * count + b]] = 1;
      } else if (isOpen(t, b)) {
        x[at + 2] = 1;
        x[at + 3 + COLORS + left[b]] = 1;
        x[at + 3 + 2 * COLORS + right[b]] = 1;
        x[at + 3 + 3 * COLORS + place[b]] = 1;
      }
    }
  }

  /** Acts at a step in one room; without effect where it does not count. */
  void act(int t, int b, int action) {
    if (!isOpen(t, b)) {
      return;
    }
    place[b] += action - 1;
    if (place[b] == 0 || place[b] == WIDTH - 1) {
      ended[b] = t;
      matched[b] = (place[b] == 0 ? left[b] : right[b]) == cue[b];
    }
  }
}
