/* SPDX-License-Identifier: Apache-2.0 */

#include "pointwise.h"

#include "../lanes/scalar.h"
#include "body.inc"

const swl_pointwise_kernel swl_pointwise__scalar = {SWL_HEAD(scalar), SWL_FUNCTIONS};
