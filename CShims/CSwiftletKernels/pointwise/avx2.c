/* SPDX-License-Identifier: Apache-2.0 */

#include "pointwise.h"

#if defined(__x86_64__)
#define SWL_VARIANT avx2
#define SWL_ISA SWL_ISA_AVX2
#include "../lanes/avx2.h"
#include "body.inc"
#endif
