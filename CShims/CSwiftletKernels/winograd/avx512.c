/* SPDX-License-Identifier: Apache-2.0 */

#include "winograd.h"

#if defined(__x86_64__)
#include "../lanes/avx512.h"
#include "body.inc"

const swl_winograd_kernel swl_winograd__avx512 = {SWL_HEAD(avx512), SWL_FUNCTIONS};
#endif
