/* SPDX-License-Identifier: Apache-2.0 */

#include "window.h"

#include "../lanes/scalar.h"
#include "body.inc"

const swl_window_kernel swl_window__scalar = {SWL_HEAD(scalar), SWL_FUNCTIONS};
