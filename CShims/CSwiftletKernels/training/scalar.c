/* SPDX-License-Identifier: Apache-2.0 */

#include "training.h"

#define SWL_TARGET
#include "body.inc"

const swl_training_kernel swl_training__scalar = {SWL_HEAD(scalar), SWL_FUNCTIONS};
