/* SPDX-License-Identifier: Apache-2.0 */

#include "layers.h"

#define SWL_VARIANT scalar
#define SWL_TARGET
#include "body.inc"
