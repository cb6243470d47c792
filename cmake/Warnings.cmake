# SPDX-License-Identifier: Apache-2.0
target_compile_options(gatefuse_flags INTERFACE -Wall -Wextra -Werror)
