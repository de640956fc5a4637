/* SPDX-License-Identifier: Apache-2.0 */

#include "pointwise.h"

#if defined(__x86_64__)
#include "../lanes/avx512.h"
#include "body.inc"

const swl_pointwise_kernel swl_pointwise__avx512 = {SWL_HEAD(avx512), SWL_FUNCTIONS};
#endif
