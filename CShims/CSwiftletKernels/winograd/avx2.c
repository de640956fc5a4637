/* SPDX-License-Identifier: Apache-2.0 */

#include "winograd.h"

#if defined(__x86_64__)
#include "../lanes/avx2.h"
#include "body.inc"

const swl_winograd_kernel swl_winograd__avx2 = {SWL_HEAD(avx2), SWL_FUNCTIONS};
#endif
