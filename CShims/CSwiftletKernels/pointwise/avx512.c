/* SPDX-License-Identifier: Apache-2.0 */

#include "pointwise.h"

#if defined(__x86_64__)
#define SWL_VARIANT avx512
#define SWL_ISA SWL_ISA_AVX512
#include "../lanes/avx512.h"
#include "body.inc"
#endif
