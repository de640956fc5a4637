/* SPDX-License-Identifier: Apache-2.0 */

#include "pointwise.h"

#define SWL_VARIANT scalar
#define SWL_ISA SWL_ISA_SCALAR
#include "../lanes/scalar.h"
#include "body.inc"
