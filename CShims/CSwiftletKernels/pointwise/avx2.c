/* SPDX-License-Identifier: Apache-2.0 */

#include "pointwise.h"

#if defined(__x86_64__)
#include "../lanes/avx2.h"
#include "body.inc"

const swl_pointwise_kernel swl_pointwise__avx2 = {SWL_HEAD(avx2), SWL_FUNCTIONS};
#endif
