// SPDX-License-Identifier: Apache-2.0
//
// The table of cells. A new cell is its own file and one line here (beside its number in
// gatefuse.h).
#pragma once

#include "cells/gru.hpp"
#include "cells/gru_refine.hpp"
#include "cells/gru_refine_reset_before.hpp"
#include "cells/gru_reset_before.hpp"
#include "cells/lstm.hpp"
#include "cells/lstm_cumax.hpp"
#include "cells/lstm_cumax_refine.hpp"
#include "cells/lstm_refine.hpp"
#include "cells/lstm_tied.hpp"
#include "cells/onlstm.hpp"

// In the order of their numbers.
#define GF_FOR_EACH_CELL(X) \
  X(Lstm)                   \
  X(LstmTied)               \
  X(LstmRefine)             \
  X(LstmCumax)              \
  X(LstmCumaxRefine)        \
  X(Onlstm)                 \
  X(Gru)                    \
  X(GruRefine)              \
  X(GruResetBefore)         \
  X(GruRefineResetBefore)
