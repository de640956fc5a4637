/* SPDX-License-Identifier: Apache-2.0 */

#if defined(__x86_64__)
#define SWL_VARIANT avx512
#include "../lanes/avx512.h"
#include "winograd.inc"
#endif
