/* SPDX-License-Identifier: Apache-2.0 */

#include "winograd.h"

#include "../lanes/scalar.h"
#include "body.inc"

const swl_winograd_kernel swl_winograd__scalar = {SWL_HEAD(scalar), SWL_FUNCTIONS};
