/* SPDX-License-Identifier: Apache-2.0 */

#define SWL_VARIANT scalar
#include "../lanes/scalar.h"
#include "winograd.inc"
