/* SPDX-License-Identifier: Apache-2.0 */

#include "window.h"

#if defined(__x86_64__)
#define SWL_AVX512VNNI 1
#include "../lanes/avx512.h"
#include "body.inc"

const swl_window_kernel swl_window__avx512vnni = {SWL_HEAD(avx512vnni), SWL_FUNCTIONS};
#endif
